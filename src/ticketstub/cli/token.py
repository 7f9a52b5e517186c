"""`ticketstub token`, `claim`, `check`, `whoami` and `ping`: what a token is, whose, and how to get one written out."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from ticketstub.cli import facts, options, output, prompts, sign_ins
from ticketstub.cli.clients import Reach, kept, media_server, own_device, signed_in
from ticketstub.cli.failures import UNREACHABLE, WrongUsage
from ticketstub.cli.help import Command
from ticketstub.errors import MalformedReply

if TYPE_CHECKING:
    from ticketstub.client.flows.check import Checked

_UNKNOWN, _DEAD = 1, 3
_KINDS = {
    "account": "An account's token",
    "server": "A media server's own token",
    "shared": "A token for this media server",
    "transient": "A transient token",
    "local": "A local token of a media server",
    "claim": "A claim token",
    "jwt": "A JWT of an account",
    "unknown": "A token",
}


@click.command(cls=Command)
@click.option("--transient", is_flag=True, help="Get one from a media server that lives for at most 48 hours.")
@click.option("--server", metavar="URL", help="With --transient: that media server's address.")
@click.option(
    "--for-servers", is_flag=True, help="The token that the account's own media servers take, if not the same."
)
@options.print_token
@options.yes_show
@options.reaching
def token(
    *,
    reach: Reach,
    as_json: bool,
    transient: bool,
    server: str | None,
    for_servers: bool,
    print_token: bool,
    yes: bool,
) -> None:
    """Write the kept token out, or make a transient one.

    It goes to standard output with nothing else; one that a device key renews is renewed before, if it is time.
    TICKETSTUB_TOKEN and standard input are not looked at, but with --transient they come first. A transient token has
    the rights of the one that it is made from; add --print-token to have it written out.
    """
    if transient:
        prompts.may_print_token(wanted=print_token, yes=yes, as_json=as_json)
        _make_transient(reach, server, print_token=print_token, as_json=as_json)
        return
    if server is not None:
        raise WrongUsage("--server goes with --transient", hint="ticketstub token --transient --server URL")
    prompts.may_print_token(wanted=not as_json, yes=yes, as_json=False)
    from ticketstub.credentials.keep_alive import renewal_due

    found = sign_ins.needed(reach.issuer, reach.profile)
    with kept(reach, found) as client, sign_ins.explained(found):
        if renewal_due(found.credential, time.time()) == "must":
            client.renew()
        mine = client.media_server_token() if for_servers else client.token
    if mine is None:
        raise sign_ins.missing(found.credential.entry)
    if as_json:
        output.print_json({"token": mine, "token_kind": mine.kind, "origin": mine.origin})
    else:
        print(mine.reveal())


def _make_transient(reach: Reach, server: str | None, *, print_token: bool, as_json: bool) -> None:
    if server is None:
        raise WrongUsage("a media server makes it: name one with --server URL")
    with media_server(reach, server) as (client, mine):
        made = client.authentication.get_transient_token().token
    if made is None:
        raise MalformedReply("the answer holds no token")
    if print_token:
        print(made.reveal())
        return
    output.result(
        {
            "token": made,
            "token_kind": made.kind,
            "origin": made.origin,
            "max_seconds": 48 * 3600,
            "made_from_token": mine,
        },
        "A transient token",
        [
            ("token", facts.token_text(made)),
            ("for", made.origin),
            ("rights of", str(mine)),
            ("lives", "at most 48 hours, and until the media server restarts"),
            ("kept", "nowhere: add --print-token to have it written out"),
        ],
        as_json=as_json,
    )


@click.command(cls=Command)
@options.yes_show
@options.reaching
def claim(*, reach: Reach, as_json: bool, yes: bool) -> None:
    """Write a claim token, to add a new media server.

    It is good once, within four minutes, and adds that server to the account. It goes into the server's container as
    PLEX_CLAIM, for instance. With --json only its fingerprint is written.
    """
    if not yes and not as_json and prompts.on_terminal(sys.stdout):
        raise WrongUsage("this would show the claim token on the terminal", hint="pipe it on, or add --yes")
    with signed_in(reach) as client:
        made = client.claims.token()
    if as_json:
        output.print_json({"token": made, "token_kind": made.kind, "max_seconds": 240})
    else:
        print(made.reveal())


@click.command(cls=Command)
@options.reaching
def whoami(*, reach: Reach, as_json: bool) -> None:
    """Say who is signed in. A token in TICKETSTUB_TOKEN or standard input comes before the kept sign-in."""
    with signed_in(reach) as client:
        account = client.authentication.get_token_details()
    name = account.username or account.title or "(no user name)"
    output.result({"account": facts.with_problems(account)}, name, facts.of_account(account), as_json=as_json)


@click.command(cls=Command)
@options.reaching
def ping(*, reach: Reach, as_json: bool) -> None:
    """Keep a token alive and say whether it is.

    A token in TICKETSTUB_TOKEN or standard input comes before the kept sign-in.
    """
    with signed_in(reach) as client:
        pong, mine = client.ping(), client.token
    output.result({"pong": pong, "token": mine}, f"pong: the token {mine} is alive", as_json=as_json)


@click.command(cls=Command)
@click.option("--server", metavar="URL", help="Ask this media server, too, and let it see a token that was given.")
@options.reaching
def check(*, reach: Reach, as_json: bool, server: str | None) -> int:
    """Find out about a token.

    Its kind, whose it is, until when, whether it is alive: it needs the network. The token is that of TICKETSTUB_TOKEN
    or standard input, or else the kept one. The exit code is 0 for one that is alive, 3 for one that is dead, 5 where
    nobody answered, and 1 where nobody can tell.
    """
    found = _check(reach, server)
    if found.alive is None:
        code, state = UNREACHABLE if found.unreachable else _UNKNOWN, "nobody can tell whether it is alive"
    else:
        code, state = (0, "alive") if found.alive else (_DEAD, "dead")
    output.result(
        {"checked": facts.of_checked_json(found), "exit_code": code},
        f"{_KINDS[found.kind]}: {state}",
        facts.of_checked(found),
        as_json=as_json,
    )
    return code


def _check(reach: Reach, server: str | None) -> Checked:
    from ticketstub.client.plex import check as ask

    text = prompts.token_text(reach.is_kept) if reach.profile is None else None
    if text is not None:
        device = own_device(reach.client_identifier)
        try:
            return ask(text[0], server=server, plex_tv=reach.plex_tv, timeout=reach.timeout, device=device)
        except ValueError as error:
            raise WrongUsage(str(error)) from None
    found = sign_ins.needed(reach.issuer, reach.profile, or_token=True)
    if server is not None:
        raise WrongUsage(
            "a kept token is not sent to a media server: leave out --server",
            hint="to check a media server's token, give it in TICKETSTUB_TOKEN or standard input",
        )
    if found.credential.token is None:
        raise sign_ins.missing(found.credential.entry)
    device = own_device(found.credential.client_identifier or reach.client_identifier)
    return ask(found.credential.token, plex_tv=reach.plex_tv, timeout=reach.timeout, device=device)
