"""`ticketstub devices`: the account's authorized devices; list them, remove one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ticketstub.cli import facts, options, output, prompts
from ticketstub.cli.clients import Reach, signed_in
from ticketstub.cli.failures import Complaint, WrongUsage
from ticketstub.cli.help import Group, argument

if TYPE_CHECKING:
    from ticketstub.client.plex import Plex
    from ticketstub.models import AuthorizedDevice

devices = Group("devices", help="The account's authorized devices.")


@devices.command("list")
@options.reaching
def list_them(*, reach: Reach, as_json: bool) -> None:
    """List the account's authorized devices. The one seen last comes first."""
    with signed_in(reach) as client:
        found = sorted(client.devices.list(), key=lambda one: one.last_seen_at or 0, reverse=True)
        rows = [facts.of_device(one, this=_is_this(one, client)) for one in found]
    output.records(
        "devices",
        found,
        columns=("id", "name", "product", "platform", "seen last", "token"),
        rows=rows,
        nothing="This account has no authorized device.",
        as_json=as_json,
    )


@devices.command()
@argument("device", metavar="DEVICE", help="Its id, client identifier or name.")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@options.reaching
def remove(*, reach: Reach, as_json: bool, device: str, yes: bool) -> None:
    """Remove a device, which ends its tokens. It asks before; to use the device again, sign in again."""
    prompts.can_be_confirmed(yes=yes)
    with signed_in(reach) as client:
        chosen = _chosen(client.devices.list(), device)
        this = _is_this(chosen, client)
        which = f"{facts.device_name(chosen)}{', THIS device' if this else ''}"
        if not yes and not prompts.ask(f"Remove {which} and end its tokens?"):
            raise Complaint("nothing was removed")
        if chosen.id is None:
            raise Complaint("plex.tv lists this device without an id, so it cannot be removed here")
        client.devices.remove(chosen.id)
    output.result(
        {"removed": True, "device": facts.with_problems(chosen), "this_device": this},
        f"Removed: {facts.device_name(chosen)}",
        as_json=as_json,
    )
    if this and not as_json:
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
