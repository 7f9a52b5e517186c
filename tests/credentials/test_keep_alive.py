"""When something is to be done to keep a sign-in: by hand-made numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.credentials.conftest import PLEX_TV, signed_in
from tests.tables import every
from ticketstub.credentials import Credential, check_renewal, get_ping_delay
from ticketstub.tokens import Token

DAY = 86400.0
BORN = 1_793_675_700.0
OPAQUE = Token.from_wire("Xk3mPz_9Q-vT7rLb2NfW")
LIFE = 604_800.0  # of Plex's JWTs, documented


def opaque(created: float | None = None, checked: float | None = None) -> Credential:
    return Credential(issuer=PLEX_TV, token=OPAQUE, created_at=created, checked_at=checked)


@every(
    ("credential", "now", "seconds"),
    [
        (opaque(BORN), BORN, DAY),
        (opaque(BORN), BORN + 3600, DAY - 3600),
        (opaque(BORN), BORN + DAY, 0.0),
        (opaque(BORN), BORN + 30 * DAY, 0.0),
        (opaque(BORN, BORN + 5 * DAY), BORN + 5 * DAY + 60, DAY - 60),
        (opaque(BORN + 60, BORN), BORN + 60, DAY),
        (opaque(), BORN, 0.0),
        (opaque(checked=BORN + 9 * DAY), BORN, DAY),
        (opaque(created=0.0), BORN, 0.0),
        (signed_in(), BORN + 30 * DAY, math.inf),
        (Credential(issuer=PLEX_TV), BORN, math.inf),
        (Credential(issuer=PLEX_TV, token=OPAQUE, signed_out_at=BORN), BORN, math.inf),
    ],
)
def test_pings(credential: Credential, now: float, seconds: float) -> None:
    """An opaque token wants a ping a day after Plex last took it, at once if nobody knows when; a JWT wants none."""
    assert seconds == get_ping_delay(credential, now)


def jwt(created: float | None = BORN, expires: float | None = BORN + LIFE, **more: Any) -> Credential:
    return signed_in(created_at=created, expires_at=expires, **more)


@every(
    ("credential", "now", "due"),
    [
        (jwt(), BORN, "no"),
        (jwt(), BORN - DAY, "no"),
        (jwt(), BORN + 302_399, "no"),
        (jwt(), BORN + 302_400, "may"),
        (jwt(), BORN + 544_319, "may"),
        (jwt(), BORN + 544_320, "must"),
        (jwt(), BORN + LIFE, "must"),
        (jwt(), BORN + 9 * LIFE, "must"),
        (jwt(created=None), BORN, "may"),
        (jwt(created=None), BORN + LIFE, "must"),
        (jwt(expires=None), BORN, "may"),
        (jwt(BORN, BORN), BORN, "must"),
        (jwt(device_key=None), BORN + LIFE, "no"),
        (jwt(token=OPAQUE), BORN + LIFE, "no"),
        (Credential(issuer=PLEX_TV), BORN, "no"),
        (jwt(signed_out_at=BORN), BORN + LIFE, "no"),
    ],
)
def test_renewals(credential: Credential, now: float, due: str) -> None:
    """A JWT may be renewed from half of its life on and must be from nine tenths; without a key it cannot be."""
    assert due == check_renewal(credential, now)


@pytest.mark.parametrize(("chance", "begins"), [(0.0, 0.5), (0.5, 0.7), (1.0, 0.9)])
def test_renewals_are_spread(chance: float, begins: float) -> None:
    """C8: by its chance each installation begins somewhere from 50 to 90 % of the life."""
    assert "no" == check_renewal(jwt(), BORN + (begins - 0.01) * LIFE, jitter=chance)
    assert "no" != check_renewal(jwt(), BORN + (begins + 0.01) * LIFE, jitter=chance)
