"""The start page at `/`: what this is, who can sign in, and where everything else is.

Rule: only `serve` has it, only for a browser (`Accept: text/html`) that names this machine as host, so that a page of
another site whose name was made to lead here (DNS rebinding) gets what any program gets. A button signs in without
password, so it is there only where the password itself would be shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketstub.dns import is_loopback
from ticketstub.local_plex.domain import sign_ins
from ticketstub.local_plex.domain.media_servers import build_connections
from ticketstub.local_plex.http.request import IncomingRequest, parse_whole_number
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages import rendering
from ticketstub.local_plex.pages.visit import PageContext
from ticketstub.local_plex.settings import OPENAPI_PATH
from ticketstub.refusals import Forbidden

if TYPE_CHECKING:
    from ticketstub.local_plex.domain.instance import Instance
    from ticketstub.local_plex.domain.overview import Overview

PATH = "/"
_LINKS = [
    ("/link", "Link a device", "Type the code that a device or app shows."),
    ("/account", "Account", "Who is signed in at this browser."),
    ("/account/devices", "Authorised devices", "What is signed in as this account."),
    ("/account/home", "Plex Home", "Switch this browser to another Home user."),
    ("/claim", "Claim a media server", "Get a claim token for a new server."),
    (OPENAPI_PATH, "API document", "OpenAPI 3.1, of all that plex.tv's port answers."),
]


def is_start_page_request(request: IncomingRequest) -> bool:
    """Tell whether a browser on this machine asks for the start page."""
    if request.path != PATH or b"text/html" not in request.get_header(b"accept").lower():
        return False
    return is_loopback((request.host_name or "").lower())


async def show_start(context: PageContext) -> OutgoingResponse:
    """Show the page."""
    overview = context.instance.overview
    if overview is None:
        raise Forbidden
    show_secrets = _can_see_secrets(context, overview)
    summary = await overview.summarise(context.instance, include_secrets=show_secrets)
    rows = await context.instance.store.list_media_servers()
    servers = [(row.name, _find_first_address(context.instance, row.machine_identifier)) for row in rows]
    response = context.render_page(
        "start.html",
        found=summary,
        secrets=show_secrets,
        invented=overview.is_demo,
        knows=overview.is_world_account,
        places=_LINKS,
        servers=[(name, uri) for name, uri in servers if uri],
        url=f"http://{context.browser.host}",
    )
    response.headers = rendering.allow_own_connections(response.headers)
    return response


async def sign_in_without_password(context: PageContext) -> OutgoingResponse:
    """Sign this browser in to an account of the world, without its password."""
    instance, overview = context.instance, context.instance.overview
    account_id = parse_whole_number(context.parameters.get("account", ""))
    if (
        overview is None
        or account_id is None
        or not overview.is_world_account(account_id)
        or not _can_see_secrets(context, overview)
    ):
        raise Forbidden
    await sign_ins.check_not_locked(instance, account_id)
    account = await instance.store.find_account_by_id(account_id)
    if account is None or not await context.browser.sign_in(account, None):
        raise Forbidden
    return context.redirect("/account")


def _find_first_address(instance: Instance, machine_identifier: str) -> str | None:
    """Return a media server's first address."""
    found = build_connections(instance.addresses.get(machine_identifier, ()), machine_identifier)
    return found[0].uri if found else None


def _can_see_secrets(context: PageContext, overview: Overview) -> bool:
    """Tell whether this browser is shown secrets: those of a world of its owner's are for this machine alone."""
    return overview.show_secrets and (overview.is_demo or is_loopback(context.request.client_address))
