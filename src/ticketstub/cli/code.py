"""`ticketstub code`: the verification code that an account's authenticator app shows now.

Rule: it works only for accounts of a local Plex, whose secrets are in a world file or known to the control API. The
code is the only line on standard output.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

import click

from ticketstub.cli import options
from ticketstub.cli.errors import CommandError, InvalidUsage
from ticketstub.cli.local_plex import explain_server_errors, load_world
from ticketstub.cli.options import CliCommand, argument
from ticketstub.errors import sanitize_text

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
    import json
    import os

    import msgspec

    from ticketstub.client.transports.http1 import StandardTransport
    from ticketstub.messages import Request

    key = os.environ.get(_KEY_VARIABLE, "")
    if not key:
        raise InvalidUsage(f"the control API needs its key: set {_KEY_VARIABLE}")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    body = json.dumps({"account": account}).encode()
    url = f"{control.rstrip('/').removesuffix('/control/v1')}/control/v1/codes"
    with closing(StandardTransport()) as transport:
        request = Request("code", "POST", url, headers, body)
        try:
            response = transport.send(request, deadline=time.monotonic() + 15, connect_timeout=5)
        except ValueError:
            raise InvalidUsage(
                "--control: it must be the address of a control API, such as http://127.0.0.1:8191"
            ) from None
    try:
        reply = msgspec.json.decode(response.body, type=dict[str, str])
    except msgspec.DecodeError:
        reply = {}
    if response.status == 200 and "code" in reply:
        return sanitize_text(reply["code"])
    raise CommandError(f"the control API refused: {sanitize_text(str(reply.get('error', response.status)))}")
