"""When a kept sign-in needs something done: a ping for an opaque token, a new JWT for an old one.

Rule: pure functions of a credential and the time; they decide, and flows do it. All numbers are ours, within what is
known: a ping keeps an opaque token alive and clients ping once a day (observed); a JWT lives seven days and can be
renewed before and after its end (documented).
"""

from __future__ import annotations

import math
from typing import Literal

from ticketstub.credentials.store import Credential

PING_INTERVAL = 24 * 60 * 60.0
RENEW_FROM = 0.5
RENEW_BY = 0.9

Renewal = Literal["no", "may", "must"]


def get_ping_delay(credential: Credential, now: float) -> float:
    """Return in how many seconds an opaque token wants a ping: a day after Plex last took it; 0 is now.

    It is infinite where no ping is due ever: there is no token, its user signed out, or it is a JWT, which is renewed.

    Args:
        credential: what is kept.
        now: epoch seconds.
    """
    if credential.token is None or credential.token.kind == "jwt" or credential.signed_out_at is not None:
        return math.inf
    times = [moment for moment in (credential.checked_at, credential.created_at) if moment is not None]
    if not times:
        return 0.0
    return min(max(max(times) + PING_INTERVAL - now, 0.0), PING_INTERVAL)  # also where the clock was set back


def check_renewal(credential: Credential, now: float, *, jitter: float = 0.0) -> Renewal:
    """Tell whether a JWT is to be renewed: not yet, it may be, or it must be before it is used again.

    It may be from half of its life on and must be from nine tenths. What has no device key cannot be, and an opaque
    token need not. A JWT whose times are not known may be: afterwards they are.

    Args:
        credential: what is kept.
        now: epoch seconds.
        jitter: from 0 to 1, the same each time one program asks: moves its "may" from 0.5 towards 0.9 of the life, so
            that many installations that signed in at once do not renew at once.
    """
    is_not_renewable = credential.token is None or credential.token.kind != "jwt" or credential.device_key is None
    if is_not_renewable or credential.signed_out_at is not None:
        return "no"
    if credential.created_at is None or credential.expires_at is None:
        return "may" if credential.expires_at is None or now < credential.expires_at else "must"
    lifetime, age = credential.expires_at - credential.created_at, now - credential.created_at
    if age >= RENEW_BY * lifetime:
        return "must"
    return "may" if age >= (RENEW_FROM + jitter * (RENEW_BY - RENEW_FROM)) * lifetime else "no"
