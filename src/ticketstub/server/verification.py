"""Verification codes (RFC 6238, six digits, 30 seconds).

Rule: this only finds the step that a code belongs to; the store spends steps, each once and strictly rising.
"""

from __future__ import annotations

from hmac import compare_digest

from ticketstub.token import Secret

_SECONDS = 30
_WINDOW = (-1, 0, 1)  # one step of clock difference either way (RFC 6238, 5.2)


def matching_step(secret: Secret, code: Secret, now: int) -> int | None:
    """Return the time step that a verification code belongs to, or `None` where it is no code of now.

    Args:
        secret: the account's secret in base 32.
        code: what was typed; only six ASCII digits can match.
        now: seconds since 1970.
    """
    from pyotp.totp import TOTP  # only accounts that ask for codes need it

    typed = code.reveal()
    if len(typed) != 6 or not (typed.isascii() and typed.isdigit()):
        return None
    codes, current = TOTP(secret.reveal()), now // _SECONDS
    steps = [current + offset for offset in _WINDOW if current + offset >= 0]
    # All are compared, so that the time taken does not tell which one matched.
    matching = [step for step in steps if compare_digest(codes.generate_otp(step), typed)]
    return max(matching, default=None)
