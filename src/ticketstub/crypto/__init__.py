"""Device keys, and the JSON Web Tokens that Plex and its devices sign: for both ends.

    key = DeviceKey.generate()
    signed = key.sign("demo-client-7c1f", now=time(), nonce=nonce, scope=SCOPES)

Rule: the only place that knows a JOSE library; cryptography and joserfc are loaded by what signs or verifies, never by
importing this. A signature is looked at only after the text has been read strictly, and the claims only after the
signature. Nothing raised here repeats a part of a token or of a private key. Sources: documented, unless said.
"""

from __future__ import annotations

from ticketstub.crypto.device_jwt import DeviceClaims, verify_device_jwt
from ticketstub.crypto.jwk import InvalidKey, Jwk, compute_thumbprint, read_public_key
from ticketstub.crypto.jwt import EDDSA, RS256, InvalidJwt, Reason, UnverifiedJwt, read_jwt
from ticketstub.crypto.plex_jwt import JwtUser, PlexJwt, PublishedKeys, peek_expiry, verify_issued_jwt, verify_plex_jwt
from ticketstub.crypto.private_key import SCOPES, DeviceKey, SigningKey

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
