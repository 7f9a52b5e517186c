"""Builds valid and invalid JWTs by hand, with raw Ed25519.

Rule: this module uses nothing of ticketstub.crypto, so that a mistake there cannot hide itself.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

L = 2**252 + 27742317777372353535851937790883648493
"""The order of Ed25519's group: S and S + L are one number to a careless verifier."""

SMALL_ORDER = (
    *("01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32, "00" * 31 + "80"),
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)
"""The eight points whose order divides 8."""

NOT_CANONICAL = (
    *("01" + "00" * 30 + "80", "ec" + "ff" * 31, "ed" + "ff" * 30 + "7f", "ed" + "ff" * 31),
    *("ee" + "ff" * 30 + "7f", "ee" + "ff" * 31, "ff" * 31 + "7f", "ff" * 32),
)
"""Other spellings of points: x of 0 with a sign, y not below the prime."""


@dataclass(frozen=True)
class Valid:
    """A JWT that is accepted, from which others are derived."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    private: Ed25519PrivateKey = field(repr=False)

    def token(self, header: Any = None, claims: Any = None) -> str:
        """Sign a header and claims. JSON text and bytes are used unchanged."""
        return self.signed(
            f"{part(self.header if header is None else header)}.{part(self.claims if claims is None else claims)}"
        )

    def signed(self, text: str) -> str:
        return f"{text}.{b64(self.private.sign(text.encode()))}"

    def head(self, **members: Any) -> str:
        return self.token(header={**self.header, **members})

    def says(self, **claims: Any) -> str:
        return self.token(claims={**self.claims, **claims})

    def without(self, name: str) -> str:
        return self.token(claims={key: value for key, value in self.claims.items() if key != name})

    def headless(self, name: str) -> str:
        return self.token(header={key: value for key, value in self.header.items() if key != name})


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(value: Any) -> str:
    text = value if isinstance(value, str | bytes) else json.dumps(value, separators=(",", ":"))
    return b64(text if isinstance(text, bytes) else text.encode())


def raw_private(key: Any) -> Ed25519PrivateKey:
    """Extract the private key of a DeviceKey or SigningKey."""
    return Ed25519PrivateKey.from_private_bytes(unb64(json.loads(key.dump().reveal())["private"]))
