"""The start page at `/`: what this is, who can sign in, and where everything else is.

Rule: only `serve` has it, only for a browser (`Accept: text/html`) that names this machine as host, so that a page of
another site whose name was made to lead here (DNS rebinding) gets what any program gets. A button signs in without
password, so it is there only where the password itself would be shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketstub.dns import is_loopback
from ticketstub.local_plex.domain import lock_outs
from ticketstub.local_plex.domain.addresses import connections
from ticketstub.local_plex.http.request import Asked, whole_number
from ticketstub.local_plex.http.response import Answer
from ticketstub.local_plex.openapi import documents
from ticketstub.local_plex.pages import rendering
from ticketstub.local_plex.pages.visit import PageVisit
from ticketstub.refusals import Forbidden

if TYPE_CHECKING:
    from ticketstub.local_plex.domain.instance import Instance
    from ticketstub.local_plex.domain.overview import Overview

PATH = "/"
_PLACES = [
    ("/link", "Link a device", "Type the code that a device or app shows."),
    ("/account", "Account", "Who is signed in at this browser."),
    ("/account/devices", "Authorised devices", "What is signed in as this account."),
    ("/account/home", "Plex Home", "Switch this browser to another Home user."),
    ("/claim", "Claim a media server", "Get a claim token for a new server."),
    (documents.PATH, "API document", "OpenAPI 3.1, of all that plex.tv's port answers."),
]


def is_asked_for(asked: Asked) -> bool:
    """Tell whether a browser on this machine asks for the start page."""
    if asked.path != PATH or b"text/html" not in asked.header(b"accept").lower():
        return False
    return is_loopback((asked.host_name or "").lower())


async def show(visit: PageVisit) -> Answer:
    """Show the page."""
    overview = visit.instance.overview
    if overview is None:
        raise Forbidden
    secrets = _may_see(visit, overview)
    found = await overview.summarise(visit.instance, secrets=secrets)
    rows = await visit.instance.store.media_servers()
    servers = [(row.name, _address(visit.instance, row.machine_identifier)) for row in rows]
    answer = visit.page(
        "start.html",
        found=found,
        secrets=secrets,
        invented=overview.invented,
        knows=overview.knows,
        places=_PLACES,
        servers=[(name, uri) for name, uri in servers if uri],
        url=f"http://{visit.browser.host}",
    )
    answer.headers = rendering.with_own_connections(answer.headers)
    return answer


async def take(visit: PageVisit) -> Answer:
    """Sign this browser in to an account of the world, without its password."""
    instance, overview = visit.instance, visit.instance.overview
    wanted = whole_number(visit.given.get("account", ""))
    if overview is None or wanted is None or not overview.knows(wanted) or not _may_see(visit, overview):
        raise Forbidden
    await lock_outs.check_not_locked(instance, wanted)
    account = await instance.store.account(wanted)
    if account is None or not await visit.browser.sign_in(account, None):
        raise Forbidden
    return visit.go("/account")


def _address(instance: Instance, machine_identifier: str) -> str | None:
    """Return a media server's first address."""
    found = connections(instance.addresses.get(machine_identifier, ()), machine_identifier)
    return found[0].uri if found else None


def _may_see(visit: PageVisit, overview: Overview) -> bool:
    """Tell whether this browser is shown secrets: those of a world of its owner's are for this machine alone."""
    return overview.secrets and (overview.invented or is_loopback(visit.asked.address))
