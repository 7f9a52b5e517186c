"""A device's own key, and the JWT that a device signs with it to get Plex's.

Rule: the key is made here and stays here; plex.tv gets its public half and its signatures. A signed JWT is a secret
for as long as it lasts: whoever has it can be this device once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from ticketstub.frames import hide_locals
from ticketstub.keys.private_key import PrivateKey
from ticketstub.token import Secret

SCOPES = ("username", "email", "friendly_name", "restricted", "anonymous", "joinedAt")
"""What of its user a device may ask to have in Plex's JWT (documented); `id` and `uuid` are always in it."""

_SCOPE = re.compile(r"[A-Za-z0-9_]+").fullmatch


@hide_locals
class DeviceKey(PrivateKey):
    """The key of this device, registered with plex.tv under its `kid`."""

    __slots__ = ()
    kind: ClassVar[str] = "device key"

    def sign(
        self,
        client_identifier: str,
        *,
        now: float,
        lifetime: int = 300,
        nonce: str | None = None,
        scope: Iterable[str] | None = None,
    ) -> Secret:
        """Sign a device JWT, for `POST /api/v2/auth/token` or the poll of a PIN.

        Args:
            client_identifier: the device's, as it was when the key was registered; Plex refuses another (1097).
            now: the time, in seconds since 1970, by Plex's clock where that is known.
            lifetime: how long it lasts, in seconds (observed: clients take 300 to 3600).
            nonce: what plex.tv gave, when a token is asked for; the poll of a PIN needs none.
            scope: which of `SCOPES` is asked for, when a token is; other names go out as they are.

        Raises:
            ValueError: the client identifier is empty, the lifetime is not positive, or a scope is no name.
        """
        if not client_identifier or lifetime <= 0:
            raise ValueError("a device JWT has a client identifier and lasts for some time")
        asked = None if scope is None else tuple(scope)
        if isinstance(scope, str) or not all(_SCOPE(name) for name in asked or ()):
            raise ValueError("scope is a collection of names; SCOPES lists them")
        claims: dict[str, object] = {"aud": "plex.tv", "iss": client_identifier}
        claims |= {} if nonce is None else {"nonce": nonce}
        claims |= {} if asked is None else {"scope": ",".join(asked)}
        claims |= {"iat": int(now), "exp": int(now) + lifetime}
        return Secret(self._signed({"kid": self.kid, "alg": "EdDSA", "typ": "JWT"}, claims))
