"""Ed25519 keys that sign: a device's, to get Plex's JWT, and a local Plex's, whose JWTs those are.

Rule: the private part comes out by `dump().reveal()` alone: it is in no repr, error, pickle, public key or signature's
neighbourhood. What `load` cannot use it does not repeat. A device's key is made on it and stays there. A JWT that it
signed is a secret for as long as it lasts: whoever has it can be this device once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import ClassVar, NoReturn, Self

import msgspec

from ticketstub.crypto.jwk import InvalidKey, Jwk, compute_thumbprint, is_kid
from ticketstub.crypto.strict import decode_base64url, encode_base64url, parse_json_object
from ticketstub.tokens import Secret
from ticketstub.tracebacks import hide_locals

SCOPES = ("username", "email", "friendly_name", "restricted", "anonymous", "joinedAt")
"""What of its user a device may ask to have in Plex's JWT (documented); `id` and `uuid` are always in it."""

_match_scope = re.compile(r"[A-Za-z0-9_]+").fullmatch
_VERSION = 1


@hide_locals
class PrivateKey:
    """An Ed25519 key with its name."""

    __slots__ = ("_key", "kid")
    kind: ClassVar[str] = "private key"

    def __init__(self, private: Secret, kid: str | None = None) -> None:
        """Take 32 bytes as base64url; `generate` and `load` are the ways to a key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        raw = decode_base64url(private.reveal())
        if raw is None or len(raw) != 32:
            raise ValueError(f"a {self.kind} has 32 bytes")
        if kid is not None and not is_kid(kid):
            raise InvalidKey("kid must be 1 to 128 of A-Z a-z 0-9 _ . -")
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.kid: str = compute_thumbprint(self._build_public_jwk()) if kid is None else kid

    @classmethod
    def generate(cls, kid: str | None = None, *, random: Callable[[int], bytes] = os.urandom) -> Self:
        """Make a new key.

        Args:
            kid: its name, 1 to 128 of A-Z a-z 0-9 _ . -; by default its RFC 7638 thumbprint (43 characters).
            random: where its 32 bytes come from.

        Raises:
            ValueError: the name is none.
        """
        return cls(Secret(encode_base64url(random(32))), kid)

    @classmethod
    def load(cls, text: Secret | str) -> Self:
        """Take a key that `dump` wrote.

        Raises:
            ValueError: the text is damaged or no such key; nothing of it is repeated.
        """
        secret = text if isinstance(text, Secret) else Secret(text)
        members = parse_json_object(secret.reveal().encode("utf-8", "replace")) or {}
        private, kid = members.get("private"), members.get("kid")
        is_expected_kind = (members.get("kind"), members.get("version")) == (cls.kind, _VERSION)
        if is_expected_kind and isinstance(private, str) and isinstance(kid, str):
            with suppress(ValueError):
                key = cls(Secret(private), kid)
                if key._build_public_jwk().x == members.get("public"):
                    return key
        raise ValueError(f"this is no {cls.kind}, or it is damaged")

    def dump(self) -> Secret:
        """Return the whole key as JSON text, to be kept where secrets are kept."""
        members: dict[str, object] = {"kind": self.kind, "version": _VERSION, "kid": self.kid}
        members |= {"public": self._build_public_jwk().x, "private": encode_base64url(self._key.private_bytes_raw())}
        return Secret(msgspec.json.encode(members).decode())

    @property
    def jwk(self) -> Jwk:
        """The public key, as it is registered and published."""
        return Jwk(kty="OKP", crv="Ed25519", x=self._build_public_jwk().x, use="sig", alg="EdDSA", kid=self.kid)

    def _build_public_jwk(self) -> Jwk:
        return Jwk(kty="OKP", crv="Ed25519", x=encode_base64url(self._key.public_key().public_bytes_raw()))

    def _sign_jwt(self, header: dict[str, object], claims: dict[str, object]) -> str:
        text = f"{encode_base64url(msgspec.json.encode(header))}.{encode_base64url(msgspec.json.encode(claims))}"
        return f"{text}.{encode_base64url(self._key.sign(text.encode('ascii')))}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kid}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {self.kind} is not pickled; keep what dump() gives with the credentials instead")

    # Nothing in a key changes, so a copy is the key itself.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self


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
        scopes = None if scope is None else tuple(scope)
        if isinstance(scope, str) or not all(_match_scope(name) for name in scopes or ()):
            raise ValueError("scope is a collection of names; SCOPES lists them")
        claims: dict[str, object] = {"aud": "plex.tv", "iss": client_identifier}
        claims |= {} if nonce is None else {"nonce": nonce}
        claims |= {} if scopes is None else {"scope": ",".join(scopes)}
        claims |= {"iat": int(now), "exp": int(now) + lifetime}
        return Secret(self._sign_jwt({"kid": self.kid, "alg": "EdDSA", "typ": "JWT"}, claims))


class SigningKey(PrivateKey):
    """A key of the local Plex; its `kid` has 43 characters, as Plex's own have (observed)."""

    __slots__ = ()
    kind: ClassVar[str] = "signing key"

    def sign(self, claims: dict[str, object]) -> str:
        """Sign these claims, in their order, as a JWT whose header is `kid`, `typ`, `alg` (observed)."""
        return self._sign_jwt({"kid": self.kid, "typ": "JWT", "alg": "EdDSA"}, claims)
