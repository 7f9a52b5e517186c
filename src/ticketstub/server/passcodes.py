"""Passcodes of Plex Homes: hashed and verified as passwords are, in a short queue of their own.

Rule: a flood of sign-ins does not keep a family from switching, nor the other way round. Passcodes of one user are
checked one after the other, so that several right ones at once are not taken for guessing. Only who reserved an
attempt asks here (server/homes.py).
"""

from __future__ import annotations

import re

from ticketstub.server.keys import Keys
from ticketstub.server.passwords import Passwords
from ticketstub.server.pool import Pool
from ticketstub.server.turns import Turns

_WAITING = 8
_FOUR_DIGITS = re.compile("[0-9]{4}").fullmatch


def is_passcode(text: str) -> bool:
    """Tell whether a text can be a passcode: four digits of ASCII (observed)."""
    return _FOUR_DIGITS(text) is not None


class Passcodes(Passwords):
    """Checks and hashes passcodes.

    Args:
        keys: the instance's keys.
    """

    def __init__(self, keys: Keys) -> None:
        # One address may fill the queue: a family has one, and attempts are counted before they get here.
        super().__init__(keys, pool=Pool(1, _WAITING, per_address=_WAITING + 1))
        self.turns = Turns(_WAITING)
        """One after the other, for each user whose passcode it is."""
