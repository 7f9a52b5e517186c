"""The page of a Plex Home: who is in it, and switching this browser to another user.

Rule: as a switch over the API: only within one Home, with the passcode of whoever is protected; guesses are counted.
Only this browser's session changes; no token is made and no app notices.
"""

from __future__ import annotations

from msgspec import Struct

from ticketstub.refusals import NotFound, RateLimited
from ticketstub.server import lock_outs
from ticketstub.server.answers import Answer
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import shown, wait
from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.homes import HomeRow, MemberRow
from ticketstub.token import Secret

_WRONG = "This passcode is wrong."


class _Shown(Struct, frozen=True):
    id: int
    title: str
    about: str
    tags: list[str]
    here: bool
    protected: bool
    failed: bool


async def show(visit: PageVisit) -> Answer:
    """Show the Home's users."""
    return await _list(visit)


async def switch(visit: PageVisit) -> Answer:
    """Go on as another user."""
    account, instance = visit.account("/account/home"), visit.instance
    home = await instance.store.homes.of(account.id)
    target = _member(home, visit.given.get("user", "")).account
    try:
        right = await _is_right(visit, account, target)
    except RateLimited as refusal:
        seconds = int(refusal.retry_after or 1)
        return await _list(visit, f"Too many wrong passcodes were typed. Wait {wait(seconds)}.", target.id, 429)
    if not right:
        return await _list(visit, _WRONG, target.id, 403)
    if not await visit.browser.switch(target.id):
        raise NotFound
    return visit.go("/account")


async def _is_right(visit: PageVisit, account: AccountRow, target: AccountRow) -> bool:
    """Check the passcode, where there is one and it is not the user's own way back."""
    instance = visit.instance
    await lock_outs.check_not_locked(instance, target.id)
    stored = await instance.store.homes.passcode_hash(target.id)
    if stored is None or target.id == account.id:
        return True
    tried = await lock_outs.attempt(instance, "passcode", str(target.id), visit.asked.address)
    typed = Secret(visit.given.get("passcode", ""))
    if not await instance.passwords.verify(stored, typed, visit.asked.address):
        return False
    await tried.succeeded()
    return True


def _member(home: HomeRow | None, number: str) -> MemberRow:
    """Find a user of this Home; raises `NotFound`."""
    for member in home.members if home else ():
        if str(member.account.id) == number and not member.account.disabled:
            return member
    raise NotFound


async def _list(visit: PageVisit, error: str = "", failed: int = 0, status: int = 200) -> Answer:
    account = visit.account("/account/home")
    home = await visit.instance.store.homes.of(account.id)
    members = home.members if home else (MemberRow(account=account, admin=True, changed_at=0),)
    users = [await _shown(visit, member, account, failed) for member in members]
    name = (shown(home.name) if home else "") or "Plex Home"
    return visit.page("home.html", status, name=name, users=users, error=error)


async def _shown(visit: PageVisit, member: MemberRow, me: AccountRow, failed: int) -> _Shown:
    account, record = member.account, member.account.record
    managed = not record.username
    return _Shown(
        id=account.id,
        title=shown(record.title or record.username) or "A user without a name",
        about=shown(record.email),
        tags=[*(["Administrator"] if member.admin else []), *(["Managed"] if managed else [])],
        here=account.id == me.id,
        protected=await visit.instance.store.homes.passcode_hash(account.id) is not None,
        failed=account.id == failed,
    )
