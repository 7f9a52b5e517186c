"""The link page: type the code that a device shows.

Rule: a code in the URL is shown, never taken: somebody types it or sends the form. Whoever guesses is stopped soon, on
the same count as over the API; a right code costs no attempt, and opens the approval, no more.
"""

from __future__ import annotations

import re

from ticketstub.refusals import RateLimited
from ticketstub.server import lock_outs, pins
from ticketstub.server.answers import Answer
from ticketstub.server.pages.asked_for import AskedFor
from ticketstub.server.pages.auth_app import checked, typed_later
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import wait

_NOBODY = "No device is waiting with this code. Look at its screen again: codes run out."
_NO_CODE = re.compile(r"[^A-Za-z0-9]")


async def show(visit: PageVisit) -> Answer:
    """Show the form."""
    code = _typed(visit.given)
    visit.account("/link", **({"pin": code} if code else {}))
    return visit.page("link.html", error="", code=code, kept={})


async def take(visit: PageVisit) -> Answer:
    """Look a code up, and go on to its approval."""
    asked, code = AskedFor.read({**visit.given, "code": _typed(visit.given)}), _typed(visit.given)
    account = visit.account("/link", **({"pin": code} if code else {}))
    try:
        tried = await lock_outs.attempt(visit.instance, "link_code", str(account.id))
    except RateLimited as refused:
        text = f"Too many wrong codes were typed. Wait {wait(int(refused.retry_after or 1))}, then try again."
        return _again(visit, asked, text, 429)
    if not await _is_there(visit, asked):
        return _again(visit, asked, _NOBODY, 404)
    await tried.give_back()
    return visit.go("/auth", **typed_later(asked), code=code, checked=checked(visit, code, account))


async def _is_there(visit: PageVisit, asked: AskedFor) -> bool:
    pin = await visit.instance.store.pins.find_code(asked.code, visit.instance.now()) if len(asked.code) == 4 else None
    if pin is None or pin.account_id is not None or pin.denied_at is not None:
        return False
    return asked.client_identifier in {"", pin.client.client_identifier}


def _typed(given: dict[str, str]) -> str:
    """Return a code as it was typed or came in a URL, in capitals, without what people put between."""
    letters = _NO_CODE.sub("", given.get("pin", ""))[:8]
    return pins.code_of(letters, any_case=True) or letters.upper()


def _again(visit: PageVisit, asked: AskedFor, error: str, status: int) -> Answer:
    return visit.page("link.html", status, error=error, code=asked.code, kept=typed_later(asked))
