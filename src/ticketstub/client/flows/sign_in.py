"""The whole sign-in: options, the stored sign-in if it still works, else a new one by password or in the browser.

Rule: a stored token is replaced only if Plex itself says that it is no longer valid. A password is sent once for each
answer from the user, and a browser is opened once. The browser that BROWSER names is used. A text-mode browser is not,
because it would take over the program's terminal. A browser command that does not return counts as opened.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from ticketstub.client.config import PLEX_TV
from ticketstub.client.flows.device_key import generate_key, load_key, register_key, request_jwt, with_jwt
from ticketstub.client.flows.pin import create_pin, wait_for_approval
from ticketstub.client.flows.request import Flow, FlowContext, Invoke, run_blocking
from ticketstub.client.flows.session import (
    StoredSession,
    create_session,
    has_expired,
    open_store,
    save_session,
)
from ticketstub.client.sign_ins import (
    AskCode,
    Browser,
    LinkCode,
    OpenBrowser,
    Password,
    PendingState,
    TokenStatus,
)
from ticketstub.credentials.default import StoreKind
from ticketstub.credentials.store import COMMAND_APP, DEFAULT_PROFILE, Credential, CredentialStore, Entry
from ticketstub.device import Device, build_file_name
from ticketstub.dns import run_with_deadline
from ticketstub.errors import CredentialsError, NotSignedIn, PlexError, SignInFailed, sanitize_text
from ticketstub.models import Account
from ticketstub.refusals import (
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)
from ticketstub.tokens import Secret, Token, to_secret

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey


class SignInOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a program asked `sign_in` for.

    Args:
        method: how to sign in if no stored sign-in works.
        device_key: whether to use a device key and JWTs.
        force: whether to sign in even if a stored sign-in works.
        max_wait: seconds to wait for an approval; `None` for the PIN's own lifetime.
        app: the program that the sign-in is stored for.
        profile: the name that it is stored under.
        store: where it is stored; `None` means `auto`.
        has_custom_device: whether the program passed its own device.
        make_identifier: creates a client identifier.
        show_text: writes a text to the terminal and returns whether there is one.

    Raises:
        ValueError: the app or the profile is not a valid name.
        TypeError: `method` is not a `Browser`, `LinkCode` or `Password`.
    """

    method: Browser | LinkCode | Password = Browser()
    device_key: bool = False
    force: bool = False
    max_wait: float | None = None
    app: str = COMMAND_APP
    profile: str = DEFAULT_PROFILE
    store: CredentialStore | StoreKind | None = None
    has_custom_device: bool = False
    make_identifier: Callable[[], str] = lambda: str(uuid4())
    show_text: Callable[[str], bool] = lambda _text: False

    def __post_init__(self) -> None:
        Entry.create(PLEX_TV, self.profile, self.app)
        if not isinstance(self.method, Browser | LinkCode | Password):  # pyright: ignore[reportUnnecessaryIsInstance]  # programs without types
            raise TypeError("method must be a Browser(...), LinkCode(...) or Password(...)")


def load_app_device(app: str, profile: str = DEFAULT_PROFILE, directory: Path | None = None) -> Device:
    """Return this installation's device for an app and a profile, by `Device.load_or_use_temporary`. It reads a file.

    Raises:
        ValueError: the app's name is empty or holds a control character.
    """
    return replace(Device.load_or_use_temporary(build_file_name(app, profile), directory=directory), product=app)


_TERMINAL_BROWSERS = {"www-browser", "links", "links2", "elinks", "lynx", "w3m", "browsh"}
_START_TIMEOUT = 3.0
"""Seconds that a browser has to report that it cannot be opened."""


def open_browser(opener: bool | OpenBrowser, url: str, timeout: float = _START_TIMEOUT) -> bool:
    """Open a URL, and return whether that worked.

    Args:
        opener: the function that opens it; `True` for this computer's browser, `False` for none.
        url: the URL.
        timeout: how many seconds this computer's browser has to report that it cannot be opened.
    """
    if opener is not True:
        return opener is not False and opener(url) is not False
    import webbrowser  # loads subprocess, which a stored sign-in does not need

    try:
        browser = webbrowser.get()
        if type(browser) is webbrowser.GenericBrowser and PurePath(browser.name).stem in _TERMINAL_BROWSERS:
            return False
        return run_with_deadline(lambda: browser.open(url), time.monotonic() + timeout)
    except TimeoutError:  # some browsers return only when their window is closed
        return True
    except (webbrowser.Error, OSError, ValueError):
        return False


def write_to_terminal(text: str) -> bool:
    """Write to standard error if that is a terminal, and return whether it is.

    The library itself writes nothing else, and not even this if the program shows the sign-in.
    """
    stream = sys.stderr
    if stream is not None and not stream.closed and stream.isatty():  # pyright: ignore[reportUnnecessaryComparison]  # None in a program without a console
        with suppress(OSError, ValueError):
            stream.write(text)
            stream.flush()
            return True
    return False


_MAX_CODE_PROMPTS = 2
_REASONS: dict[TokenStatus, str] = {
    "revoked": "the stored sign-in was revoked at Plex",
    "expired": "the stored sign-in has expired",
}


def _request_account(method: Password, context: FlowContext) -> Flow[Account]:
    """Send user name and password, and the verification code if Plex wants one.

    Raises:
        VerificationCodeRequired, WrongVerificationCode: `ask_code` is missing, or gave no right code.
        Unauthorized, TooManyFailures: Plex refused.
    """
    from ticketstub.protocol.account import PostUsersSignInData

    password, code = to_secret(method.password), None
    for left in reversed(range(_MAX_CODE_PROMPTS + 1)):
        try:
            return (
                yield from context.call(
                    PostUsersSignInData.from_text(method.login, password, code, remember_me=method.remember_me)
                )
            )
        except (VerificationCodeRequired, WrongVerificationCode):
            if method.ask_code is None or not left:
                raise
            code = yield from _request_code(method.ask_code)
            if code is None:
                raise
    raise AssertionError("there is at least one try")


def _request_code(ask_code: AskCode) -> Flow[Secret | None]:
    answer = yield Invoke(ask_code)
    if isinstance(answer, str):
        answer = Secret(answer.strip())
    if answer is not None and not isinstance(answer, Secret):
        raise TypeError(f"ask_code returns text, a Secret or None, not {type(answer).__name__}")
    return answer or None


def sign_in(options: SignInOptions, context: FlowContext) -> Flow[StoredSession]:
    """Sign in, and return the stored sign-in."""
    entry = Entry.create(context.issuer, options.profile, options.app)
    store = yield from open_store(options.store, entry)
    credential = None if options.force else (yield from run_blocking(partial(store.load, *entry)))
    status, session = yield from resume_session(
        options.method.login if isinstance(options.method, Password) else None, context, store, credential
    )
    if session is None:
        session = yield from _start_new_sign_in(options, context, store, status, credential)
        if status == "none" and options.store in (None, "auto"):
            yield from run_blocking(
                partial(options.show_text, f"Signed in. The sign-in is stored {session.location}.\n")
            )
    token = session()
    if options.device_key and status != "unchecked" and not (token and token.kind == "jwt"):
        yield from _switch_to_device_key(session, context)
    return session


def load_session(
    app: str, profile: str, store: CredentialStore | StoreKind | None, context: FlowContext
) -> Flow[StoredSession]:
    """Return the stored sign-in without asking plex.tv about it.

    Raises:
        NotSignedIn: none is stored.
        CredentialsError: the store cannot be read.
    """
    entry = Entry.create(context.issuer, profile, app)
    store = yield from open_store(store, entry)
    credential = yield from run_blocking(partial(store.load, *entry))
    if credential is None or credential.token is None or credential.signed_out_at is not None:
        raise NotSignedIn("no sign-in is stored for this app and profile", hint="call sign_in with the same names")
    return StoredSession(
        context,
        store,
        credential,
        location=(yield from run_blocking(partial(store.describe_location, *entry))),
        previous_status="unchecked",
    )


def resume_session(
    login: str | None, context: FlowContext, store: CredentialStore, credential: Credential | None
) -> Flow[tuple[TokenStatus, StoredSession | None]]:
    """Return the status of the stored sign-in, and the sign-in itself if it can be used.

    Args:
        login: the account that it must belong to; `None` for any.
        context: what the calls are made with.
        store: the store that it is in.
        credential: what is stored.
    """
    if credential is None or credential.token is None:
        return "none", None
    location = yield from run_blocking(partial(store.describe_location, *credential.entry))
    session = StoredSession(context, store, credential, location=location)
    session.previous_status = yield from _check_status(login, session, context)
    usable = session.previous_status in ("good", "renewed", "unchecked")
    return session.previous_status, session if usable else None


def _check_status(login: str | None, session: StoredSession, context: FlowContext) -> Flow[TokenStatus]:
    credential = session.credential
    try:
        account = yield from refresh_account(session, context)
    except PlexError as failure:
        if not isinstance(failure, Unauthorized) or isinstance(failure, TooManyFailures):
            # The token is used as it is, unless it is known to belong to another account than the one requested.
            name = login.strip().casefold() if login and "@" not in login else None
            is_other = name is not None and credential.username is not None and name != credential.username.casefold()
            return "another" if is_other else "unchecked"
        return "expired" if has_expired(credential, failure, context) else "revoked"
    names = {name.casefold() for name in (account.username, account.email, account.title) if name}
    if login is not None and login.strip().casefold() not in names:
        return "another"
    return "good" if session.credential.token == credential.token else "renewed"


def refresh_account(session: StoredSession, context: FlowContext) -> Flow[Account]:
    """Ask plex.tv for the account and store that; a JWT is renewed if necessary.

    Raises:
        PlexError: plex.tv could not be asked, or refused the token.
    """
    from ticketstub.protocol.account import GetTokenDetails

    own_context = context.with_client_identifier(session.credential.client_identifier).with_token(
        session, origin=session.origin
    )
    account = yield from own_context.call(GetTokenDetails())
    yield from session.update(account=account, checked_at=context.clock.now())
    return account


def _start_new_sign_in(
    options: SignInOptions,
    context: FlowContext,
    store: CredentialStore,
    reason: TokenStatus,
    old_credential: Credential | None,
) -> Flow[StoredSession]:
    method = options.method
    session = yield from (
        _sign_in_by_password(options, method, context)
        if isinstance(method, Password)
        else _sign_in_by_pin(options, method, context, reason, old_credential)
    )
    try:
        session = yield from save_session(session, store, options.app, options.profile, context, previous_status=reason)
    except CredentialsError:  # the token would be lost: revoke it
        from ticketstub.protocol.account import SignOut

        with suppress(PlexError):
            yield from context.with_token(session()).with_attempts(1).call(SignOut())
        raise
    if session.credential.username is None:
        with suppress(PlexError):  # only to show the account later without network
            yield from refresh_account(session, context)
    return session


def _sign_in_by_password(options: SignInOptions, method: Password, context: FlowContext) -> Flow[StoredSession]:
    if options.device_key and not options.has_custom_device:
        # An identifier that once had a JWT gets no opaque token again (observed): each such sign-in uses a new one.
        context = context.with_client_identifier(options.make_identifier())
    account = yield from _request_account(method, context)
    token = cast("Token", account.auth_token)  # a reply without one is a `MalformedReply`
    if not method.remember_me:
        account = replace(account, remember_expires_at=None)
    return (yield from create_session(context, token, method="password", account=account))


def _sign_in_by_pin(
    options: SignInOptions,
    method: Browser | LinkCode,
    context: FlowContext,
    reason: TokenStatus,
    old_credential: Credential | None,
) -> Flow[StoredSession]:
    if method.show is None and method.open is False and not (yield from run_blocking(partial(options.show_text, ""))):
        raise NotSignedIn(_REASONS.get(reason, "nobody is signed in"), hint="pass show= or open=True to sign in again")
    key: DeviceKey | None = None
    if options.device_key:
        key = yield from run_blocking(partial(load_key, old_credential.device_key if old_credential else None))
        if not options.has_custom_device:
            context = context.with_client_identifier(
                old_credential.client_identifier if old_credential and key else options.make_identifier()
            )
        key = key or (yield from run_blocking(generate_key))
    pin = yield from create_pin(
        context,
        strong=isinstance(method, Browser),
        forward_url=method.forward_url if isinstance(method, Browser) else None,
        key=key,
    )
    pending = PendingState(pin, reason)
    remind: Callable[[], object] | None = None
    if (yield from _show_pending(method, pending, options.show_text)):
        text = pending.render_text(for_link_page=isinstance(method, LinkCode))
        remind = partial(options.show_text, f"Not approved yet. Did the browser open?\n{text}")
    return (yield from wait_for_approval(pin, key, context, max_wait=options.max_wait, remind=remind))


def _show_pending(method: Browser | LinkCode, pending: PendingState, show_text: Callable[[str], bool]) -> Flow[bool]:
    """Show the sign-in to the user; return whether only a browser shows it.

    Raises:
        SignInFailed: it cannot be shown.
    """
    is_code = isinstance(method, LinkCode)
    if method.show is not None:
        yield Invoke(partial(method.show, pending))
        if is_code:  # the user types it, on any device
            return False
    browser_opened = yield from run_blocking(partial(open_browser, method.open, pending.url))
    if browser_opened or method.show is not None:
        return browser_opened and method.show is None
    if not (yield from run_blocking(partial(show_text, pending.render_text(for_link_page=is_code)))):
        raise SignInFailed(
            "no browser can be opened here, and there is no terminal to show the URL: "
            f"{sanitize_text(pending.url, 500)}",
            hint="show it yourself with method=Browser(show), or use LinkCode(show) for a code that is typed on any "
            "device, or Password(login, password), or Plex(token=...)",
        )
    return False


def _switch_to_device_key(session: StoredSession, context: FlowContext) -> Flow[None]:
    """Register a device key with an opaque token, and use JWTs from then on (documented).

    The key is stored first: the first JWT revokes the opaque token, so a lost key would be a lost sign-in.
    """
    credential = session.credential
    if credential.device_key is None:
        key = yield from run_blocking(generate_key)
        credential = session.credential = yield from session.save(
            replace(credential, device_key=(yield from run_blocking(key.dump))), replacing=credential
        )
    device_key = yield from run_blocking(partial(load_key, credential.device_key))
    if device_key is None or credential.token is None or credential.token.kind == "jwt":  # another program has done it
        return
    own_context = context.with_client_identifier(credential.client_identifier).with_token(
        credential.token, origin=session.origin
    )
    yield from register_key(own_context, device_key)
    renewed = with_jwt(credential, *(yield from request_jwt(own_context, device_key)), context.clock.now())
    session.credential = yield from session.save(renewed, replacing=credential)
