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
from typing import TYPE_CHECKING, Any, cast

import click

from ticketstub.cli import facts, options, output, prompts, sign_ins, version
from ticketstub.cli.clients import PRODUCT, Reach, kept, own_device
from ticketstub.cli.failures import WrongUsage
from ticketstub.cli.help import Command
from ticketstub.errors import printable
from ticketstub.refusals import Unauthorized

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ticketstub.client.flows.pending import Begun
    from ticketstub.client.plex import Plex
    from ticketstub.credentials.default import Storage
    from ticketstub.credentials.store import Credential, Credentials, Entry


@click.command(cls=Command)
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
    callback=options.finite,
    help="Give up after so long; by default after 30 minutes, with --code after 15.",
)
@options.storage
@options.print_token
@click.option("--yes", is_flag=True, help="Let --print-token write to a terminal.")
@options.reaching
def login(
    *,
    reach: Reach,
    as_json: bool,
    by_code: bool,
    by_password: bool,
    name: str | None,
    remember_me: bool,
    device_key: bool,
    again: bool,
    browser: bool,
    wait: float | None,
    storage: Storage,
    print_token: bool,
    yes: bool,
) -> None:
    """Sign in to Plex, and keep the sign-in.

    Without --code or --password it is done in the browser: the address is opened, and shown to be opened elsewhere.
    Piped standard input holds, with --password, a line each: the login (unless --login names it), the password and,
    where the account wants one, the verification code. With --print-token nothing is kept, unless --storage is given.
    """
    prompts.may_print_token(wanted=print_token, yes=yes, as_json=as_json)
    if by_code and by_password:
        raise WrongUsage("--code and --password are two ways to sign in: leave one out")
    for option, wanted in (("--login", name is not None), ("--remember-me", remember_me)):
        if wanted and not by_password:
            raise WrongUsage(f"{option} goes with --password: in the browser you say there who you are")
    if print_token and storage == "auto":
        storage = "memory"
    if device_key and storage == "memory":
        raise WrongUsage("--device-key needs a place for the key: without one, its token ends in 7 days for good")
    entry = sign_ins.entry(reach.issuer, reach.profile)
    store = sign_ins.choose(storage, entry)
    sign_in = partial(_sign_in, reach, entry, device_key=device_key)
    if by_password and (again or not _is_still_good(reach, entry, store, name)):
        client = _by_password(sign_in, store, name, remember_me=remember_me)
    else:  # which also takes up what is kept, and gives it a device key if that is wanted
        opener = _opened_in_browser if browser and prompts.can_ask() else False
        client = _by_pin(sign_in, _anew(store) if again else store, typed=by_code, opener=opener, wait=wait)
    with client:
        if print_token and client.token:
            print(client.token.reveal())
        else:
            _show(client, as_json=as_json)


def _sign_in(reach: Reach, entry: Entry, *, device_key: bool, store: Credentials, **way: Any) -> Plex:  # noqa: ANN401  # as it takes
    """Sign in as this command, in some way."""
    from ticketstub.client.plex import Plex

    named = reach.client_identifier
    return Plex.sign_in(
        PRODUCT,
        device_key=device_key,
        profile=entry.profile,
        credentials=store,
        # The library names the device, so that a device key gets an identifier of its own.
        device=own_device(named) if named else None,
        headers={"X-Plex-Version": version()},
        plex_tv=reach.plex_tv,
        timeout=reach.timeout,
        **way,
    )


def _by_pin(
    sign_in: Callable[..., Plex],
    store: Credentials,
    *,
    typed: bool,
    opener: Callable[[str], bool] | bool,
    wait: float | None,
) -> Plex:
    with ExitStack() as shown:
        show_begun = partial(_show_begun, shown, typed, wait)
        return sign_in(store=store, code=typed, on_code=show_begun, open_browser=opener, give_up=wait)


def _by_password(sign_in: Callable[..., Plex], store: Credentials, login: str | None, *, remember_me: bool) -> Plex:
    login, password = login or prompts.login(), prompts.password()
    asked = itertools.count()
    try:
        return sign_in(
            store=_anew(store),
            login=login,
            password=password,
            ask_code=lambda: prompts.verification_code(again=next(asked) > 0),
            remember_me=remember_me,
        )
    except sign_ins.NOT_THE_TOKEN:
        raise
    except Unauthorized as error:
        error.hint = error.hint or "check the user name or e-mail address and the password"
        raise


def _is_still_good(reach: Reach, entry: Entry, store: Credentials, login: str | None) -> bool:
    """Tell whether what is kept still works, before anybody is asked for a password.

    Raises:
        WrongUsage: it is another account's.
    """
    from ticketstub.client.flows.session import resumed

    credential = store.load(*entry)
    if credential is None or credential.token is None:
        return False
    found = sign_ins.Found(store, credential)
    with kept(reach, found) as client:
        standing = client.follow(partial(resumed, login, store=store, there=credential))[0]
    if standing == "another":
        raise WrongUsage(
            f"the profile {found.name} is another account's, and still works",
            hint="--again replaces it; --profile NAME keeps the other beside it",
        )
    if reason := sign_ins.REASONS.get(standing):
        print(f"The sign-in that was kept no longer works: {reason}.", file=sys.stderr)
    return reason is None


class _Anew:
    """A store whose first `load` finds nothing: what is kept is replaced once the new sign-in is there."""

    def __init__(self, store: Credentials) -> None:
        self._store = store
        self._asked = False

    def load(self, *entry: str) -> Credential | None:
        if self._asked:
            return self._store.load(*entry)
        self._asked = True
        return None

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def _anew(store: Credentials) -> Credentials:
    return cast("Credentials", _Anew(store))


def _show_begun(shown: ExitStack, typed: bool, patience: float | None, begun: Begun) -> None:
    """Show a begun sign-in, and that it is waited for.

    Args:
        shown: ends what counts down on a terminal.
        typed: whether the code is to be typed, and not the address to be opened.
        patience: after how many seconds the command gives up, if before the PIN's own time.
        begun: the sign-in.
    """
    out = output.console(sys.stderr)
    if reason := sign_ins.REASONS.get(begun.because):
        out.print(f"The sign-in that was kept no longer works: {reason}.\n")
    _tell(out, begun, typed=typed)
    left = max(begun.expires_at.timestamp() - time.time(), 0.0)
    left = left if patience is None else min(left, patience)
    if _can_draw(out):
        from rich.live import Live

        line = partial(_time_left, time.monotonic() + left)
        shown.enter_context(Live(get_renderable=line, console=out, refresh_per_second=4, transient=True))
    else:
        about = f"{math.ceil(left / 60)} minutes" if left > 60 else f"{math.ceil(left)} s"
        out.print(f"Waiting for the approval, {about} at most.")
        out.file.flush()


def _tell(out: Console, begun: Begun, *, typed: bool) -> None:
    from rich.text import Text

    url, code = printable(begun.url, 2000), printable(begun.code)
    picture = begun.qr() if _can_draw(out) else ""
    if typed:
        out.print("To sign in, open this page on any device and type the code:\n")
        out.print(Text(f"  {printable(begun.link_page, 500)}"))
        out.print(Text.assemble("  code  ", (code, "bold")))
        out.print(Text(f"\nor, with the code in it:  {url}"))
    else:
        out.print("To sign in, open this page, here or on another device:\n")
        out.print(Text(f"  {url}"))
        out.print(Text.assemble("\n  code to compare  ", (code, "bold")))
    if picture and max(map(len, picture.splitlines())) <= out.width:
        out.print(f"\n{picture}", end="")
    out.print()


def _time_left(ends: float) -> Text:
    from rich.text import Text

    minutes, seconds = divmod(round(max(ends - time.monotonic(), 0.0)), 60)
    left = f"{minutes}:{seconds:02}" if minutes else f"{seconds} s"
    return Text(f"Waiting: {left} left (Ctrl-C gives up)", style="dim")


def _can_draw(out: Console) -> bool:
    return out.is_terminal and not out.is_dumb_terminal  # of a dumb one not even the width is known


def _opened_in_browser(url: str) -> bool:
    """Open an address in this computer's browser and say so; tell whether that worked."""
    from ticketstub.client.flows.browser import opened

    there = opened(True, url)  # noqa: FBT003  # the function's own meaning of true
    if there:
        print("Your browser was asked to open it.", file=sys.stderr, flush=True)
    return there


def _show(client: Plex, *, as_json: bool) -> None:
    """Tell who is signed in now, how that came about, and where it is kept."""
    state = client.signed_in
    if state is None:
        raise TypeError("a client that signed in knows how")
    nowhere = state.where.startswith("in memory")
    who = state.username or "somebody, plex.tv did not say who"
    title = f"{'Already signed' if state.how == 'kept' else 'Signed'} in as {who}"
    if state.before == "unchecked":
        title = f"Signed in as {who} so far: plex.tv did not answer, so what is kept was not checked"
    output.result(
        {
            "account": {"id": state.account_id, "username": state.username},
            "token": client.token,
            "expires_at": state.until,
            "device_key": state.device_key,
            "how": state.how,
            "before": state.before,
            "profile": state.profile,
            "issuer": state.issuer,
            "client_identifier": state.client_identifier,
            "kept": None if nowhere else state.where,
        },
        title,
        [
            ("id", str(state.account_id) if state.account_id is not None else None),
            ("token", facts.token_text(client.token)),
            ("until", facts.moment(state.until)),
            ("device key", "yes: the token is renewed with it" if state.device_key else None),
            ("profile", state.profile),
            ("at", state.issuer),
            ("kept", "nowhere: add --print-token to have the token written out" if nowhere else state.where),
        ],
        as_json=as_json,
    )
    if as_json:
        return
    if state.how == "kept":
        print("To sign in anew: --again. To keep another sign-in beside it: --profile NAME.", file=sys.stderr)
    if os.environ.get(prompts.VARIABLE, "").strip():
        print(f"{prompts.VARIABLE} is set: its token comes before what is kept.", file=sys.stderr)
