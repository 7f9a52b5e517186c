"""`ticketstub demo`: ways to sign in and the four operations, against a local Plex of the demonstration's own.

Rule: what is shown is what happened: requests are told by the client's own hooks, errors are caught as a program
would catch them. It is an ordinary user of the library; only the verification code comes from the world.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub.cli import facts
from ticketstub.cli.demo_code import show_code

if TYPE_CHECKING:
    from ticketstub.cli.demo_story import Story
    from ticketstub.client import MediaServer, Plex
    from ticketstub.records import Resource
    from ticketstub.server.local_plex import LocalPlex
    from ticketstub.server.world import WorldAccount
    from ticketstub.token import Secret

_NOBODY_S_TOKEN = "this-token-was-ended"  # noqa: S105  # it opens nothing: that is what it is for


def demo() -> None:
    """Sign in to a local Plex two ways and look around: the four operations, and what failures look like."""
    from ticketstub.cli.starting import explained

    with tempfile.TemporaryDirectory(prefix="ticketstub-demo-", ignore_cleanup_errors=True) as folder, explained():
        from ticketstub.server.local_plex import LocalPlex
        from ticketstub.server.world import World

        with LocalPlex(World.demo(), db=f"sqlite:///{Path(folder, 'demo.db').as_posix()}").running() as local:
            _tell(local)


def _tell(local: LocalPlex) -> None:
    from ticketstub.cli.demo_story import Story
    from ticketstub.client import Plex
    from ticketstub.device import Device
    from ticketstub.options import Retry

    story = Story({local.url: "plex.tv", **{server.url: server.name for server in local.media_servers}})
    story.introduce("Ticketstub: a local Plex in this process, a stand-in and not Plex, and a client that talks to it")
    device = Device(client_identifier="ticketstub-demo", product="Ticketstub", device_name="Demonstration")
    once = Retry(attempts=1)  # what fails is shown at once
    mira = local.accounts[0]
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
    show_code()


def _sign_in(story: Story, plex: Plex, mira: WorldAccount) -> Plex:
    """Sign in, and return the client of who has signed in."""
    story.section("Sign in", "with a password and a verification code")
    account = plex.authentication.post_users_sign_in_data(
        login=mira.username, password=_password(mira), verification_code=mira.code()
    )
    story.record("Account", [("user name", account.username), *facts.of_account(account)])
    return plex.with_options(token=account.auth_token)


def _link(story: Story, plex: Plex, mine: Plex) -> None:
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


def _look_around(story: Story, mine: Plex) -> Resource:
    """Read the token's account and its media servers, and return the one called Attic."""
    story.section("Whose token is this?")
    account = mine.authentication.get_token_details()
    story.record("Account", [("user name", account.username), *facts.of_account(account)])
    story.section("Which media servers can it reach?")
    found = mine.resources()
    for one in found:
        name, access, product, token, addresses = facts.of_resource(one)
        known = [("name", f"{name}, {access}"), ("product", product), ("token", token)]
        story.record("Resource", [*known, *(("address", address) for address in addresses.split("\n"))])
    return next(one for one in found if one.name == "Attic")


def _use_a_transient_token(story: Story, mine: Plex, attic: Resource) -> None:
    """Get a transient token from the media server, and ask with it how to reach two sources."""
    server = mine.at(attic.connections[0].uri or "", token=attic.access_token)
    story.section("Get a transient token", "the same rights, for at most 48 hours")
    transient = server.authentication.get_transient_token()
    story.record("TransientToken", [("token", facts.token_text(transient.token)), ("made from", str(server.token))])
    story.section("Ask with it how to reach a source", "another media server, and a provider")
    guest = mine.at(server.url, token=transient.token)
    for source in (f"server://{attic.client_identifier}", "provider://tv.plex.provider.attic-guide"):
        _ask_for_source(story, guest, source)


def _ask_for_source(story: Story, guest: MediaServer, source: str) -> None:
    found = guest.authentication.get_source_connection_information(source=source)
    story.record("Source", [("name", found.name), ("asked for", source), *facts.of_source(found)])


def _fail(story: Story, plex: Plex, mira: WorldAccount) -> None:
    """Show what refusals and silence look like to a program."""
    from ticketstub.token import Token

    sign_in = plex.authentication.post_users_sign_in_data
    story.section("A wrong password")
    story.expect(lambda: sign_in(login=mira.username, password="not-the-password"))  # noqa: S106  # a wrong one
    story.section("A verification code is wanted, and none was sent")
    story.expect(lambda: sign_in(login=mira.username, password=_password(mira)))
    story.section("A dead token")
    dead = Token(_NOBODY_S_TOKEN)
    story.expect(plex.with_options(token=dead).authentication.get_token_details)
    story.section("A media server that is not there")
    story.expect(plex.at(_nowhere()).identity)


def _password(account: WorldAccount) -> Secret:
    if account.password is None:
        raise LookupError("the demonstration's first account has a password")
    return account.password


def _nowhere() -> str:
    """Return a loopback address where nothing listens: a port that was free a moment ago."""
    from socket import create_server

    with create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
