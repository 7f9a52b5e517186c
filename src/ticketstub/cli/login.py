"""`ticketstub login`: sign in by browser, link code or password, and store the sign-in; optionally with a device key.

Rule: the store is chosen before anything is sent. A stored sign-in that still works is replaced only with --again.
Progress goes to standard error, so that standard output contains only results: a terminal shows a countdown, a pipe one
line. The address is always printed.
"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import click

from ticketstub import __version__
from ticketstub.cli import formatting, options, output, prompts, sign_ins
from ticketstub.cli.errors import CommandError, InvalidUsage
from ticketstub.cli.options import CliCommand
from ticketstub.cli.sign_ins import PRODUCT, ConnectionOptions, resolve_device, resume_client
from ticketstub.errors import PlexError, sanitize_text
from ticketstub.refusals import Unauthorized
from ticketstub.tokens import Secret

if TYPE_CHECKING:
    from rich.text import Text

    from ticketstub import Browser, CredentialStore, LinkCode, Password, PendingState, Plex, SignInState
    from ticketstub.credentials import Entry, StoreKind


@click.command(cls=CliCommand)
@click.option(
    "--code",
    "by_code",
    is_flag=True,
    help="Sign in with a code of 4 characters that you enter on Plex's link page, on any device.",
)
@click.option(
    "--password",
    "by_password",
    is_flag=True,
    help="Sign in with a password, which is asked for, or read from standard input if that is piped.",
)
@click.option(
    "--login", "name", metavar="NAME", help="With --password: user name or e-mail; by default, the command asks for it."
)
@click.option(
    "--remember-me",
    is_flag=True,
    help="With --password: stay signed in for 14 days, like the check box on Plex's page.",
)
@click.option(
    "--device-key",
    is_flag=True,
    help="Use a key of this device, and tokens that are valid for 7 days and renewed with it.",
)
@click.option("--again", is_flag=True, help="Sign in again, and replace the stored sign-in.")
@click.option("--browser/--no-browser", default=True, help="Open the browser; only in a terminal.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=float,
    callback=options.validate_seconds,
    help="Give up after this time; by default, after 30 minutes, or 15 with --code.",
)
@options.storage
@options.print_token
@click.option("--yes", is_flag=True, help="Let --print-token print to a terminal.")
@options.pass_connection
def login(
    *,
    connection: ConnectionOptions,
    as_json: bool,
    by_code: bool,
    by_password: bool,
    name: str | None,
    remember_me: bool,
    device_key: bool,
    again: bool,
    browser: bool,
    wait: float | None,
    storage: StoreKind,
    print_token: bool,
    yes: bool,
) -> None:
    """Sign in to Plex and store the sign-in.

    Without --code or --password, you sign in in the browser: the command opens the address, and prints it. With
    --password, piped standard input has one line each for the login (without --login), the password and, if the account
    needs one, the verification code. With --print-token, nothing is stored, unless --storage is given.
    """
    from ticketstub import Browser, LinkCode

    prompts.ensure_can_print_token(requested=print_token, yes=yes, as_json=as_json)
    if by_code and by_password:
        raise InvalidUsage("--code and --password are two ways to sign in: leave out one of them")
    for option, given_option in (("--login", name is not None), ("--remember-me", remember_me)):
        if given_option and not by_password:
            raise InvalidUsage(f"{option} needs --password: in the browser, you enter it there")
    options.refuse_unused("wait", "cannot be used with --password, which waits for nobody", unless=not by_password)
    if browser:
        explanation = "cannot be used with --code or --password"
        options.refuse_unused("browser", explanation, unless=not (by_code or by_password))
    if print_token and storage == "auto":
        storage = "memory"
    if device_key and storage == "memory":
        raise InvalidUsage(
            "--device-key needs a place for the key: without one, the token cannot be renewed after 7 days"
        )
    entry = connection.entry
    store = sign_ins.choose_store(storage, entry)
    with ExitStack() as display:
        open_browser = browser and prompts.can_prompt()
        show = partial(_show_pending_sign_in, display, by_code, open_browser, wait or math.inf)
        # `Browser` also resumes the stored sign-in, and gives it a device key if requested.
        method: Browser | LinkCode | Password = LinkCode(show) if by_code else Browser(show, open=open_browser)
        if by_password and (again or not _is_still_valid(connection, entry, store, name)):
            method, again = _read_password(name, remember_me=remember_me), True
        client = _sign_in(
            connection,
            method,
            device_key=device_key,
            profile=entry.profile,
            force=again,
            max_wait=wait,
            store=store,
        )
    with client:
        if print_token and client.token:
            print(client.token.reveal())
        else:
            _print_result(client, as_json=as_json)


def _sign_in(
    connection: ConnectionOptions,
    method: Browser | LinkCode | Password,
    **arguments: Any,  # noqa: ANN401  # as it takes
) -> Plex:
    from ticketstub import Password, Plex

    client_identifier = connection.client_identifier
    try:
        return Plex.sign_in(
            PRODUCT,
            method=method,
            # Without one, the library names the device, so that a device key gets its own identifier.
            device=resolve_device(client_identifier) if client_identifier else None,
            headers={"X-Plex-Version": __version__},
            plex_tv=connection.plex_tv,
            timeout=connection.timeout,
            **arguments,
        )
    except Unauthorized as error:
        if isinstance(method, Password) and not isinstance(error, sign_ins.NON_TOKEN_REFUSALS):
            error.hint = error.hint or "check the user name or e-mail address and the password"
        raise


def _read_password(login: str | None, *, remember_me: bool) -> Password:
    from ticketstub import Password

    notices = iter(("", "This code is wrong, or was already used.\n"))  # Plex is asked at most twice
    return Password(
        login or prompts.read_required("User name or e-mail: ", "login").strip(),
        Secret(prompts.read_required("Password: ", "password", hidden=True)),
        ask_code=lambda: prompts.read_secret(f"{next(notices)}Verification code: "),
        remember_me=remember_me,
    )


def _is_still_valid(connection: ConnectionOptions, entry: Entry, store: CredentialStore, login: str | None) -> bool:
    """Return whether the stored sign-in still works, before the user is asked for a password.

    Raises:
        InvalidUsage: it belongs to another account.
    """
    credential = store.load(*entry)
    if credential is None or credential.token is None or credential.signed_out_at is not None:
        return False
    stored = sign_ins.StoredSignIn(store, credential)
    names = {credential.username or login} if login and "@" not in login else {login}
    try:
        with resume_client(connection, stored) as client, sign_ins.explain_refused_token(stored):
            account = client.authentication.get_token_details()
        names = {account.username, account.email, account.title}
    except CommandError as error:
        print(f"note: {error}", file=sys.stderr)
        return False
    except PlexError:  # plex.tv cannot say: the stored sign-in is used without a check
        pass
    if login and login.strip().casefold() not in {name.casefold() for name in names if name}:
        raise InvalidUsage(
            f"the profile {stored.name} belongs to another account, and still works",
            hint="replace it with --again, or add another sign-in with --profile NAME",
        )
    return True


def _show_pending_sign_in(
    display: ExitStack, by_code: bool, opens_browser: bool, max_wait: float, pending: PendingState
) -> None:
    """Show how to approve a sign-in, and the remaining time.

    Args:
        display: closed when the wait ends, which removes the countdown.
        by_code: whether the user enters the code, instead of opening the address.
        opens_browser: whether the browser is about to be opened.
        max_wait: seconds after which the command gives up, if that is before the PIN expires.
        pending: the pending sign-in.
    """
    out = output.create_console(sys.stderr)
    can_render = out.is_terminal and not out.is_dumb_terminal  # the width of a dumb terminal is unknown
    if reason := sign_ins.END_REASONS.get(pending.reason):
        out.print(f"The stored sign-in no longer works: {reason}.\n")
    out.print(_render_instructions(pending, by_code=by_code, opens_browser=opens_browser))
    qr_code = pending.render_qr() if can_render else ""
    if qr_code and max(map(len, qr_code.splitlines())) <= out.width:
        out.print(f"\n{qr_code}", end="")
    out.print()
    left = min(max(pending.expires_at.timestamp() - time.time(), 0.0), max_wait)
    if can_render:
        from rich.live import Live

        render = partial(_render_time_left, time.monotonic() + left)
        display.enter_context(Live(get_renderable=render, console=out, refresh_per_second=4, transient=True))
    else:
        duration = f"{math.ceil(left / 60)} minutes" if left > 60 else f"{math.ceil(left)} s"
        out.print(f"Waiting for approval, for at most {duration}.")
        out.file.flush()


def _render_instructions(pending: PendingState, *, by_code: bool, opens_browser: bool) -> Text:
    from rich.text import Text

    url, code = sanitize_text(pending.url, 2000), (sanitize_text(pending.code), "bold")
    if by_code:
        return Text.assemble(
            "To sign in, open this page on any device and enter the code:\n\n",
            f"  {sanitize_text(pending.link_page, 500)}\n  code  ",
            code,
            f"\n\nor open this address, which contains the code:  {url}",
        )
    request = "To sign in, open this page, here or on another device:"
    if opens_browser:
        request = "Your browser should open this page now. If it does not, open it here or on another device:"
    return Text.assemble(f"{request}\n\n  {url}\n\n  code to compare  ", code)


def _render_time_left(deadline: float) -> Text:
    from rich.text import Text

    minutes, seconds = divmod(round(max(deadline - time.monotonic(), 0.0)), 60)
    left = f"{minutes}:{seconds:02}" if minutes else f"{seconds} s"
    return Text(f"Waiting: {left} left (Ctrl-C to cancel)", style="dim")


def _print_result(client: Plex, *, as_json: bool) -> None:
    """Print who is signed in, how, and where the sign-in is stored."""
    state = cast("SignInState", client.sign_in_state)
    in_memory = state.location.startswith("in memory")
    title = f"{'Already signed' if state.method == 'kept' else 'Signed'} in as {state.username or 'an unknown account'}"
    if state.previous_status == "unchecked":
        title = f"{title.replace('Already signed', 'Signed')}, but not checked: plex.tv did not answer"
    output.print_result(
        {
            "account": {"id": state.account_id, "username": state.username},
            "token": client.token,
            "expires_at": state.expires_at,
            "device_key": state.has_device_key,
            "how": state.method,
            "before": state.previous_status,
            "profile": state.profile,
            "issuer": state.issuer,
            "client_identifier": state.client_identifier,
            **({"kept": None} if in_memory else formatting.location_to_json(state.location)),
        },
        title,
        [
            ("id", str(state.account_id) if state.account_id is not None else None),
            ("token", formatting.format_token(client.token)),
            ("expires", formatting.format_time(state.expires_at)),
            ("device key", "yes: it renews the token" if state.has_device_key else None),
            ("profile", state.profile),
            ("at", state.issuer),
            ("stored", "nowhere: print the token with --print-token" if in_memory else state.location),
        ],
        as_json=as_json,
    )
    if state.method == "kept" and not as_json:
        print("To sign in again: --again. To add another sign-in: --profile NAME.", file=sys.stderr)
    if os.environ.get(prompts.TOKEN_VARIABLE, "").strip() and not as_json:
        print(f"{prompts.TOKEN_VARIABLE} is set: its token takes precedence over the stored one.", file=sys.stderr)
