"""Ed25519 keys that sign JWTs: the key of a device and the signing key of a local Plex; and the JWTs that devices sign.

Rule: only `dump().reveal()` returns the private key. It appears in no repr, error, pickle or public key, and errors of
`load` repeat nothing of their input. A device key is created on its device and stays there. A JWT that it signed is a
secret until it expires: it can be used once to act as the device. To verify a device JWT, pass the key that the device
registered or that its PIN was created with. The verification does not check who issued the nonce or whether it was used
before: the local Plex's store does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import ClassVar, Self

import msgspec

from ticketstub.crypto.jwk import InvalidKey, Jwk, decode_base64url, encode_base64url, ensure_kid, match_kid
from ticketstub.crypto.jwt import EDDSA, RS256, InvalidJwt, check_times, parse_json_object, read_audience, read_jwt
from ticketstub.messages import Unpicklable
from ticketstub.models import Model
from ticketstub.tokens import Secret, hide_locals

SCOPES = ("username", "email", "friendly_name", "restricted", "anonymous", "joinedAt")
"""The user data that a device may request for Plex's JWT (documented). `id` and `uuid` are always included."""


@hide_locals
class PrivateKey(Unpicklable):
    """An Ed25519 key and its name.

    Attributes:
        jwk: the public key, in the form in which it is registered and published.
        kid: the name of the key.
    """

    __slots__ = ("_key", "jwk", "kid")
    _pickle_advice = "store the result of dump() with the credentials instead"
    kind: ClassVar[str] = "private key"

    def __init__(self, private: Secret, kid: str | None = None) -> None:
        """Create a key from 32 bytes in base64url. Use `generate` or `load` instead."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        raw = decode_base64url(private.reveal())
        if raw is None or len(raw) != 32:
            raise ValueError(f"a {self.kind} has 32 bytes")
        if kid is not None and not match_kid(kid):
            raise InvalidKey("kid must be 1 to 128 of A-Z a-z 0-9 _ . -")
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.jwk = ensure_kid(
            Jwk(
                kty="OKP",
                crv="Ed25519",
                x=encode_base64url(self._key.public_key().public_bytes_raw()),
                use="sig",
                alg=EDDSA,
                kid=kid,
            )
        )
        self.kid = str(self.jwk.kid)

    @classmethod
    def generate(cls, kid: str | None = None, *, random: Callable[[int], bytes] = os.urandom) -> Self:
        """Generate a new key.

        Args:
            kid: its name, 1 to 128 of A-Z a-z 0-9 _ . -; by default its RFC 7638 thumbprint (43 characters).
            random: the source of its 32 bytes.

        Raises:
            ValueError: `kid` is not a valid name.
        """
        return cls(Secret(encode_base64url(random(32))), kid)

    @classmethod
    def load(cls, text: Secret | str) -> Self:
        """Load a key that `dump` returned.

        Raises:
            ValueError: it is damaged or not such a key. The message does not repeat any of it.
        """
        secret = text if isinstance(text, Secret) else Secret(text)
        match parse_json_object(secret.reveal().encode("utf-8", "replace")):
            case {"kind": cls.kind, "version": 1, "kid": str(kid), "public": public, "private": str(private)}:
                with suppress(ValueError):
                    key = cls(Secret(private), kid)
                    if key.jwk.x == public:
                        return key
            case _:
                pass
        raise ValueError(f"the text is not a {cls.kind}, or it is damaged")

    def dump(self) -> Secret:
        """Return the whole key as JSON text. Store it as a secret."""
        members = {
            "kind": self.kind,
            "version": 1,
            "kid": self.kid,
            "public": self.jwk.x,
            "private": encode_base64url(self._key.private_bytes_raw()),
        }
        return Secret(msgspec.json.encode(members).decode())

    def _sign_jwt(self, header: dict[str, object], claims: dict[str, object]) -> str:
        text = f"{encode_base64url(msgspec.json.encode(header))}.{encode_base64url(msgspec.json.encode(claims))}"
        return f"{text}.{encode_base64url(self._key.sign(text.encode('ascii')))}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kid}>"


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
        """Sign a device JWT, for `POST /api/v2/auth/token` or for polling a PIN.

        Args:
            client_identifier: the device's identifier at the time the key was registered. Plex refuses any other
                (1097).
            now: the time in seconds since 1970, by Plex's clock if known.
            lifetime: the lifetime of the JWT in seconds (observed: clients use 300 to 3600).
            nonce: the nonce from plex.tv, to request a token. Polling a PIN needs none.
            scope: the entries of `SCOPES` to request with a token. Other names are sent unchanged.

        Raises:
            ValueError: the client identifier is empty, the lifetime is not positive, or a scope is not a name.
        """
        if not client_identifier or lifetime <= 0:
            raise ValueError("a device JWT needs a client identifier and a positive lifetime")
        scopes = None if scope is None else tuple(scope)
        if isinstance(scope, str) or not all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in scopes or ()):
            raise ValueError("scope must be a collection of names; SCOPES lists them")
        claims: dict[str, object] = {
            "aud": "plex.tv",
            "iss": client_identifier,
            **({} if nonce is None else {"nonce": nonce}),
            **({} if scopes is None else {"scope": ",".join(scopes)}),
            "iat": int(now),
            "exp": int(now) + lifetime,
        }
        return Secret(self._sign_jwt({"kid": self.kid, "alg": EDDSA, "typ": "JWT"}, claims))


class SigningKey(PrivateKey):
    """The signing key of a local Plex. Its `kid` has 43 characters, as Plex's own have (observed)."""

    __slots__ = ()
    kind: ClassVar[str] = "signing key"

    def sign(self, claims: dict[str, object]) -> str:
        """Sign the claims, in their order, as a JWT with the header `kid`, `typ`, `alg` (observed order)."""
        return self._sign_jwt({"kid": self.kid, "typ": "JWT", "alg": EDDSA}, claims)


class DeviceClaims(Model, frozen=True, kw_only=True):
    """The nonce and the requested scopes of a verified device JWT."""

    nonce: str | None = None
    scope: tuple[str, ...] = ()


def verify_device_jwt(
    text: str,
    jwk: Jwk,
    *,
    client_identifier: str,
    now: float,
    require_nonce: bool,
    leeway: float = 60,
    max_lifetime: int = 86_400,
) -> DeviceClaims:
    """Verify a JWT that a device signed to get its token or to poll its PIN.

    `aud` must be `plex.tv` alone, and `iss` the client identifier. `exp`, `iat` and `typ` may be missing (observed: one
    client omits the first two). Undocumented names in `scope` are dropped.

    Args:
        text: the JWT.
        jwk: the key that the device registered, or that its PIN was created with.
        client_identifier: the device's identifier.
        now: the time, in seconds since 1970.
        require_nonce: whether a nonce is required. A nonce that is present is always checked.
        leeway: by how many seconds the device's clock may be wrong.
        max_lifetime: the longest lifetime in seconds, if the JWT expires at all (our limit; observed: 300 to 3600).

    Raises:
        InvalidJwt: the device did not sign it, or it is not valid for plex.tv now.
    """
    unverified = read_jwt(text, algorithms=(EDDSA, RS256), typ_optional=True)
    if unverified.kid != jwk.kid:
        raise InvalidJwt("kid")
    claims = unverified.verify(jwk)
    if claims.get("iss") != client_identifier:
        raise InvalidJwt("issuer")
    if read_audience(claims) != ("plex.tv",):
        raise InvalidJwt("audience")
    nonce, scope = claims.get("nonce"), claims.get("scope")
    if (require_nonce or nonce is not None) and not (isinstance(nonce, str) and re.fullmatch(r"[!-~]{1,128}", nonce)):
        raise InvalidJwt("nonce")
    if not isinstance(scope, str | None):
        raise InvalidJwt("malformed")
    requested = {name.strip() for name in (scope or "").split(",")}
    check_times(claims, now=now, leeway=leeway, grace=leeway, max_lifetime=max_lifetime, optional=True)
    return DeviceClaims(nonce=nonce, scope=tuple(name for name in SCOPES if name in requested))
