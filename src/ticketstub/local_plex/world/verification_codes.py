"""Verification codes (RFC 6238: HMAC-SHA-1, six digits, 30 seconds).

Rule: this computes codes and finds the step that a code belongs to; the store spends steps, each once and strictly
rising.
"""

from __future__ import annotations

from base64 import b32decode
from hmac import compare_digest
from typing import TYPE_CHECKING

from ticketstub.tokens import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.twofactor.totp import TOTP


STEP_SECONDS = 30
"""How long a code lasts."""


def normalize_secret(text: str) -> str:
    """Return a secret in base 32 in capitals, without the spaces and padding that people and programs write.

    Raises:
        ValueError: it is not base 32.
    """
    if not text.isascii():  # upper() makes ASCII letters of some others
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
    """Return the time step that a verification code belongs to, or `None` if the code is not valid now.

    Args:
        secret: the account's secret in base 32.
        code: what was typed; only six ASCII digits can match.
        now: seconds since 1970.
    """
    typed = code.reveal().encode("utf-8", "surrogatepass")
    codes, current = _create_totp(secret), now // STEP_SECONDS
    # One step of clock difference is allowed either way (RFC 6238, 5.2).
    steps = range(max(current - 1, 0), current + 2)
    # All are compared, so that the time taken does not tell which one matched.
    matching = [step for step in steps if compare_digest(codes.generate(step * STEP_SECONDS), typed)]
    return max(matching, default=None)


def _create_totp(secret: Secret) -> TOTP:
    from cryptography.hazmat.primitives.hashes import SHA1  # only accounts that ask for codes need it
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    # Plex's own secrets have 16 characters: 80 bits, fewer than the 128 that RFC 4226 asks for.
    key = _decode_base32(normalize_secret(secret.reveal()))
    return TOTP(key, 6, SHA1(), STEP_SECONDS, enforce_key_length=False)  # noqa: S303  # as every authenticator app


def _decode_base32(letters: str) -> bytes:
    return b32decode(letters + "=" * (-len(letters) % 8))
