"""`ticketstub demo`: ways to sign in and the four operations, against a local Plex of the demonstration's own.

Rule: what is shown is what happened: requests are told by the client's own hooks, errors are caught as a program
would catch them; never a query, a header or a body. It is an ordinary user of the library; only the verification code
comes from the world. The program at its end runs as it stands beside `ticketstub serve --demo`; a test does that.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from ticketstub.cli import facts, output
from ticketstub.cli.help import Command
from ticketstub.cli.local_plex import explained
from ticketstub.cli.output import Facts
from ticketstub.errors import PlexError, printable
from ticketstub.messages import Request, Response, origin_of

if TYPE_CHECKING:
    from ticketstub.client.plex import Plex
    from ticketstub.local_plex.local_plex import LocalPlex
    from ticketstub.local_plex.world.schema import WorldAccount
    from ticketstub.models import Resource

LINES = """\
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
"""The program; in a terminal of 72 columns no line is broken."""


@click.command(cls=Command)
def demo() -> None:
    """Sign in to a local Plex two ways and look around: the four operations, and what failures look like."""
    with tempfile.TemporaryDirectory(prefix="ticketstub-demo-", ignore_cleanup_errors=True) as folder, explained():
        from ticketstub.local_plex.local_plex import LocalPlex
        from ticketstub.local_plex.world.schema import World

        with LocalPlex(World.demo(), db=f"sqlite:///{Path(folder, 'demo.db').as_posix()}").running() as local:
            _tell(local)


def _tell(local: LocalPlex) -> None:
    from ticketstub.client.config import Retry
    from ticketstub.client.plex import Plex
    from ticketstub.device import Device

    story = _Story({local.url: "plex.tv", **{server.url: server.name for server in local.media_servers}})
    story.introduce("Ticketstub: a local Plex in this process, a stand-in and not Plex, and a client that talks to it")
    device = Device(client_identifier="ticketstub-demo", product="Ticketstub", device_name="Demonstration")
    once = Retry(attempts=1)  # what fails is shown at once
    mira = local.world.accounts[0]
    with Plex(
        device=device,
        plex_tv=local.url,
        retry=once,
        timeout=5,
        on_request=story.on_request,
        on_response=story.on_response,
    ) as plex:
        mine = _sign_in(story, plex, mira)
        _link(story, plex, mine)
        attic = _look_around(story, mine)
        _use_a_transient_token(story, mine, attic)
        _fail(story, plex, mira)
    story.section("The same in Python", "beside `ticketstub serve --demo`, as it stands")
    _show_code()


def _sign_in(story: _Story, plex: Plex, mira: WorldAccount) -> Plex:
    """Sign in, and return the client of who has signed in."""
    story.section("Sign in", "with a password and a verification code")
    account = plex.authentication.post_users_sign_in_data(
        login=mira.username, password=mira.password or "", verification_code=mira.code()
    )
    story.record("Account", [("user name", account.username), *facts.of_account(account)])
    return plex.with_options(token=account.auth_token)


def _link(story: _Story, plex: Plex, mine: Plex) -> None:
    """Sign another device in by a code, which its user types on the link page; here the first client does it."""
    story.section("Sign in another device by a link code", "in a browser you would type it at /link")
    television = plex.with_options(client_identifier="ticketstub-demo-tv")
    begun = television.begin_sign_in(code=True)
    story.record("SignIn", [("code", begun.code), ("type it at", begun.link_page)])
    mine.pins.link(begun.code)
    account = begun.finish().account()
    story.record(
        "SignedInAccount", [("user name", account.name), ("token", facts.token_text(account.details.auth_token))]
    )


def _look_around(story: _Story, mine: Plex) -> Resource:
    """Read the token's account and its media servers, and return the one called Attic."""
    story.section("Whose token is this?")
    account = mine.authentication.get_token_details()
    story.record("Account", [("user name", account.username), *facts.of_account(account)])
    story.section("Which media servers can it reach?")
    found = mine.resources()
    for one in found:
        name, access, product, token, addresses = facts.of_resource(one)
        story.record(
            "Resource",
            [
                ("name", f"{name}, {access}"),
                ("product", product),
                ("token", token),
                *(("address", address) for address in addresses.split("\n")),
            ],
        )
    return next(one for one in found if one.name == "Attic")


def _use_a_transient_token(story: _Story, mine: Plex, attic: Resource) -> None:
    """Get a transient token from the media server, and ask with it how to reach two sources."""
    server = mine.at(attic.connections[0].uri or "", token=attic.access_token)
    story.section("Get a transient token", "the same rights, for at most 48 hours")
    transient = server.authentication.get_transient_token()
    story.record("TransientToken", [("token", facts.token_text(transient.token)), ("made from", str(server.token))])
    story.section("Ask with it how to reach a source", "another media server, and a provider")
    guest = mine.at(server.url, token=transient.token)
    for source in (f"server://{attic.client_identifier}", "provider://tv.plex.provider.attic-guide"):
        found = guest.authentication.get_source_connection_information(source=source)
        story.record("Source", [("name", found.name), ("asked for", source), *facts.of_source(found)])


def _fail(story: _Story, plex: Plex, mira: WorldAccount) -> None:
    """Show what refusals and silence look like to a program."""
    from ticketstub.tokens import Token

    sign_in = plex.authentication.post_users_sign_in_data
    wrong, right = "not-the-password", mira.password or ""
    story.expect("A wrong password", lambda: sign_in(login=mira.username, password=wrong))
    without_code = "A verification code is wanted, and none was sent"
    story.expect(without_code, lambda: sign_in(login=mira.username, password=right))
    dead = plex.with_options(token=Token("this-token-was-ended"))
    story.expect("A dead token", dead.authentication.get_token_details)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}"  # a port that was free a moment ago
    story.expect("A media server that is not there", plex.at(nowhere).identity)


def _show_code() -> None:
    """Print the program, in colours on a terminal and bare in a pipe, so that it can be copied from either."""
    out = output.console()
    if not out.is_terminal or out.no_color:
        print(LINES, end="")
        return
    from rich.syntax import Syntax

    coloured = Syntax(LINES, "python", theme="ansi_dark", background_color="default").highlight(LINES)
    coloured.rstrip()
    out.print(coloured)


class _Story:
    """Tells what happens, as it happens.

    Args:
        places: the name of each address.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._number = 0
        self._unanswered: Request | None = None
        self._asked_at = 0.0

    def introduce(self, text: str) -> None:
        """Print what this is, and the addresses."""
        output.heading(text)
        output.facts((name, url) for url, name in self._places.items())

    def section(self, title: str, more: str = "") -> None:
        """Begin a section."""
        from rich.text import Text

        self._number += 1
        output.console().print(
            Text.assemble(f"\n{self._number}  ", (title, "bold"), (f": {more}" if more else "", "dim"))
        )

    def on_request(self, request: Request) -> None:
        """Remember a request until its answer comes."""
        self._unanswered, self._asked_at = request, perf_counter()

    def on_response(self, request: Request, response: Response, seconds: float) -> None:
        """Print a request and how it was answered."""
        self._unanswered = None
        self._line(request, str(response.status), "green" if response.status < 400 else "red", seconds)

    def _line(self, request: Request, status: str, colour: str, seconds: float) -> None:
        from rich.text import Text

        place = self._places.get(origin_of(request.url), origin_of(request.url))
        took = f"  {seconds * 1000:.1f} ms"
        line = Text.assemble("   ", (request.method, "cyan"), f" {printable(request.path)}  ", (status, colour), took)
        output.console().print(line.append(f"  {place}", "dim"))

    def record(self, kind: str, pairs: Facts) -> None:
        """Print what came back: its class and the fields that matter."""
        from rich.text import Text

        output.console().print(Text(f"   {kind}", style="italic"))
        output.facts(pairs, indent=5)

    def expect(self, title: str, call: Callable[[], object]) -> None:
        """Begin a section, make a call that fails, and print the error as a program sees it."""
        self.section(title)
        try:
            call()
        except PlexError as error:
            if self._unanswered:
                self._line(self._unanswered, "no answer", "red", perf_counter() - self._asked_at)
            kind, parent = type(error).__mro__[:2]
            numbers = " / ".join(str(number) for number in (error.status, error.code) if number is not None)
            self.record(
                f"{kind.__name__}, a kind of {parent.__name__}",
                [("message", error.message), ("hint", error.hint), ("status / code", numbers)],
            )
        else:
            raise AssertionError("this was to fail")
