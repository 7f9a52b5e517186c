"""`ticketstub demo`: two ways to sign in and the four operations, against a local Plex with the demonstration world.

Rule: it shows what happens: requests come from the client's own hooks, and errors are caught as a program catches them;
no query, header or body is shown. It uses the library as any program does; only the verification code comes from the
world. The program at its end runs unchanged next to `ticketstub serve --demo`; a test runs it.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from ticketstub.cli import formatting, output
from ticketstub.cli.local_plex import explain_server_errors
from ticketstub.cli.options import CliCommand
from ticketstub.cli.output import Fields
from ticketstub.errors import PlexError, sanitize_text
from ticketstub.messages import Request, Response, get_origin

if TYPE_CHECKING:
    from ticketstub import Plex
    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.local_plex.world.schema import WorldAccount
    from ticketstub.models import Resource

PROGRAM = """\
from ticketstub import Plex
from ticketstub.testing import World

mira = World.demo().account("mira_quill")
plex = Plex(plex_tv="http://127.0.0.1:8190")
account = plex.authentication.post_users_sign_in_data(
    login=mira.username, password=mira.password,
    verification_code=mira.code(),
)
mine = plex.with_options(token=account.auth_token)
print(mine.authentication.get_token_details().email)

attic = next(r for r in mine.resources() if r.name == "Attic")
url = attic.connections[0].uri
server = mine.at(url, token=attic.access_token)
transient = server.authentication.get_transient_token()

guest = mine.at(url, token=transient.token)
for source in (
    f"server://{attic.client_identifier}",
    "provider://tv.plex.provider.attic-guide",
):
    found = guest.authentication.get_source_connection_information(
        source=source
    )
    print(found.name, [c.uri for c in found.connections])
"""
"""The program; its lines fit a terminal of 72 columns."""


@click.command(cls=CliCommand)
def demo() -> None:
    """Sign in to a local Plex in two ways and look around: the four operations, and what errors look like."""
    with (
        tempfile.TemporaryDirectory(prefix="ticketstub-demo-", ignore_cleanup_errors=True) as folder,
        explain_server_errors(),
    ):
        from ticketstub.local_plex.local_plex import LocalPlex
        from ticketstub.local_plex.world.schema import World

        with LocalPlex(World.demo(), db=f"sqlite:///{Path(folder, 'demo.db').as_posix()}").run_in_thread() as local:
            _run_demo(local)


def _run_demo(local: LocalPlex) -> None:
    from rich.syntax import Syntax

    from ticketstub import Device, Plex, Retry

    names = {local.url: "plex.tv", **{server.url: server.name for server in local.media_servers}}
    output.print_section(
        "Ticketstub: a client, and a local Plex in this process, which is a stand-in and not Plex",
        ((name, url) for url, name in names.items()),
    )
    transcript = _Transcript(names)
    device = Device(client_identifier="ticketstub-demo", product="Ticketstub", device_name="Demonstration")
    mira = local.world.accounts[0]
    with Plex(
        device=device,
        plex_tv=local.url,
        retry=Retry(attempts=1),  # show errors at once
        timeout=5,
        on_request=transcript.on_request,
        on_response=transcript.on_response,
    ) as plex:
        account_client = _sign_in(transcript, plex, mira)
        attic = _show_account_and_servers(transcript, account_client)
        _use_transient_token(transcript, account_client, attic)
        _show_errors(transcript, plex, mira)
    transcript.start_section("The same in Python", "runs next to `ticketstub serve --demo`")
    program = Syntax(PROGRAM, "python", theme="ansi_dark", background_color="default").highlight(PROGRAM)
    output.create_console().print(program, end="")


def _sign_in(transcript: _Transcript, plex: Plex, mira: WorldAccount) -> Plex:
    """Sign in with a password, then another device by a link code, and return the client that signed in first."""
    transcript.start_section("Sign in", "with a password and a verification code")
    account = plex.authentication.post_users_sign_in_data(
        login=mira.username, password=mira.password or "", verification_code=mira.code()
    )
    transcript.print_record("Account", [("user name", account.username), *formatting.format_account(account)])
    account_client = plex.with_options(token=account.auth_token)
    transcript.start_section("Sign in another device by a link code", "in a browser, you would enter it at /link")
    pending = plex.with_options(client_identifier="ticketstub-demo-tv").begin_sign_in(code=True)
    transcript.print_record("PendingSignIn", [("code", pending.code), ("enter it at", pending.link_page)])
    account_client.pins.link(pending.code)
    handle = pending.finish().account()
    transcript.print_record(
        "AccountHandle", [("user name", handle.name), ("token", formatting.format_token(handle.details.auth_token))]
    )
    return account_client


def _show_account_and_servers(transcript: _Transcript, account_client: Plex) -> Resource:
    """Show the token's account and its media servers, and return the server named Attic."""
    transcript.start_section("Whose token is this?")
    account = account_client.authentication.get_token_details()
    transcript.print_record("Account", [("user name", account.username), *formatting.format_account(account)])
    transcript.start_section("Which media servers can it reach?")
    resources = account_client.resources()
    for resource in resources:
        name, access, product, token, addresses = formatting.format_resource_row(resource)
        transcript.print_record(
            "Resource",
            [
                ("name", f"{name}, {access}"),
                ("product", product),
                ("token", token),
                *(("address", address) for address in addresses.split("\n")),
            ],
        )
    return next(one for one in resources if one.name == "Attic")


def _use_transient_token(transcript: _Transcript, account_client: Plex, attic: Resource) -> None:
    """Get a transient token from the media server, and use it to ask how to reach two sources."""
    server = account_client.at(attic.connections[0].uri or "", token=attic.access_token)
    transcript.start_section("Get a transient token", "with the same rights, for at most 48 hours")
    transient = server.authentication.get_transient_token()
    transcript.print_record(
        "TransientToken", [("token", formatting.format_token(transient.token)), ("made from", str(server.token))]
    )
    transcript.start_section("Use it to ask how to reach a source", "another media server, and a provider")
    transient_client = account_client.at(server.url, token=transient.token)
    for source in (f"server://{attic.client_identifier}", "provider://tv.plex.provider.attic-guide"):
        information = transient_client.authentication.get_source_connection_information(source=source)
        transcript.print_record(
            "Source", [("name", information.name), ("asked for", source), *formatting.format_source(information)]
        )


def _show_errors(transcript: _Transcript, plex: Plex, mira: WorldAccount) -> None:
    """Show what refusals and an unreachable server look like to a program."""
    from ticketstub.tokens import Token

    sign_in = plex.authentication.post_users_sign_in_data
    transcript.expect_error("A wrong password", lambda: sign_in(login=mira.username, password="not-the-password"))  # noqa: S106  # it is wrong
    transcript.expect_error(
        "A missing verification code", lambda: sign_in(login=mira.username, password=mira.password or "")
    )
    dead = plex.with_options(token=Token("this-token-was-ended"))
    transcript.expect_error("A dead token", dead.authentication.get_token_details)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}"  # a port where nothing listens
    transcript.expect_error("A media server that cannot be reached", plex.at(nowhere).identity)


class _Transcript:
    """Prints what happens, as it happens.

    Args:
        names: the name of each address.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._number = 0
        self._pending_request: Request | None = None
        self._sent_at = 0.0

    def start_section(self, title: str, subtitle: str = "") -> None:
        """Print the heading of a section."""
        from rich.text import Text

        self._number += 1
        output.create_console().print(
            Text.assemble(f"\n{self._number}  ", (title, "bold"), (f": {subtitle}" if subtitle else "", "dim"))
        )

    def on_request(self, request: Request) -> None:
        """Remember a request until its response arrives."""
        self._pending_request, self._sent_at = request, perf_counter()

    def on_response(self, request: Request, response: Response, seconds: float) -> None:
        """Print a request and the status of its response."""
        self._pending_request = None
        self._print_exchange(request, str(response.status), "green" if response.status < 400 else "red", seconds)

    def _print_exchange(self, request: Request, status: str, colour: str, seconds: float) -> None:
        from rich.text import Text

        name = self._names.get(get_origin(request.url), get_origin(request.url))
        line = Text.assemble(
            "   ",
            (request.method, "cyan"),
            f" {sanitize_text(request.path)}  ",
            (status, colour),
            f"  {seconds * 1000:.1f} ms",
            (f"  {name}", "dim"),
        )
        output.create_console().print(line)

    def print_record(self, class_name: str, pairs: Fields) -> None:
        """Print the class and the fields of a result."""
        from rich.text import Text

        output.create_console().print(Text(f"   {class_name}", style="italic"))
        output.print_fields(pairs, indent=5)

    def expect_error(self, title: str, call: Callable[[], object]) -> None:
        """Start a section, make a call that fails, and print the error as a program sees it."""
        self.start_section(title)
        try:
            call()
        except PlexError as error:
            if self._pending_request:
                self._print_exchange(self._pending_request, "no answer", "red", perf_counter() - self._sent_at)
            kind, parent = type(error).__mro__[:2]
            numbers = " / ".join(str(number) for number in (error.status, error.code) if number is not None)
            self.print_record(
                f"{kind.__name__}, a kind of {parent.__name__}",
                [("message", error.message), ("hint", error.hint), ("status / code", numbers)],
            )
