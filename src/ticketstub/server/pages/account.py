"""The account's page: who is signed in, and where to go from here."""

from __future__ import annotations

from ticketstub.server.answers import Answer
from ticketstub.server.pages.visit import PageVisit
from ticketstub.server.pages.words import shown

_PLACES = [
    ("/link", "Link a device", "Type the code that a device or app shows."),
    ("/account/devices", "Authorised devices", "See what is signed in, and remove it."),
    ("/account/home", "Plex Home", "Switch this browser to another Home user."),
    ("/claim", "Claim a media server", "Get a claim token for a new server."),
]


async def show(visit: PageVisit) -> Answer:
    """Show who is signed in."""
    record = visit.account("/account").record
    facts = [("E-mail", shown(record.email)), ("Known as", shown(record.friendly_name))]
    return visit.page("account.html", facts=facts, places=_PLACES)
