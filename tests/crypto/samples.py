"""The keys and JWTs that the crypto tests share: invented values, written out."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

from ticketstub.crypto import DeviceKey, SigningKey

NOW = 1793675700
CLIENT = "demo-client-7c1f"
NONCE = "0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603"

PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""The secret key of RFC 8032, 7.1, test 1, which RFC 8037, A.1 uses too."""
X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
"""Its public key, and RFC 7638's name for it (RFC 8037, A.2 and A.3)."""
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def device_key(kid: str | None = "demo-key-1") -> DeviceKey:
    return DeviceKey.generate(kid, random=lambda size: PRIVATE[:size])


def signing_key(fill: int = 7) -> SigningKey:
    return SigningKey.generate(random=lambda size: bytes([fill]) * size)


def device_claims() -> dict[str, Any]:
    return {
        "aud": "plex.tv",
        "iss": CLIENT,
        "nonce": NONCE,
        "scope": "username,email,friendly_name",
        "iat": NOW,
        "exp": NOW + 300,
    }


def plex_claims() -> dict[str, Any]:
    return {
        "nonce": NONCE,
        "thumbprint": "demo-key-1",
        "iss": "plex.tv",
        "aud": ["plex.tv", CLIENT],
        "iat": NOW,
        "exp": NOW + 604_800,
        "user": {
            "id": 10500123,
            "uuid": "3f9c2b7a5d1e8f04",
            "username": "mira_quill",
            "email": "mira@example.test",
            "friendly_name": "Mira",
            "restricted": False,
            "anonymous": None,
            "joinedAt": 1552593531,
        },
    }


def spellings(secret: bytes) -> tuple[str, ...]:
    """List every form in which leaked bytes could appear."""
    from base64 import b64encode

    texts = (secret.hex(), b64encode(secret).decode().rstrip("="), urlsafe_b64encode(secret).decode().rstrip("="))
    return (*texts, texts[0].upper(), repr(secret)[2:-1], repr(list(secret)), str(int.from_bytes(secret, "big")))
