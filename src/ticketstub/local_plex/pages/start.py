"""The start page at `/`: what the local Plex is, who can sign in, and links to everything else.

Rule: only `serve` has this page, and only for a browser (`Accept: text/html`) whose Host is this machine. A page of
another site whose name was pointed at this machine (DNS rebinding) gets what any program gets. A button signs in
without a password, so it is shown only if the password itself may be shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketstub.dns import is_loopback
from ticketstub.local_plex.domain import sign_ins
from ticketstub.local_plex.domain.media_servers import build_connections
from ticketstub.local_plex.http.request import parse_whole_number
from ticketstub.local_plex.http.response import OutgoingResponse
from ticketstub.local_plex.pages.account import LINKS
from ticketstub.local_plex.pages.context import PageContext, allow_own_connections
from ticketstub.local_plex.settings import OPENAPI_PATH
from ticketstub.refusals import Forbidden

if TYPE_CHECKING:
    from ticketstub.local_plex.domain.overview import Overview

PATH = "/"
_LINKS = [
    *LINKS,
    ("/account", "Account", "See who is signed in to this browser."),
    (OPENAPI_PATH, "API document", "The OpenAPI 3.1 description of this port."),
]


async def show_start(context: PageContext) -> OutgoingResponse:
    """Show the page."""
    instance, overview = context.instance, context.instance.overview
    if overview is None:
        raise Forbidden
    show_secrets = _can_see_secrets(context, overview)
    servers = [
        (row.name, connection.uri)
        for row in await instance.store.list_media_servers()
        for connection in build_connections(instance.addresses.get(row.machine_identifier, ()), row.machine_identifier)[
            :1
        ]
    ]
    response = context.render_page(
        "start.html",
        summary=await overview.summarise(instance, include_secrets=show_secrets),
        show_secrets=show_secrets,
        is_demo=overview.is_demo,
        is_world_account=overview.is_world_account,
        links=_LINKS,
        servers=servers,
        url=f"http://{context.request.host}",
    )
    response.headers = allow_own_connections(response.headers)
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


def _can_see_secrets(context: PageContext, overview: Overview) -> bool:
    """Tell whether this browser may see secrets; those of the user's own world stay on this machine."""
    return overview.show_secrets and (overview.is_demo or is_loopback(context.request.client_address))
