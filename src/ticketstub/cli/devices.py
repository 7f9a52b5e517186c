"""`ticketstub devices`: list and remove the account's authorized devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ticketstub.cli import formatting, options, output, prompts
from ticketstub.cli.errors import CommandError, InvalidUsage
from ticketstub.cli.options import CliGroup, argument
from ticketstub.cli.sign_ins import ConnectionOptions, open_client

if TYPE_CHECKING:
    from ticketstub import Plex
    from ticketstub.models import AuthorizedDevice

devices = CliGroup("devices", help="Manage the account's authorized devices.")


@devices.command("list")
@options.pass_connection
def list_devices(*, connection: ConnectionOptions, as_json: bool) -> None:
    """List the account's authorized devices, the most recently seen first."""
    with open_client(connection) as client:
        found = sorted(client.devices.list(), key=lambda one: one.last_seen_at or 0, reverse=True)
        rows = [formatting.format_device_row(one, is_this=_is_this_device(one, client)) for one in found]
    output.print_records(
        "devices",
        found,
        columns=("id", "name", "product", "platform", "last seen", "token"),
        rows=rows,
        empty_message="This account has no authorized device.",
        as_json=as_json,
    )


@devices.command()
@argument("device", metavar="DEVICE", help="Its id, client identifier or name.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@options.pass_connection
def remove(*, connection: ConnectionOptions, as_json: bool, device: str, yes: bool) -> None:
    """Remove a device and end its tokens, after asking. To use the device again, sign in on it again."""
    prompts.ensure_can_confirm(yes=yes)
    with open_client(connection) as client:
        selected = _find_device(client.devices.list(), device)
        is_this = _is_this_device(selected, client)
        name = formatting.format_device_name(selected)
        if not yes and not prompts.confirm(f"Remove {name}{', THIS device' if is_this else ''} and end its tokens?"):
            raise CommandError("nothing was removed")
        if selected.id is None:
            raise CommandError("plex.tv lists this device without an id, so it cannot be removed here")
        client.devices.remove(selected.id)
    output.print_result(
        {"removed": True, "device": formatting.model_to_json(selected), "this_device": is_this},
        f"Removed: {name}",
        as_json=as_json,
    )
    if is_this and not as_json:
        print("That was this device: its token has ended. To delete it here too: ticketstub logout --local")


def _is_this_device(device: AuthorizedDevice, client: Plex) -> bool:
    """Return whether it is this device: by its client identifier if a sign-in is stored, else by its token."""
    if session := client.sign_in_state:
        return device.client_identifier == session.client_identifier
    return device.token is not None and device.token == client.token


def _find_device(candidates: Sequence[AuthorizedDevice], query: str) -> AuthorizedDevice:
    """Find a device by its id or client identifier, else by its name, ignoring case."""
    exact = [one for one in candidates if query in {str(one.id), one.client_identifier}]
    matching = exact or [one for one in candidates if (one.name or "").casefold() == query.casefold()]
    if not matching:
        raise CommandError("the account has no such device", hint="ticketstub devices list")
    if len(matching) > 1:
        hint = f"use one of their ids: {', '.join(str(one.id) for one in matching)}"
        raise InvalidUsage("several devices have this name", hint=hint)
    return matching[0]
