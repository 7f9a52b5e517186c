"""The page of a Plex Home: who is in it, and switching this browser to another user.

Rule: as a switch over the API: only within one Home, with the passcode of whoever is protected; guesses are counted.
Only this browser's session changes; no token is made and no app notices.
"""

from __future__ import annotations

from msgspec import Struct

from ticketstub.refusals import NotFound, PasscodeRequired, RateLimited
from ticketstub.server import homes, lock_outs
from ticketstub.server.answers import Answer
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import shown, wait
from ticketstub.server.policies import home as policy
from ticketstub.server.store.base import AccountRow
from ticketstub.server.store.homes import MemberRow
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
    """Go on as another user; raises `NotFound` for who is not in this Home."""
    account, instance = visit.account("/account/home"), visit.instance
    target = policy.member(await instance.store.homes.of(account.id), account, visit.given.get("user", "")).account
    try:
        stored = await _prove(visit, account, target)
    except PasscodeRequired:
        return await _list(visit, _WRONG, target.id, 403)
    except RateLimited as refusal:
        seconds = int(refusal.retry_after or 1)
        return await _list(visit, f"This was tried too often. Wait {wait(seconds)}, then try again.", target.id, 429)
    if not await visit.browser.switch(target.id, stored):
        raise NotFound
    return visit.go("/account")


async def _prove(visit: PageVisit, account: AccountRow, target: AccountRow) -> str | None:
    """Check the passcode where one is wanted; return its hash, for the switch to be decided by.

    Raises:
        PasscodeRequired: it is wrong or missing.
        RateLimited: this was tried too often.
    """
    instance, typed = visit.instance, visit.given.get("passcode", "")
    instance.rates.count("switch", account.id)
    await lock_outs.check_not_locked(instance, target.id)
    stored = await instance.store.homes.passcode_hash(target.id)
    proof = policy.proof_wanted(instance.answers, account, stored, Secret(typed) if typed else None)
    if proof is not None and not await homes.proven(instance, target.id, stored or "", proof):
        raise PasscodeRequired
    return stored


async def _list(visit: PageVisit, error: str = "", failed: int = 0, status: int = 200) -> Answer:
    account = visit.account("/account/home")
    home = await visit.instance.store.homes.of(account.id)
    users = [await _shown(visit, member, account, failed) for member in policy.members(home, account)]
    name = (shown(home.name) if home else "") or "Plex Home"
    return visit.page("home.html", status, name=name, users=users, error=error)


async def _shown(visit: PageVisit, member: MemberRow, me: AccountRow, failed: int) -> _Shown:
    account, record = member.account, member.account.record
    tags = [("Administrator", member.admin), ("Managed", record.restricted), ("Guest", record.guest)]
    return _Shown(
        id=account.id,
        title=shown(record.title or record.username) or "A user without a name",
        about=shown(record.email),
        tags=[name for name, said in tags if said],
        here=account.id == me.id,
        protected=await visit.instance.store.homes.passcode_hash(account.id) is not None,
        failed=account.id == failed,
    )
