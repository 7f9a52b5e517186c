"""Why a kept sign-in no longer works: the complaint that a command makes of Plex's refusal.

Rule: only a refusal of the token itself is explained so; the refusal's status and code stay.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ticketstub.cli.complaints import Complaint
from ticketstub.refusals import (
    TokenExpired,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)

if TYPE_CHECKING:
    from ticketstub.cli.keeping import Found
    from ticketstub.flows.begun import Standing

_NOT_THE_TOKEN = (TooManyFailures, VerificationCodeRequired, WrongVerificationCode)

REASONS: dict[Standing, str] = {
    "expired": "its time is over",
    "revoked": "it was ended at Plex: by a sign-out, a removed device or a new password",
}
"""Why a kept sign-in is over, in words."""


@contextmanager
def explained(found: Found) -> Generator[None]:
    """Say of a refused token that it is the kept one, and why it may be over."""
    try:
        yield
    except Unauthorized as error:
        if isinstance(error, _NOT_THE_TOKEN):
            raise
        from ticketstub.cli.keeping import to_type

        ends = found.credential.expires_at
        past = isinstance(error, TokenExpired) or (ends is not None and time.time() >= ends)
        reason = REASONS["expired" if past else "revoked"]
        told = f"the sign-in that is kept as {found.name} no longer works: {reason}"
        hint = f"sign in again: {to_type('login', found.credential.entry)}"
        raise Complaint(told, hint=hint, refusal=error) from None
