"""A Plex that signs JWTs, for the flows that are walked by hand."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

from tests.client.flows.walking import NOW, ok
from ticketstub.crypto import DeviceKey, SigningKey
from ticketstub.messages import Request, Response

SIGNER = SigningKey.generate("plex-key-1", random=lambda size: b"1" * size)
OTHER_SIGNER = SigningKey.generate("plex-key-2", random=lambda size: b"2" * size)
KEY = DeviceKey.generate("demo-key-1", random=lambda size: b"7" * size)
NONCE = "0d9f6c1e-3b2a-4e57-9c88-71a5d2f4b603"
WEEK = 604_800


def published(*signers: SigningKey) -> Response:
    keys = [
        {name: value for name in ("kty", "crv", "x", "use", "alg", "kid") if (value := getattr(signer.jwk, name))}
        for signer in signers or (SIGNER,)
    ]
    return ok(json.dumps({"keys": keys}))


def nonce(**headers: str) -> Response:
    return ok(f'{{"nonce":"{NONCE}"}}', 200, **headers)


def plex_jwt(at: float = NOW, signer: SigningKey = SIGNER, **changes: Any) -> str:
    """Sign a JWT as protocol and clients know it."""
    claims: dict[str, Any] = {
        "nonce": NONCE,
        "thumbprint": "demo-key-1",
        "iss": "plex.tv",
        "aud": ["plex.tv", "demo-client-7c1f"],
        "iat": int(at),
        "exp": int(at) + WEEK,
        "user": {"id": 10500123, "uuid": "3f9c2b7a5d1e8f04", "username": "mira_quill", "email": "mira@example.test"},
    }
    return signer.sign({name: value for name, value in (claims | changes).items() if value is not None})


def exchanged(jwt: str) -> Response:
    return ok(json.dumps({"auth_token": jwt}))


def claims_of(jwt: str) -> dict[str, Any]:
    """Read what a JWT says, without looking at its signature."""
    part = jwt.split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def device_jwt_of(request: Request) -> str:
    """Find the device JWT that a request carries."""
    found: dict[str, Any] = json.loads(request.body)
    return found["jwt"]
