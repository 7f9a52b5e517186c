"""`ticketstub login`: sign in and keep it; by browser, link code or password, with a device key if that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import given, options
from ticketstub.cli.complaints import WrongUsage

if TYPE_CHECKING:
    from ticketstub.cli.signing_in import Way


def login(
    *,
    by_code: Annotated[
        bool, typer.Option("--code", help="By a code of 4 characters that you type on Plex's link page, on any device.")
    ] = False,
    by_password: Annotated[
        bool, typer.Option("--password", help="By password: asked for, or read from standard input when piped.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option("--login", metavar="NAME", help="With --password: user name or e-mail; asked for if left out."),
    ] = None,
    remember_me: Annotated[
        bool, typer.Option("--remember-me", help="With --password: for 14 days, as Plex's own check box does.")
    ] = False,
    device_key: Annotated[
        bool, typer.Option("--device-key", help="Live on a key of this device and tokens of 7 days, renewed with it.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Sign in anew, in place of what is kept.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser; on a terminal only.")
    ] = True,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            callback=options.finite,
            help="Give up after so long; by default after 30 minutes, with --code after 15.",
        ),
    ] = None,
    storage: options.Storage = "auto",
    profile: options.Profile = None,
    print_token: options.PrintToken = False,
    yes: options.Yes = False,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Sign in to Plex, and keep the sign-in.

    Without --code or --password it is done in the browser: the address is opened, and shown to be opened elsewhere.
    Piped standard input holds, with --password, a line each: the login (unless --login names it), the password and,
    where the account wants one, the verification code. With --print-token nothing is kept, unless --storage is given.
    """
    given.may_print_token(wanted=print_token, yes=yes, as_json=as_json)
    _fit(by_code=by_code, by_password=by_password, name=name, remember_me=remember_me)
    from ticketstub.cli.connection import Reach
    from ticketstub.cli.signing_in import Signing, Way, shown

    way = Way(
        code=by_code,
        password=by_password,
        login=name,
        remember_me=remember_me,
        device_key=device_key,
        browser=browser and given.can_ask(),
        wait=wait,
    )
    kept_in = "memory" if print_token and storage == "auto" else storage
    _keeps_its_key(way, nowhere=kept_in == "memory")
    signing = Signing(Reach(plex_tv, timeout, client_identifier, profile), way, kept_in)
    with signing.done(again=again) as client:
        if print_token and client.token:
            print(client.token.reveal())
        else:
            shown(client, as_json=as_json)


def _fit(*, by_code: bool, by_password: bool, name: str | None, remember_me: bool) -> None:
    if by_code and by_password:
        raise WrongUsage("--code and --password are two ways to sign in: leave one out")
    for option, wanted in (("--login", name is not None), ("--remember-me", remember_me)):
        if wanted and not by_password:
            raise WrongUsage(f"{option} goes with --password: in the browser you say there who you are")


def _keeps_its_key(way: Way, *, nowhere: bool) -> None:
    if way.device_key and nowhere:
        raise WrongUsage("--device-key needs a place for the key: without one, its token ends in 7 days for good")
