"""An Ed25519 key that signs, whosever it is.

Rule: the private part comes out by `dump().reveal()` alone: it is in no repr, error, pickle, public key or signature's
neighbourhood. What `load` cannot use it does not repeat.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

from ticketstub.frames import hide_locals
from ticketstub.keys.jwk import Jwk, KeyRefused, is_kid, thumbprint
from ticketstub.keys.strict import from_base64url, from_json, to_base64url, to_json
from ticketstub.token import Secret

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

_VERSION = 1


@hide_locals
class PrivateKey:
    """An Ed25519 key with its name."""

    __slots__ = ("_key", "kid")
    kind: ClassVar[str] = "private key"

    def __init__(self, private: Secret, kid: str | None = None) -> None:
        """Take 32 bytes as base64url; `generate` and `load` are the ways to a key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from joserfc.jwk import OKPKey

        raw = from_base64url(private.reveal())
        if raw is None or len(raw) != 32:
            raise ValueError(f"a {self.kind} has 32 bytes")
        if kid is not None and not is_kid(kid):
            raise KeyRefused("kid must be 1 to 128 of A-Z a-z 0-9 _ . -")
        self._key: OKPKey = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(raw))
        self.kid: str = thumbprint(self._public()) if kid is None else kid

    @classmethod
    def generate(cls, kid: str | None = None, *, random: Callable[[int], bytes] = os.urandom) -> Self:
        """Make a new key.

        Args:
            kid: its name, 1 to 128 of A-Z a-z 0-9 _ . -; by default its RFC 7638 thumbprint (43 characters).
            random: where its 32 bytes come from.

        Raises:
            ValueError: the name is none.
        """
        return cls(Secret(to_base64url(random(32))), kid)

    @classmethod
    def load(cls, text: Secret | str) -> Self:
        """Take a key that `dump` wrote.

        Raises:
            ValueError: the text is damaged or no such key; nothing of it is repeated.
        """
        secret = text if isinstance(text, Secret) else Secret(text)
        members = from_json(secret.reveal().encode("utf-8", "replace")) or {}
        private, kid = members.get("private"), members.get("kid")
        if (members.get("kind"), members.get("version")) == (cls.kind, _VERSION) and isinstance(private, str):
            raw = from_base64url(private)
            if raw is not None and len(raw) == 32 and isinstance(kid, str) and is_kid(kid):
                key = cls(Secret(private), kid)
                if key._public().x == members.get("public"):
                    return key
        raise ValueError(f"this is no {cls.kind}, or it is damaged")

    def dump(self) -> Secret:
        """Return the whole key as JSON text, to be kept where secrets are kept."""
        private = self._key.private_key
        if private is None:  # it was made of one
            raise TypeError(f"this {self.kind} has no private part")
        members: dict[str, object] = {"kind": self.kind, "version": _VERSION, "kid": self.kid}
        members |= {"public": self._public().x, "private": to_base64url(private.private_bytes_raw())}
        return Secret(to_json(members).decode())

    @property
    def jwk(self) -> Jwk:
        """The public key, as it is registered and published."""
        return Jwk(kty="OKP", crv="Ed25519", x=self._public().x, use="sig", alg="EdDSA", kid=self.kid)

    def _public(self) -> Jwk:
        return Jwk(kty="OKP", crv="Ed25519", x=to_base64url(self._key.public_key.public_bytes_raw()))

    def _signed(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        from joserfc.jws import JWSRegistry

        text = f"{to_base64url(to_json(header))}.{to_base64url(to_json(claims))}"
        return f"{text}.{to_base64url(JWSRegistry.algorithms['EdDSA'].sign(text.encode('ascii'), self._key))}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kid}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {self.kind} is not pickled; keep what dump() gives with the credentials instead")

    # Nothing in a key changes, so a copy is the key itself.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self
