"""The whole sign-in: what is kept, if it still works; else renewed; else anew, by password or in the browser; and kept.

Rule: a kept token is given up only if Plex itself says that it is over. A password is sent once for each answer of the
user; a browser is opened once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec

from ticketstub.client.flows.browser import opened
from ticketstub.client.flows.device_key import granted, load_key, make_key, register, with_jwt
from ticketstub.client.flows.pending import Begun, Standing
from ticketstub.client.flows.pin import begin, until_approved
from ticketstub.client.flows.request import Caller
from ticketstub.client.flows.session import fresh, learn, resumed, stored
from ticketstub.client.flows.sign_in_options import AskCode, Wish
from ticketstub.client.flows.steps import Flow, Put, do
from ticketstub.client.flows.stored_session import Kept
from ticketstub.credentials.default import default_credentials
from ticketstub.credentials.store import Credential, Credentials, Entry
from ticketstub.errors import CredentialsError, PlexError, SignInFailed, printable
from ticketstub.models import Account
from ticketstub.refusals import VerificationCodeRequired, WrongVerificationCode
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey

_MOST_QUESTIONS = 2
_NEEDED: dict[Standing, str] = {
    "revoked": "the kept sign-in was ended at Plex",
    "expired": "the time of the kept sign-in is over",
}


def with_password(
    caller: Caller, login: str, password: Secret, ask_code: AskCode | None, *, remember_me: bool
) -> Flow[Account]:
    """Sign in with login and password.

    Raises:
        VerificationCodeRequired, WrongVerificationCode: there is nobody to ask, or no right answer.
        Unauthorized, TooManyFailures: Plex refused.
    """
    from ticketstub.protocol.account import PostUsersSignInData

    code: Secret | None = None
    questions = 0
    while True:
        try:
            return (yield from caller.call(PostUsersSignInData.of(login, password, code, remember_me=remember_me)))
        except (VerificationCodeRequired, WrongVerificationCode):
            if ask_code is None or questions == _MOST_QUESTIONS:
                raise
            code = yield from _answer(ask_code)
            questions += 1
            if code is None:
                raise


def _answer(ask_code: AskCode) -> Flow[Secret | None]:
    answer = yield Put(ask_code)
    if isinstance(answer, str):
        answer = Secret(answer.strip())
    if answer is not None and not isinstance(answer, Secret):
        raise TypeError(f"ask_code returns text, a Secret or None, not {type(answer).__name__}")
    return answer or None


def sign_in(wish: Wish, caller: Caller) -> Flow[Kept]:
    """Sign in, and return the sign-in, kept."""
    entry = Entry.of(caller.issuer, wish.profile, wish.app)
    store = wish.credentials or (yield from do(partial(default_credentials, wish.storage, wanted=entry)))
    there = yield from do(partial(store.load, *entry))
    standing, kept = yield from resumed(wish.login, caller, store, there)
    if kept is None:
        kept = yield from _anew(wish, caller, store, standing, there)
        if standing == "none" and wish.credentials is None and wish.storage == "auto":
            yield from do(partial(wish.tell, f"Signed in. The sign-in is kept {kept.where}.\n"))
    token = kept()
    if wish.device_key and standing != "unchecked" and not (token and token.kind == "jwt"):
        yield from _moved_to_key(kept, caller)
    return kept


def _anew(wish: Wish, caller: Caller, store: Credentials, because: Standing, there: Credential | None) -> Flow[Kept]:
    if wish.login is not None and wish.password is not None:
        kept = yield from _by_password(wish, wish.login, wish.password, caller)
    else:
        kept = yield from _by_pin(wish, caller, because, there)
    try:
        kept = yield from stored(kept, store, wish.app, wish.profile, caller, before=because)
    except CredentialsError:  # nobody would have its token: it is ended at Plex
        from ticketstub.protocol.account import SignOut  # loaded where a call is made, as everywhere in flows

        with contextlib.suppress(PlexError):
            yield from caller.with_token(kept()).trying(1).call(SignOut())
        raise
    if kept.credential.username is None:
        with contextlib.suppress(PlexError):  # whose it is, to show it later without network
            yield from learn(kept, caller)
    return kept


def _by_password(wish: Wish, login: str, password: Secret, caller: Caller) -> Flow[Kept]:
    if wish.device_key and not wish.own_device:
        # An identifier that once had a JWT gets no opaque token again (observed), so each such sign-in has its own.
        caller = caller.as_client(wish.identifier())
    account = yield from with_password(caller, login, password, wish.ask_code, remember_me=wish.remember_me)
    token = cast("Token", account.auth_token)  # an answer without one is a `MalformedReply`
    remembered = account if wish.remember_me else msgspec.structs.replace(account, remember_expires_at=None)
    return (yield from fresh(caller, token, how="password", account=remembered))


def _by_pin(wish: Wish, caller: Caller, because: Standing, there: Credential | None) -> Flow[Kept]:
    if wish.on_code is None and wish.open_browser is False:
        raise SignInFailed(
            _NEEDED.get(because, "nobody is signed in"), hint="pass on_code=, or open_browser=True, to sign in anew"
        )
    key: DeviceKey | None = None
    if wish.device_key:
        key = (yield from do(partial(load_key, there.device_key))) if there and there.device_key else None
        if not wish.own_device:
            caller = caller.as_client(there.client_identifier if there and key else wish.identifier())
        key = key or (yield from do(make_key))
    pin = yield from begin(caller, strong=not wish.code, forward_url=wish.forward_url, key=key)
    begun = Begun(pin, because)
    remind: Callable[[], object] | None = None
    if (yield from _shown(wish, begun)):
        remind = partial(wish.tell, f"No approval yet. Did no browser open?\n{begun.text(typed=wish.code)}")
    return (yield from until_approved(pin, key, caller, give_up=wish.give_up, remind=remind))


def _shown(wish: Wish, begun: Begun) -> Flow[bool]:
    """Show the sign-in by whatever way there is; tell whether the browser is the only one.

    Raises:
        SignInFailed: there is none.
    """
    if wish.on_code is not None:
        yield Put(partial(wish.on_code, begun))
        if wish.code:  # the user types it, on this or another device
            return False
    there = yield from do(partial(opened, wish.open_browser, begun.url))
    if there or wish.on_code is not None:
        return there and wish.on_code is None
    if not (yield from do(partial(wish.tell, begun.text(typed=wish.code)))):
        raise SignInFailed(
            f"no browser can be opened here, and there is no terminal to show the address: {printable(begun.url, 500)}",
            hint="pass on_code= to show it yourself, with code=True for a code that is typed on any device; or sign in "
            "with login= and password=; or give Plex a token=",
        )
    return False


def _moved_to_key(kept: Kept, caller: Caller) -> Flow[None]:
    """Register a device key with an opaque token, and live on JWTs from then on (documented).

    The key is kept first: were it lost after the first JWT, which ends the opaque token, so were the sign-in.
    """
    credential = kept.credential
    if credential.device_key is None:
        key = yield from do(make_key)
        wanted = msgspec.structs.replace(credential, device_key=(yield from do(key.dump)))
        credential = kept.credential = yield from kept.keep(wanted, replacing=credential)
    held = (yield from do(partial(load_key, credential.device_key))) if credential.device_key else None
    if held is None or credential.token is None or credential.token.kind == "jwt":  # somebody else was faster
        return
    own = caller.as_client(credential.client_identifier).with_token(credential.token)
    yield from register(own, held)
    got = yield from granted(own, held)
    renewed = with_jwt(credential, *got, caller.senses.now())
    kept.credential = yield from kept.keep(renewed, replacing=credential)
