"""`ticketstub devices`: the account's authorized devices; list them, remove one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import given, options
from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.on_demand import inner_group

if TYPE_CHECKING:
    from ticketstub.client import Plex
    from ticketstub.records import AuthorizedDevice

devices = inner_group("devices", "The account's authorized devices.")

_COLUMNS = ("id", "name", "product", "platform", "seen last", "token")


@devices.command("list")
def list_them(
    *,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """List the account's authorized devices. The one seen last comes first."""
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import Reach, signed_in

    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        found = sorted(client.devices.list(), key=lambda one: one.last_seen_at or 0, reverse=True)
        this = [_is_this(one, client) for one in found]
    if as_json:
        show.as_json({"devices": [facts.with_problems(one) for one in found]})
    elif found:
        show.listed(_COLUMNS, [facts.of_device(one, this=mark) for one, mark in zip(found, this, strict=True)])
    else:
        show.heading("This account has no authorized device.")


@devices.command()
def remove(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its id, client identifier or name.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Remove a device, which ends its tokens. It asks before; to use the device again, sign in again."""
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import Reach, signed_in

    given.can_be_confirmed(yes=yes)
    with signed_in(Reach(plex_tv, timeout, client_identifier, profile)) as client:
        chosen = _chosen(client.devices.list(), device)
        this = _is_this(chosen, client)
        _confirm(chosen, this=this, yes=yes)
        _remove(client, chosen)
    if as_json:
        show.as_json({"removed": True, "device": facts.with_problems(chosen), "this_device": this})
        return
    show.heading(f"Removed: {facts.device_name(chosen)}")
    if this:
        print("That was this device: its token is dead. To forget it here, too: ticketstub logout --local")


def _is_this(device: AuthorizedDevice, client: Plex) -> bool:
    """Tell whether it is the device that asks: a kept sign-in knows its identifier, a given token is its device's."""
    if kept := client.signed_in:
        return device.client_identifier == kept.client_identifier
    return device.token is not None and device.token == client.token


def _chosen(found: Sequence[AuthorizedDevice], wanted: str) -> AuthorizedDevice:
    """Choose a device by its id or client identifier, or else by its name, in any capitals."""
    exact = [one for one in found if wanted in {str(one.id), one.client_identifier}]
    matching = exact or [one for one in found if (one.name or "").casefold() == wanted.casefold()]
    if not matching:
        raise Complaint("the account has no such device", hint="ticketstub devices list")
    if len(matching) > 1:
        ids = ", ".join(str(one.id) for one in matching)
        raise WrongUsage("several devices are called so", hint=f"name one by its id: {ids}")
    return matching[0]


def _confirm(device: AuthorizedDevice, *, this: bool, yes: bool) -> None:
    from ticketstub.cli import facts

    which = f"{facts.device_name(device)}{', THIS device' if this else ''}"
    if not yes and not given.ask(f"Remove {which} and end its tokens?"):
        raise Complaint("nothing was removed")


def _remove(client: Plex, device: AuthorizedDevice) -> None:
    if device.id is None:
        raise Complaint("plex.tv lists this device without an id, so it cannot be removed here")
    client.devices.remove(device.id)
