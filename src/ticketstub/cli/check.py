"""`ticketstub check`: what kind of token, whose, until when, alive or dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import given, options
from ticketstub.cli.complaints import WrongUsage

if TYPE_CHECKING:
    from ticketstub.cli.connection import Reach
    from ticketstub.flows.check import Checked
    from ticketstub.options import ClientOptions

_UNKNOWN, _DEAD, _UNREACHABLE = 1, 3, 5


def check(
    *,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", metavar="URL", help="Ask this media server, too, and let it see a token that was given."
        ),
    ] = None,
    profile: options.Profile = None,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Find out about a token.

    Its kind, whose it is, until when, whether it is alive: it needs the network. The token is that of TICKETSTUB_TOKEN
    or standard input, or else the kept one. The exit code is 0 for one that is alive, 3 for one that is dead, 5 where
    nobody answered, and 1 where nobody can tell.
    """
    from ticketstub.cli import facts, show
    from ticketstub.cli.connection import Reach

    found = _checked(Reach(plex_tv, timeout, client_identifier, profile), server)
    if as_json:
        show.as_json({"checked": facts.of_checked_json(found), "exit_code": _code(found)})
    else:
        show.heading(_heading(found))
        show.facts(facts.of_checked(found))
    if code := _code(found):
        raise typer.Exit(code)


def _checked(reach: Reach, server: str | None) -> Checked:
    from ticketstub.cli.connection import own_device
    from ticketstub.client import check as ask

    text = given.token_text(reach.is_kept) if reach.profile is None else None
    if text is None:
        return _kept(reach, server)
    client: ClientOptions = {"plex_tv": reach.plex_tv, "timeout": reach.timeout}
    client["device"] = own_device(reach.client_identifier)
    try:
        return ask(text[0], server=server, **client)
    except ValueError as error:
        raise WrongUsage(str(error)) from None


def _kept(reach: Reach, server: str | None) -> Checked:
    from ticketstub.cli import keeping
    from ticketstub.cli.connection import described, own_device
    from ticketstub.client import check as ask

    found = keeping.needed(reach.issuer, reach.profile, or_token=True)
    if server is not None:
        hint = "to check a media server's token, give it in TICKETSTUB_TOKEN or standard input"
        raise WrongUsage("a kept token is not sent to a media server: leave out --server", hint=hint)
    token, identifier = found.credential.token, found.credential.client_identifier
    if token is None:
        raise keeping.missing(found.credential.entry)
    device = described(identifier) if identifier else own_device(reach.client_identifier)
    return ask(token, plex_tv=reach.plex_tv, timeout=reach.timeout, device=device)


def _heading(found: Checked) -> str:
    state = {True: "alive", False: "dead", None: "cannot be told"}[found.alive]
    kind = "a token" if found.kind == "unknown" else f"{_article(found.kind)} {_NAMES[found.kind]}"
    return f"{kind[0].upper()}{kind[1:]}: {state if found.alive is not None else 'nobody can tell whether it is alive'}"


_NAMES = {
    "account": "account's token",
    "server": "media server's own token",
    "shared": "token for this media server",
    "transient": "transient token",
    "local": "local token of a media server",
    "claim": "claim token",
    "jwt": "JWT of an account",
    "unknown": "token",
}


def _article(kind: str) -> str:
    return "an" if kind == "account" else "a"


def _code(found: Checked) -> int:
    if found.alive is None:
        return _UNREACHABLE if found.unreachable else _UNKNOWN
    return 0 if found.alive else _DEAD
