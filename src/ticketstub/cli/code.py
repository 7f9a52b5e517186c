"""`ticketstub code`: the verification code that an account's authenticator app shows now.

Rule: it works only for accounts of a local Plex, whose secrets are in a world file or known to the control API. The
code is the only line on standard output.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ticketstub.cli import options
from ticketstub.cli.errors import CommandError, InvalidUsage, wrap_value_errors
from ticketstub.cli.local_plex import explain_server_errors, load_world
from ticketstub.cli.options import CliCommand, argument
from ticketstub.errors import sanitize_text

if TYPE_CHECKING:
    from ticketstub import Err

_KEY_VARIABLE = "TICKETSTUB_CONTROL_KEY"


@click.command(cls=CliCommand)
@argument("account", metavar="ACCOUNT", help="A user name or e-mail address.")
@options.world
@options.demo
@click.option(
    "--control",
    metavar="URL",
    envvar="TICKETSTUB_CONTROL",
    show_envvar=True,
    help=f"Ask this control API, with the key in {_KEY_VARIABLE}: it uses its own clock, and knows added accounts.",
)
def code(*, account: str, world: Path | None, demo: bool, control: str | None) -> None:
    """Print the current verification code of a local Plex account.

    It is the code that the account's authenticator app shows. Name the world of the local Plex, or the control API of a
    running one. A code is valid for 30 seconds, and for one sign-in.
    """
    explanation = "asks a running local Plex and cannot be used with a world"
    options.refuse_unused("control", explanation, unless=not (world or demo))
    if control and not (world or demo):
        print(_fetch_code(control, account))
        return
    with explain_server_errors():
        loaded_world = load_world(world, demo=demo)
        try:
            print(loaded_world.account(account).code())
        except LookupError as error:
            raise CommandError(str(error)) from None
    if sys.stdout.isatty():
        print(f"valid for {30 - int(time.time()) % 30} more seconds, for one sign-in", file=sys.stderr)


def _fetch_code(control: str, account: str) -> str:
    """Ask a control API.

    Raises:
        CommandError: it refused.
        InvalidUsage: the address is invalid, or there is no key.
    """
    import msgspec

    from ticketstub import Device, Plex
    from ticketstub.calls import RawRequest

    key = os.environ.get(_KEY_VARIABLE, "")
    if not key:
        raise InvalidUsage(f"the control API needs its key: set {_KEY_VARIABLE}")
    call = RawRequest(
        method="POST",
        path="/control/v1/codes",
        content=msgspec.json.encode({"account": account}),
        content_type="application/json",
    )
    with (
        Plex(device=Device(client_identifier="ticketstub-code", product="Ticketstub")) as client,
        wrap_value_errors("--control"),
    ):
        outcome = client.at(control.rstrip("/").removesuffix("/control/v1")).attempt(
            call, headers={"Authorization": f"Bearer {key}"}
        )
    response = outcome.response
    if response is None:
        raise cast("Err", outcome).error
    reply: dict[str, str] = {}
    with suppress(msgspec.DecodeError):
        reply = msgspec.json.decode(response.body, type=dict[str, str])
    if response.status == 200 and "code" in reply:
        return sanitize_text(reply["code"])
    raise CommandError(f"the control API refused: {sanitize_text(str(reply.get('error', response.status)))}")
