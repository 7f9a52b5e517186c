"""The applications, as Authlib asks about them.

Rule: everything comes from the configuration. Redirect addresses are compared as text, letter by letter.
"""

from __future__ import annotations

import hmac
from typing import Any

from ticketstub_bridge.config import Client
from ticketstub_bridge.people import SCOPES
from ticketstub_bridge.sealing import digest

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
GRANT_TYPES = ("authorization_code", "refresh_token")


class RegisteredClient:
    """An application in Authlib's shape (`ClientMixin`).

    Args:
        client: the application.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.client_id = client.id

    @property
    def id_token_signed_response_alg(self) -> str:
        """How its ID tokens are signed."""
        return self.client.signing

    @property
    def client_metadata(self) -> dict[str, Any]:
        """Its metadata, as far as Authlib reads it."""
        return {"post_logout_redirect_uris": list(self.client.post_logout_redirect_uris)}

    @property
    def is_public(self) -> bool:
        """Whether it has no secret."""
        return self.client.secret_hash is None

    def get_client_id(self) -> str:
        """Return its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return nothing: OpenID Connect requires the address in each request."""

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return what may be granted of a scope; what is unknown is ignored (OpenID Connect Core, 3.1.2.1)."""
        return " ".join(dict.fromkeys(name for name in (scope or "").split() if name in SCOPES))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Return whether the address is one of its own."""
        return redirect_uri in self.client.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare a secret; without one, nothing is right."""
        known = self.client.secret_hash
        return known is not None and hmac.compare_digest(known, digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002  # Authlib's signature
        """Return whether it may authenticate like this: without a secret only if it has none."""
        return (method == "none") == self.is_public

    def check_response_type(self, response_type: str) -> bool:
        """Return whether it may use a response type."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether it may use a grant type."""
        return grant_type in GRANT_TYPES
