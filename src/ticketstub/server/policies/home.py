"""Who may do what in a Plex Home: decisions without any I/O.

Rule: as in policy.py. Whoever is in a Home may switch to anybody in it, managed users and guests too (a television
shows all of them to whoever sits before it); what protects a user is the passcode, so an administrator without one is
open to the whole Home, as with Plex. Members are changed by the administrator alone. Who is not in the caller's Home
is not there (404), whether such an account exists or not.
"""

from __future__ import annotations

import re
from hashlib import sha256

from ticketstub.refusals import BadRequest, Forbidden, NotFound, PasscodeRequired, Refusal, Unauthorized
from ticketstub.server.disputed import Answers
from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.members import HomeRow, MemberRow
from ticketstub.token import Secret

_FOUR_DIGITS = re.compile("[0-9]{4}").fullmatch


def is_passcode(text: str) -> bool:
    """Tell whether a text can be a passcode: four digits of ASCII (observed)."""
    return _FOUR_DIGITS(text) is not None


def members(home: HomeRow | None, caller: AccountRow) -> tuple[MemberRow, ...]:
    """Return the members of the caller's Home; who has none is alone in it (assumed)."""
    if home is not None:
        return home.members
    return (MemberRow(account=caller, admin=True, changed_at=caller.record.joined_at or 0),)


def member(home: HomeRow | None, caller: AccountRow, key: str) -> MemberRow:
    """Find a member by numeric id or uuid; raises `NotFound` for everybody else (404, code 1002)."""
    for known in members(home, caller):
        if key and key in (str(known.account.id), known.account.record.uuid):
            return known
    raise NotFound


def proof_wanted(answers: Answers, caller: AccountRow, stored: str | None, given: Secret | None) -> Secret | None:
    """Return the passcode that must be verified before a switch; `None` where none is needed.

    Args:
        answers: with `switch_without_passcode = "allow"` one that is missing is none that is wrong (observed for some
            accounts); never for managed users and guests, who would climb by it (ours).
        caller: who asks.
        stored: the hash of the other's passcode, if it has one.
        given: what was sent.

    Raises:
        PasscodeRequired: it is missing, or nothing that a passcode can be.
    """
    if stored is None:
        return None
    if given is None:
        small = caller.record.restricted or caller.record.guest
        if answers.switch_without_passcode == "allow" and not small:
            return None
        raise PasscodeRequired
    if not is_passcode(given.reveal()):
        raise PasscodeRequired
    return given


def wrong_current(status: int) -> Refusal:
    """Refuse to change a passcode without the one so far: 401 with code 1001, or 403 with code 1041."""
    if status == Forbidden.default.status:
        return PasscodeRequired()
    # Not the text of a dead token: the caller's is as good as before.
    return Unauthorized(PasscodeRequired.default.message, status=status, code=Unauthorized.default.code)


def check_new_passcode(passcode: Secret) -> None:
    """Refuse what is not four digits (code 1038; the status 400 is assumed)."""
    if not is_passcode(passcode.reveal()):
        raise BadRequest("PIN must be 4 digits", status=400, code=1038)


def check_not_managed(caller: AccountRow) -> None:
    """Refuse a managed user (403, code 1009)."""
    if caller.record.restricted:
        raise Forbidden("Managed users aren't allowed to perform this action", status=403, code=1009)


def check_admin(home: HomeRow | None, caller: AccountRow) -> None:
    """Refuse who is not the administrator of their Home (403, code 1009 or 1042); who has none is."""
    check_not_managed(caller)
    if home is not None and home.admin_id != caller.id:
        raise Forbidden


def removable(home: HomeRow | None, caller: AccountRow, found: MemberRow) -> HomeRow:
    """Return the Home that a member may be taken out of: by its administrator, or by itself unless it is managed.

    Raises:
        Forbidden: by nobody else (1009, 1042); and the administrator stays (1043).
    """
    if found.account.id != caller.id:
        check_admin(home, caller)
    check_not_managed(caller)
    if home is None or found.admin:
        raise not_for_this_user()
    return home


def not_for_this_user() -> Forbidden:
    """Refuse what is for others: it is no managed user, or the administrator (403, code 1043)."""
    return Forbidden("This action is not available for this user", status=403, code=1043)


def cannot() -> Refusal:
    """Refuse what the Home has no room for, or what changed in the meantime (422, code 1008; assumed)."""
    return Refusal("The server could not perform the action required with the entity provided", status=422, code=1008)


def exists() -> Refusal:
    """Refuse to invite who is in a Home or invited already (422, code 1014)."""
    return Refusal("Already exists", status=422, code=1014)


def guest_of(home_id: int) -> tuple[int, str]:
    """Return id and uuid of a Home's guest, who is always named and, as in observed bodies, mostly not enabled."""
    made = sha256(f"guest of home {home_id}".encode()).digest()
    return 30_000_000 + int.from_bytes(made[:8], "big") % 9_000_000, made[8:16].hex()
