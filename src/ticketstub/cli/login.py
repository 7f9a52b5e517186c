"""`ticketstub login`: sign in, and show the account and the new token's fingerprint."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ticketstub.cli import given, options
from ticketstub.cli.complaints import WrongUsage
from ticketstub.refusals import Unauthorized, VerificationCodeRequired

if TYPE_CHECKING:
    from ticketstub.client import Plex
    from ticketstub.records import Account


def login(
    *,
    by_password: Annotated[
        bool, typer.Option("--password", help="By password: asked for, or read from standard input when piped.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--login", metavar="NAME", help="User name or e-mail; asked for if left out.")
    ] = None,
    print_token: options.PrintToken = False,
    yes: options.Yes = False,
    plex_tv: options.PlexTv = options.PLEX_TV,
    as_json: options.AsJson = False,
    timeout: options.Timeout = options.SECONDS,
    client_identifier: options.ClientIdentifier = None,
) -> None:
    """Sign in to Plex.

    Piped standard input holds a line each: the login (unless --login names it), the password and, where the account
    wants one, the verification code. The token is not kept anywhere.
    """
    from ticketstub.cli.connection import plex

    given.may_print_token(wanted=print_token, yes=yes, as_json=as_json)
    if not by_password:
        raise WrongUsage("say how to sign in", hint="ticketstub login --password")
    with plex(plex_tv, timeout, client_identifier) as client:
        account = _signed_in(client, name)
    if print_token and account.auth_token:
        print(account.auth_token.reveal())
    else:
        _show(account, as_json=as_json)


def _signed_in(client: Plex, name: str | None) -> Account:
    """Sign in; where Plex asks for a code, ask for it. A piped code is sent with the first try."""
    login = name or given.login()
    password = given.password()
    sign_in = client.authentication.post_users_sign_in_data
    asking = given.on_terminal(sys.stdin)
    try:
        try:
            return sign_in(
                login=login, password=password, verification_code=None if asking else given.verification_code()
            )
        except VerificationCodeRequired:
            code = given.verification_code() if asking else None
            if code is None:
                raise
        return sign_in(login=login, password=password, verification_code=code)
    except Unauthorized as error:
        error.hint = error.hint or "check the user name or e-mail address and the password"
        raise


def _show(account: Account, *, as_json: bool) -> None:
    from ticketstub.cli import facts, show

    if as_json:
        show.as_json({"account": facts.with_problems(account), "kept": False})
        return
    show.heading(f"Signed in as {account.username or account.title or account.email or 'somebody'}")
    show.facts(
        [*facts.of_account(account), ("kept", "nowhere: add --print-token to have the token written out")],
    )
