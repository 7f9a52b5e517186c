# The stubs of Authlib that pyright brings along describe another version of it.
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportDeprecated=false
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false, reportOptionalMemberAccess=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false, reportUnnecessaryComparison=false
"""The grants of OAuth 2.0 and OpenID Connect, through Authlib.

Rule: Authlib authenticates applications, reads requests, and checks PKCE and scopes. What is one-time is decided by the
store, in one statement, when the tokens are stored. Authlib works synchronously: the endpoints call this in threads.

Authlib's defaults that are replaced here: PKCE `plain` is refused; a code or refresh token is not read, used and then
deleted; addresses are checked by the configuration (Authlib knows no `*.localhost`); redirect addresses get their
parameters appended, where Authlib would write them anew (and spoil `app.example:///callback`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import msgspec
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from authlib.oidc.core.grants.code import OpenIDToken
from authlib.oidc.core.util import create_half_hash

from ticketstub_bridge.clients import AUTH_METHODS, GRANT_TYPES, RegisteredClient
from ticketstub_bridge.config import Config
from ticketstub_bridge.keys import KeyRing
from ticketstub_bridge.people import make_claims, may_come_in
from ticketstub_bridge.sealing import make_secret
from ticketstub_bridge.storage import Code, Grant, IssuedTokens, Person, RefreshToken, Session, Store

_GRANT_MARGIN = 86400.0  # a grant is kept this much longer than its tokens, to notice reuse
_IS_S256_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}").fullmatch


class Reply(msgspec.Struct, frozen=True):
    """The answer to an application: a JSON object, and headers that differ from the usual."""

    status: int
    body: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class ProviderRequest(OAuth2Request):
    """A request in Authlib's shape.

    Args:
        method: the HTTP method.
        parameters: its parameters; each occurs once, which the endpoints check.
        headers: its headers.
    """

    def __init__(self, method: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> None:
        super().__init__(method, "https://this.bridge", headers=headers)  # unused: the configuration has the address
        self.payload = BasicOAuth2Payload(dict(parameters))

    @property
    def args(self) -> Mapping[str, str]:
        """The parameters."""
        return dict(self.payload.data)

    @property
    def form(self) -> Mapping[str, str]:
        """The parameters."""
        return dict(self.payload.data)


class Provider(AuthorizationServer):
    """The provider of one bridge.

    Args:
        config: the configuration; `reload` replaces it.
        store: what is remembered.
        keys: what signs.
    """

    def __init__(self, config: Config, store: Store, keys: KeyRing) -> None:
        super().__init__()
        self.config = config
        self.store = store
        self.keys = keys
        self.register_token_generator("default", self._generate_tokens)
        self.register_grant(_CodeGrant, [_OnlyS256(required=True), _IdTokens(self)])
        self.register_grant(_RefreshGrant, [_RefreshedIdTokens(self)])
        self.register_endpoint(_Revocation(self))

    def reload(self, config: Config) -> None:
        """Use another configuration from now on."""
        self.config = config

    def query_client(self, client_id: str) -> RegisteredClient | None:
        """Return an application by its id."""
        client = self.config.clients.get(client_id)
        return RegisteredClient(client) if client else None

    def answer_token_request(self, request: ProviderRequest) -> Reply:
        """Answer a request to the token endpoint."""
        if request.payload.grant_type not in GRANT_TYPES:
            is_missing = request.payload.grant_type is None
            return Reply(400, {"error": "invalid_request" if is_missing else "unsupported_grant_type"})
        return self._answer(lambda: self.create_token_response(request))

    def identify_client(self, request: ProviderRequest) -> str | None:
        """Return the id of the application that sent a request; `None` if it does not authenticate."""
        with suppress(OAuth2Error, UnicodeDecodeError):
            return self.authenticate_client(request, list(AUTH_METHODS)).client_id
        return None

    def answer_revocation(self, request: ProviderRequest) -> Reply:
        """Answer a request to the revocation endpoint (RFC 7009)."""
        return self._answer(lambda: self.create_endpoint_response("revocation", request))

    def _answer(self, handle: Any) -> Reply:  # noqa: ANN401  # a function of Authlib's
        reply = handle()
        assert isinstance(reply, Reply)  # noqa: S101  # what `handle_response` made
        return reply

    def validate_authorization(self, request: ProviderRequest, session: Session | None) -> _CodeGrant:
        """Check scope, PKCE and prompt of an authorization request whose application and address are known good.

        Raises:
            OAuth2Error: what the application is to be told.
        """
        grant = self.get_consent_grant(request, session)
        assert isinstance(grant, _CodeGrant)  # noqa: S101  # the only one for response_type=code
        return grant

    def issue_code(self, request: ProviderRequest, session: Session) -> str:
        """Begin a grant for a request that was checked, and return its code."""
        grant = self.validate_authorization(request, session)
        code = make_secret()
        grant.request.user = session
        grant.save_authorization_code(code, grant.request)
        return code

    def may_use(self, person: Person, client_id: str) -> bool:
        """Decide whether a person may use an application, by the configuration of this moment."""
        client = self.config.clients.get(client_id)
        return client is not None and may_come_in(self.config, person.account_id, person.roles, client)

    # What Authlib asks of a server:

    def create_oauth2_request(self, request: ProviderRequest) -> ProviderRequest:
        """Return the request: it has Authlib's shape already."""
        return request

    def authenticate_client(
        self, request: ProviderRequest, methods: list[str], endpoint: str = "token"
    ) -> RegisteredClient:
        """Authenticate an application, by the header alone if there is one (RFC 6749, 2.3)."""
        is_basic = "Authorization" in (request.headers or {})
        try:
            client: RegisteredClient = super().authenticate_client(
                request, ["client_secret_basic"] if is_basic else methods, endpoint
            )
        except ValueError:  # a header without credentials, or ones that are not text; Authlib lets that pass
            raise InvalidClientError(description="The credentials cannot be read.") from None
        if request.payload.client_id not in {None, client.client_id}:
            raise InvalidRequestError("The client_id is not that of the Authorization header.")
        return client

    def handle_response(self, status: int, body: Any, _headers: list[tuple[str, str]]) -> Reply:  # noqa: ANN401  # Authlib's
        """Return what the endpoints send. Failed authentication is 401 with a challenge, whichever method was used."""
        if body and body.get("error") == "invalid_client":
            return Reply(401, body, (("WWW-Authenticate", f'Basic realm="{self.config.url}"'),))
        return Reply(status, body or {})

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Ignore Authlib's signals."""

    def _generate_tokens(
        self, grant_type: str, client: RegisteredClient, scope: str, **_options: object
    ) -> dict[str, Any]:
        tokens: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": make_secret(),
            "expires_in": self.config.lifetimes.access_token,
            "scope": client.get_allowed_scope(scope),
        }
        if grant_type == "refresh_token" or "offline_access" in scope.split():
            tokens["refresh_token"] = make_secret()
        return tokens

    def make_issued(self, tokens: Mapping[str, Any]) -> IssuedTokens:
        """Return what the store keeps of an answer."""
        return IssuedTokens(
            access_token=tokens["access_token"],
            refresh_token=tokens.get("refresh_token"),
            scope=tokens["scope"],
            access_seconds=self.config.lifetimes.access_token,
            refresh_seconds=self.config.lifetimes.refresh_token,
        )


class _Redeemable:
    """A code or refresh token in Authlib's shape."""

    code_challenge_method = "S256"

    def __init__(self, stored: Code | RefreshToken) -> None:
        self.stored = stored
        self.grant: Grant = stored.grant
        self.code_challenge = stored.code_challenge if isinstance(stored, Code) else None

    def get_redirect_uri(self) -> str:
        assert isinstance(self.stored, Code)  # noqa: S101  # only codes have one
        return self.stored.redirect_uri

    def get_scope(self) -> str:
        return self.grant.scope

    def check_client(self, client: RegisteredClient) -> bool:
        return client.client_id == self.grant.client_id


class _CodeGrant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    server: Provider

    @property
    def granted_scope(self) -> str:
        return str(self.request.scope)

    def save_authorization_code(self, code: str, request: ProviderRequest) -> None:
        session: Session = request.user
        data, lifetimes = request.payload.data, self.server.config.lifetimes
        is_offline = "offline_access" in request.scope.split()
        self.server.store.grants.issue_code(
            code,
            client_id=request.client.client_id,
            sub=session.person.sub,
            sid=session.sid,
            scope=request.scope,
            is_offline=is_offline,
            auth_time=session.auth_time,
            redirect_uri=data["redirect_uri"],
            nonce=data.get("nonce"),
            code_challenge=data.get("code_challenge"),
            code_seconds=lifetimes.code,
            grant_seconds=lifetimes.code + lifetimes.access_token + _GRANT_MARGIN,
        )

    def query_authorization_code(self, code: str, client: RegisteredClient) -> _Redeemable | None:
        found = self.server.store.grants.find_code(code, client.client_id)
        if found is None or not self.server.may_use(found.grant.person, client.client_id):
            return None
        return _Redeemable(found)

    def authenticate_user(self, authorization_code: _Redeemable) -> Person:
        return authorization_code.grant.person

    def save_token(self, token: Mapping[str, Any]) -> None:
        code = self.request.authorization_code.stored
        if not self.server.store.grants.redeem_code(code, self.server.make_issued(token)):
            raise InvalidGrantError("Invalid 'code' in request.")

    def delete_authorization_code(self, authorization_code: _Redeemable) -> None:
        """Do nothing: `save_token` has redeemed it."""


class _RefreshGrant(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: Provider

    def authenticate_refresh_token(self, refresh_token: str) -> _Redeemable | None:
        client_id = self.request.client.client_id
        found = self.server.store.grants.find_refresh_token(refresh_token, client_id)
        if found is None or not self.server.may_use(found.grant.person, client_id):
            return None
        return _Redeemable(found)

    def authenticate_user(self, refresh_token: _Redeemable) -> Person:
        return refresh_token.grant.person

    def save_token(self, token: Mapping[str, Any]) -> None:
        stored = self.request.refresh_token.stored
        if not self.server.store.grants.rotate(stored, self.server.make_issued(token)):
            raise InvalidGrantError

    def revoke_old_credential(self, refresh_token: _Redeemable) -> None:
        """Do nothing: `save_token` has redeemed it."""


class _OnlyS256(CodeChallenge):
    """PKCE without `plain`, and never absent for an application without a secret."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: _CodeGrant, redirect_uri: str) -> None:
        super().validate_code_challenge(grant, redirect_uri)
        data = grant.request.payload.data
        if data.get("code_challenge") and data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The code_challenge_method must be S256.")
        if data.get("code_challenge") and not _IS_S256_CHALLENGE(data["code_challenge"]):
            raise InvalidRequestError("The code_challenge is not one of S256.")
        if not data.get("code_challenge") and grant.request.client.is_public:
            raise InvalidRequestError("A code_challenge is required (S256).")


class _MakesIdTokens:
    """How ID tokens are made, at a code and at a refresh."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def encode_id_token(self, token: Mapping[str, Any], request: ProviderRequest) -> str:
        redeemed: _Redeemable = request.authorization_code or request.refresh_token
        config, client = self._provider.config, request.client.client
        now = int(self._provider.store.database.get_time())
        claims: dict[str, Any] = {
            "iss": config.url,
            "aud": client.id,
            "iat": now,
            "exp": now + config.lifetimes.access_token,
            "auth_time": int(redeemed.grant.auth_time),
            "sid": redeemed.grant.sid,
            "amr": ["plex"],
        }
        if isinstance(redeemed.stored, Code) and redeemed.stored.nonce:
            claims["nonce"] = redeemed.stored.nonce
        if half := create_half_hash(token["access_token"], client.signing):
            claims["at_hash"] = half.decode()
        claims |= make_claims(redeemed.grant.person, client, token["scope"])
        return self._provider.keys.sign(claims, client.signing)


class _IdTokens(_MakesIdTokens, OpenIDCode):
    require_nonce = False

    def exists_nonce(self, nonce: str, request: ProviderRequest) -> bool:  # noqa: ARG002  # Authlib's signature
        """Return false: that a nonce is used once is for the application to check (OpenID Connect Core, 15.5.2)."""
        return False


class _RefreshedIdTokens(_MakesIdTokens, OpenIDToken):
    """ID tokens of a refresh: the first one's `auth_time` and `sid`, and no nonce (OpenID Connect Core, 12.2)."""


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = AUTH_METHODS
    server: Provider

    def authenticate_token(self, request: ProviderRequest, client: RegisteredClient) -> str:  # noqa: ARG002  # Authlib's signature
        if not (token := request.form.get("token")):
            raise InvalidRequestError("Missing 'token' in request.")
        return token  # hints are ignored: the store knows what it is

    def revoke_token(self, token: str, request: ProviderRequest) -> None:
        self.server.store.grants.revoke(token, request.client.client_id)


def append_parameters(url: str, parameters: Mapping[str, str | None]) -> str:
    """Append parameters to an application's address, and change nothing else in it."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(given)}"


__all__ = ["OAuth2Error", "Provider", "ProviderRequest", "Reply", "append_parameters"]
