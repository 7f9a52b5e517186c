"""`ticketstub login`: sign in and keep it; by browser, link code or password, with a device key if that is wanted.

Rule: where it is kept is settled before anything is sent. A sign-in that still works is not replaced unless it is said
so, and never by another account's. What is shown meanwhile goes to standard error, so that results stand alone: on a
terminal a line counts down and is gone afterwards, in a pipe nothing moves. The address is always written out.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ticketstub.cli import facts, get_version, options, output, prompts, stores
from ticketstub.cli.clients import PRODUCT, ConnectionOptions, resolve_device, resume_client
from ticketstub.cli.failures import InvalidUsage
from ticketstub.cli.help import CliCommand
from ticketstub.errors import sanitize_text
from ticketstub.refusals import Unauthorized

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ticketstub.client.plex import Plex
    from ticketstub.client.sign_ins import PendingState
    from ticketstub.credentials.default import StoreKind
    from ticketstub.credentials.store import CredentialStore, Entry


@click.command(cls=CliCommand)
@click.option(
    "--code",
    "by_code",
    is_flag=True,
    help="By a code of 4 characters that you type on Plex's link page, on any device.",
)
@click.option(
    "--password",
    "by_password",
    is_flag=True,
    help="By password: asked for, or read from standard input when piped.",
)
@click.option("--login", "name", metavar="NAME", help="With --password: user name or e-mail; asked for if left out.")
@click.option("--remember-me", is_flag=True, help="With --password: for 14 days, as Plex's own check box does.")
@click.option("--device-key", is_flag=True, help="Live on a key of this device and tokens of 7 days, renewed with it.")
@click.option("--again", is_flag=True, help="Sign in anew, in place of what is kept.")
@click.option("--browser/--no-browser", default=True, help="Open the browser; on a terminal only.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=float,
    callback=options.validate_seconds,
    help="Give up after so long; by default after 30 minutes, with --code after 15.",
)
@options.storage
@options.print_token
@click.option("--yes", is_flag=True, help="Let --print-token write to a terminal.")
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
    """Sign in to Plex, and keep the sign-in.

    Without --code or --password it is done in the browser: the address is opened, and shown to be opened elsewhere.
    Piped standard input holds, with --password, a line each: the login (unless --login names it), the password and,
    where the account wants one, the verification code. With --print-token nothing is kept, unless --storage is given.
    """
    prompts.ensure_can_print_token(requested=print_token, yes=yes, as_json=as_json)
    if by_code and by_password:
        raise InvalidUsage("--code and --password are two ways to sign in: leave one out")
    for option, given_option in (("--login", name is not None), ("--remember-me", remember_me)):
        if given_option and not by_password:
            raise InvalidUsage(f"{option} goes with --password: in the browser you say there who you are")
    if print_token and storage == "auto":
        storage = "memory"
    if device_key and storage == "memory":
        raise InvalidUsage("--device-key needs a place for the key: without one, its token ends in 7 days for good")
    entry = stores.resolve_entry(connection.issuer, connection.profile)
    store = stores.choose_store(storage, entry)
    sign_in = partial(_sign_in, connection, entry, device_key=device_key)
    if by_password and (again or not _is_still_valid(connection, entry, store, name)):
        client = _sign_in_by_password(sign_in, store, name, remember_me=remember_me)
    else:  # which also takes up what is kept, and gives it a device key if that is wanted
        open_browser = _open_in_browser if browser and prompts.can_prompt() else False
        client = _sign_in_by_pin(
            sign_in,
            store,
            by_code=by_code,
            open_browser=open_browser,
            wait=wait,
            force=again,
        )
    with client:
        if print_token and client.token:
            print(client.token.reveal())
        else:
            _print_result(client, as_json=as_json)


def _sign_in(
    connection: ConnectionOptions,
    entry: Entry,
    *,
    device_key: bool,
    store: CredentialStore,
    **method_arguments: Any,  # noqa: ANN401  # as it takes
) -> Plex:  # as it takes
    """Sign in as this command, in some way."""
    from ticketstub.client.plex import Plex

    client_identifier = connection.client_identifier
    return Plex.sign_in(
        PRODUCT,
        device_key=device_key,
        profile=entry.profile,
        store=store,
        # The library names the device, so that a device key gets an identifier of its own.
        device=resolve_device(client_identifier) if client_identifier else None,
        headers={"X-Plex-Version": get_version()},
        plex_tv=connection.plex_tv,
        timeout=connection.timeout,
        **method_arguments,
    )


def _sign_in_by_pin(
    sign_in: Callable[..., Plex],
    store: CredentialStore,
    *,
    by_code: bool,
    open_browser: Callable[[str], bool] | bool,
    wait: float | None,
    force: bool,
) -> Plex:
    from ticketstub import Browser, LinkCode

    with ExitStack() as display:
        show = partial(_show_pending_sign_in, display, by_code, wait)
        method = LinkCode(show) if by_code else Browser(show, open=open_browser)
        return sign_in(store=store, method=method, max_wait=wait, force=force)


def _sign_in_by_password(
    sign_in: Callable[..., Plex], store: CredentialStore, login: str | None, *, remember_me: bool
) -> Plex:
    from ticketstub import Password

    login, password = login or prompts.read_login(), prompts.read_password()
    attempts = itertools.count()
    method = Password(
        login,
        password,
        ask_code=lambda: prompts.read_verification_code(is_retry=next(attempts) > 0),
        remember_me=remember_me,
    )
    try:
        return sign_in(store=store, method=method, force=True)
    except stores.NON_TOKEN_REFUSALS:
        raise
    except Unauthorized as error:
        error.hint = error.hint or "check the user name or e-mail address and the password"
        raise


def _is_still_valid(connection: ConnectionOptions, entry: Entry, store: CredentialStore, login: str | None) -> bool:
    """Tell whether what is kept still works, before anybody is asked for a password.

    Raises:
        InvalidUsage: it is another account's.
    """
    from ticketstub.client.flows.sign_in import resume_session

    credential = store.load(*entry)
    if credential is None or credential.token is None:
        return False
    stored = stores.StoredCredential(store, credential)
    with resume_client(connection, stored) as client:
        token_status = client.run_flow(partial(resume_session, login, store=store, credential=credential))[0]
    if token_status == "another":  # noqa: S105  # no password
        raise InvalidUsage(
            f"the profile {stored.name} is another account's, and still works",
            hint="--again replaces it; --profile NAME keeps the other beside it",
        )
    if reason := stores.END_REASONS.get(token_status):
        print(f"The sign-in that was kept no longer works: {reason}.", file=sys.stderr)
    return reason is None


def _show_pending_sign_in(display: ExitStack, by_code: bool, max_wait: float | None, pending: PendingState) -> None:
    """Show a begun sign-in, and that it is waited for.

    Args:
        display: ends what counts down on a terminal.
        by_code: whether the code is to be typed, and not the address to be opened.
        max_wait: after how many seconds the command gives up, if before the PIN's own time.
        pending: the sign-in.
    """
    out = output.create_console(sys.stderr)
    if reason := stores.END_REASONS.get(pending.reason):
        out.print(f"The sign-in that was kept no longer works: {reason}.\n")
    _print_instructions(out, pending, by_code=by_code)
    left = max(pending.expires_at.timestamp() - time.time(), 0.0)
    left = left if max_wait is None else min(left, max_wait)
    if _can_render(out):
        from rich.live import Live

        render = partial(_render_time_left, time.monotonic() + left)
        display.enter_context(Live(get_renderable=render, console=out, refresh_per_second=4, transient=True))
    else:
        duration = f"{math.ceil(left / 60)} minutes" if left > 60 else f"{math.ceil(left)} s"
        out.print(f"Waiting for the approval, {duration} at most.")
        out.file.flush()


def _print_instructions(out: Console, pending: PendingState, *, by_code: bool) -> None:
    from rich.text import Text

    url, code = sanitize_text(pending.url, 2000), sanitize_text(pending.code)
    qr_code = pending.render_qr() if _can_render(out) else ""
    if by_code:
        out.print("To sign in, open this page on any device and type the code:\n")
        out.print(Text(f"  {sanitize_text(pending.link_page, 500)}"))
        out.print(Text.assemble("  code  ", (code, "bold")))
        out.print(Text(f"\nor, with the code in it:  {url}"))
    else:
        out.print("To sign in, open this page, here or on another device:\n")
        out.print(Text(f"  {url}"))
        out.print(Text.assemble("\n  code to compare  ", (code, "bold")))
    if qr_code and max(map(len, qr_code.splitlines())) <= out.width:
        out.print(f"\n{qr_code}", end="")
    out.print()


def _render_time_left(deadline: float) -> Text:
    from rich.text import Text

    minutes, seconds = divmod(round(max(deadline - time.monotonic(), 0.0)), 60)
    left = f"{minutes}:{seconds:02}" if minutes else f"{seconds} s"
    return Text(f"Waiting: {left} left (Ctrl-C gives up)", style="dim")


def _can_render(out: Console) -> bool:
    return out.is_terminal and not out.is_dumb_terminal  # of a dumb one not even the width is known


def _open_in_browser(url: str) -> bool:
    """Open an address in this computer's browser and say so; tell whether that worked."""
    from ticketstub.client.flows.sign_in import open_browser

    success = open_browser(True, url)  # noqa: FBT003  # the function's own meaning of true
    if success:
        print("Your browser was asked to open it.", file=sys.stderr, flush=True)
    return success


def _print_result(client: Plex, *, as_json: bool) -> None:
    """Tell who is signed in now, how that came about, and where it is kept."""
    state = client.sign_in_state
    if state is None:
        raise TypeError("a client that signed in knows how")
    in_memory = state.location.startswith("in memory")
    who = state.username or "somebody, plex.tv did not say who"
    title = f"{'Already signed' if state.method == 'kept' else 'Signed'} in as {who}"
    if state.previous_status == "unchecked":
        title = f"Signed in as {who} so far: plex.tv did not answer, so what is kept was not checked"
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
            "kept": None if in_memory else state.location,
        },
        title,
        [
            ("id", str(state.account_id) if state.account_id is not None else None),
            ("token", facts.format_token(client.token)),
            ("until", facts.format_time(state.expires_at)),
            ("device key", "yes: the token is renewed with it" if state.has_device_key else None),
            ("profile", state.profile),
            ("at", state.issuer),
            ("kept", "nowhere: add --print-token to have the token written out" if in_memory else state.location),
        ],
        as_json=as_json,
    )
    if as_json:
        return
    if state.method == "kept":
        print("To sign in anew: --again. To keep another sign-in beside it: --profile NAME.", file=sys.stderr)
    if os.environ.get(prompts.TOKEN_VARIABLE, "").strip():
        print(f"{prompts.TOKEN_VARIABLE} is set: its token comes before what is kept.", file=sys.stderr)
