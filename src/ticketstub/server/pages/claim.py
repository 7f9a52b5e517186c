"""The page of claim tokens: make one for a new media server.

Rule: as over the API: opening the page makes nothing, a managed user gets none, and the token is told this once. One
that was made by who had switched to the account ends with that browser's session.
"""

from __future__ import annotations

from ticketstub.refusals import RateLimited
from ticketstub.server.answers import Answer
from ticketstub.server.claiming import LIVES, MOST, new_claim
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import span
from ticketstub.server.store.claims import NewClaim


async def show(visit: PageVisit) -> Answer:
    """Show what a claim token is, and offer to make one."""
    if visit.account("/claim").record.restricted:
        return _refused(visit)
    return visit.page("claim.html", claim="", life=span(LIVES))


async def make(visit: PageVisit) -> Answer:
    """Make one and show it; raises `RateLimited` for who has too many."""
    account, instance = visit.account("/claim"), visit.instance
    if account.record.restricted:
        return _refused(visit)
    text, now = new_claim(instance), instance.now()
    digest = instance.keys.digest(text)
    origin = visit.browser.digest if visit.browser.by is not None else None
    kept = NewClaim(digest=digest, account_id=account.id, origin=origin, now=now, expires_at=now + LIVES, most=MOST)
    if not await instance.store.claims.create(kept):
        raise RateLimited
    return visit.page("claim.html", claim=text, life=span(LIVES))


def _refused(visit: PageVisit) -> Answer:
    texts = ["A managed user of a Home can have no media server.", "Switch to the administrator of the Home first."]
    ways = [("/account/home", "Plex Home"), ("/account", "Account")]
    return visit.page("message.html", 403, title="Not for managed users", texts=texts, ways=ways)
