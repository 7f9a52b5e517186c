"""`ticketstub logout`: end the kept sign-in at Plex, then forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import options
from ticketstub.cli.complaints import Complaint
from ticketstub.errors import PlexError

if TYPE_CHECKING:
    from ticketstub.cli.connection import Reach
    from ticketstub.credentials.base import Entry


def logout(
    *,
    local: Annotated[
        bool, typer.Option("--local", help="Forget it here only; its token lives on at Plex. Needs no network.")
    ] = False,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Sign out: end the kept token at Plex, then forget it. If Plex cannot be told, it stays kept."""
    from ticketstub.cli import keeping, show
    from ticketstub.cli.connection import Reach

    reach = Reach(plex_tv, timeout, client_identifier, profile)
    wanted = keeping.entry(reach.issuer, profile)
    told = _forgotten(wanted) if local else _ended(reach, wanted)
    if as_json:
        show.as_json(
            {"profile": wanted.profile, "issuer": wanted.issuer, "ended_at_plex": not local, "still_kept": False}
        )
        return
    show.heading(told)
    if local:
        print("Its token still lives at Plex: remove this device in the account's list of devices to end it.")


def _forgotten(wanted: Entry) -> str:
    """Forget it in every store, also where it cannot be read."""
    from ticketstub.cli import keeping

    keyring, files = keeping.stores()
    gone = [files.remove(*wanted), wanted in keyring.profiles() and keyring.remove(*wanted)]
    if not any(gone):
        raise keeping.missing(wanted)
    return f"Forgotten here: the profile {wanted.profile}"


def _ended(reach: Reach, wanted: Entry) -> str:
    from ticketstub.cli import keeping
    from ticketstub.cli.connection import kept

    found = keeping.find(wanted)
    if found is None:
        raise keeping.missing(wanted)
    with kept(reach, found) as client:
        try:
            client.sign_out()
        except PlexError as error:
            raise Complaint(
                f"{found.name} is not signed out, and still kept: {error.message}",
                hint="try again later; --local forgets it here now, while its token lives on at Plex",
                refusal=error,
            ) from None
    return f"Signed out: {found.name}"
