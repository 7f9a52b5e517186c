"""Verification codes (RFC 6238: HMAC-SHA-1, six digits, 30 seconds).

Rule: this module computes codes and finds the time step of a code. The store accepts a step only if it is later than
the last one used.
"""

from __future__ import annotations

from base64 import b32decode
from hmac import compare_digest
from typing import TYPE_CHECKING

from ticketstub.tokens import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.twofactor.totp import TOTP


STEP_SECONDS = 30
"""The length of a time step in seconds. Each step has its own code."""


def normalize_secret(text: str) -> str:
    """Return a base 32 secret in upper case, without spaces and padding.

    Raises:
        ValueError: the text is not base 32.
    """
    if not text.isascii():  # upper() turns some other characters into ASCII letters
        raise ValueError("base 32 is ASCII")
    letters = "".join(text.split()).rstrip("=").upper()
    _decode_base32(letters)
    return letters


def generate_code(secret: Secret, now: float) -> str:
    """Return the code that an authenticator app shows.

    Args:
        secret: the account's secret in base 32.
        now: seconds since 1970.
    """
    return _create_totp(secret).generate(now).decode("ascii")


def find_matching_step(secret: Secret, code: Secret, now: int) -> int | None:
    """Return the time step of a verification code, or `None` if the code is not valid now.

    Args:
        secret: the account's secret in base 32.
        code: the code as typed; only six ASCII digits can match.
        now: seconds since 1970.
    """
    typed = code.reveal().encode("utf-8", "surrogatepass")
    codes, current = _create_totp(secret), now // STEP_SECONDS
    # One step of clock difference is allowed either way (RFC 6238, 5.2). All codes are compared, so that the time taken
    # does not reveal which one matched.
    steps = range(max(current - 1, 0), current + 2)
    return max((step for step in steps if compare_digest(codes.generate(step * STEP_SECONDS), typed)), default=None)


def _create_totp(secret: Secret) -> TOTP:
    from cryptography.hazmat.primitives.hashes import SHA1  # loaded only for accounts with verification codes
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    # Plex's secrets have 16 characters: 80 bits, fewer than the 128 that RFC 4226 requires.
    key = _decode_base32(normalize_secret(secret.reveal()))
    return TOTP(key, 6, SHA1(), STEP_SECONDS, enforce_key_length=False)  # noqa: S303  # as in every authenticator app


def _decode_base32(letters: str) -> bytes:
    return b32decode(letters + "=" * (-len(letters) % 8))
