"""Device keys, and the JSON Web Tokens (JWTs) that Plex and its devices sign.

    key = DeviceKey.generate()
    signed = key.sign("demo-client-7c1f", now=time(), nonce=nonce, scope=SCOPES)

Rule: no other package imports a JOSE library. Importing this package loads neither cryptography nor joserfc; signing
and verifying do. A JWT is first read strictly, then its signature is checked, then its claims. No
error raised here repeats a part of a token or a private key. Sources: documented, unless stated otherwise.
"""

from __future__ import annotations

from ticketstub.crypto.device_key import SCOPES, DeviceClaims, DeviceKey, SigningKey, verify_device_jwt
from ticketstub.crypto.jwk import InvalidKey, Jwk, compute_thumbprint, read_public_key
from ticketstub.crypto.jwt import EDDSA, RS256, InvalidJwt, Reason, UnverifiedJwt, read_jwt
from ticketstub.crypto.plex_jwt import JwtUser, PlexJwt, PublishedKeys, peek_expiry, verify_issued_jwt, verify_plex_jwt

__all__ = [
    "EDDSA",
    "RS256",
    "SCOPES",
    "DeviceClaims",
    "DeviceKey",
    "InvalidJwt",
    "InvalidKey",
    "Jwk",
    "JwtUser",
    "PlexJwt",
    "PublishedKeys",
    "Reason",
    "SigningKey",
    "UnverifiedJwt",
    "compute_thumbprint",
    "peek_expiry",
    "read_jwt",
    "read_public_key",
    "verify_device_jwt",
    "verify_issued_jwt",
    "verify_plex_jwt",
]
