"""When a stored token needs a ping or a renewal."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.credentials.conftest import PLEX_TV, make_credential
from tests.tables import every
from ticketstub.credentials import Credential, check_renewal, get_ping_delay
from ticketstub.tokens import Token

DAY = 86400.0
ISSUED_AT = 1_793_675_700.0
OPAQUE = Token.from_wire("Xk3mPz_9Q-vT7rLb2NfW")
LIFETIME = 604_800.0  # of Plex's JWTs (documented)


def opaque(created: float | None = None, checked: float | None = None) -> Credential:
    return Credential(issuer=PLEX_TV, token=OPAQUE, created_at=created, checked_at=checked)


@every(
    ("credential", "now", "seconds"),
    [
        (opaque(ISSUED_AT), ISSUED_AT, DAY),
        (opaque(ISSUED_AT), ISSUED_AT + 3600, DAY - 3600),
        (opaque(ISSUED_AT), ISSUED_AT + DAY, 0.0),
        (opaque(ISSUED_AT), ISSUED_AT + 30 * DAY, 0.0),
        (opaque(ISSUED_AT, ISSUED_AT + 5 * DAY), ISSUED_AT + 5 * DAY + 60, DAY - 60),
        (opaque(ISSUED_AT + 60, ISSUED_AT), ISSUED_AT + 60, DAY),
        (opaque(), ISSUED_AT, 0.0),
        (opaque(checked=ISSUED_AT + 9 * DAY), ISSUED_AT, DAY),
        (opaque(created=0.0), ISSUED_AT, 0.0),
        (make_credential(), ISSUED_AT + 30 * DAY, math.inf),
        (Credential(issuer=PLEX_TV), ISSUED_AT, math.inf),
        (Credential(issuer=PLEX_TV, token=OPAQUE, signed_out_at=ISSUED_AT), ISSUED_AT, math.inf),
    ],
)
def test_pings(credential: Credential, now: float, seconds: float) -> None:
    """An opaque token needs a ping a day after Plex last accepted it, or at once if unknown; a JWT needs none."""
    assert seconds == get_ping_delay(credential, now)


def jwt(created: float | None = ISSUED_AT, expires: float | None = ISSUED_AT + LIFETIME, **more: Any) -> Credential:
    return make_credential(created_at=created, expires_at=expires, **more)


@every(
    ("credential", "now", "due"),
    [
        (jwt(), ISSUED_AT, "no"),
        (jwt(), ISSUED_AT - DAY, "no"),
        (jwt(), ISSUED_AT + 302_399, "no"),
        (jwt(), ISSUED_AT + 302_400, "may"),
        (jwt(), ISSUED_AT + 544_319, "may"),
        (jwt(), ISSUED_AT + 544_320, "must"),
        (jwt(), ISSUED_AT + LIFETIME, "must"),
        (jwt(), ISSUED_AT + 9 * LIFETIME, "must"),
        (jwt(created=None), ISSUED_AT, "may"),
        (jwt(created=None), ISSUED_AT + LIFETIME, "must"),
        (jwt(expires=None), ISSUED_AT, "may"),
        (jwt(ISSUED_AT, ISSUED_AT), ISSUED_AT, "must"),
        (jwt(device_key=None), ISSUED_AT + LIFETIME, "no"),
        (jwt(token=OPAQUE), ISSUED_AT + LIFETIME, "no"),
        (Credential(issuer=PLEX_TV), ISSUED_AT, "no"),
        (jwt(signed_out_at=ISSUED_AT), ISSUED_AT + LIFETIME, "no"),
    ],
)
def test_renewals(credential: Credential, now: float, due: str) -> None:
    """A JWT may be renewed from half of its lifetime on and must be from nine tenths on; without a key it cannot be."""
    assert due == check_renewal(credential, now)


@pytest.mark.parametrize(("chance", "begins"), [(0.0, 0.5), (0.5, 0.7), (1.0, 0.9)])
def test_renewals_are_spread(chance: float, begins: float) -> None:
    """C8: the jitter moves the start of the renewal to 50 to 90 % of the lifetime."""
    assert "no" == check_renewal(jwt(), ISSUED_AT + (begins - 0.01) * LIFETIME, jitter=chance)
    assert "no" != check_renewal(jwt(), ISSUED_AT + (begins + 0.01) * LIFETIME, jitter=chance)
