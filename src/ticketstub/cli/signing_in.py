"""What `ticketstub login` does: see what is kept, sign in by the way that was chosen, and show what came of it.

Rule: where it is kept is settled before anything is sent. A sign-in that still works is not replaced unless it is said
so, and never by another account's.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.cli import given, keeping
from ticketstub.cli.again import Anew
from ticketstub.cli.complaints import WrongUsage
from ticketstub.cli.connection import PRODUCT, Reach, kept, own_device
from ticketstub.cli.over import REASONS
from ticketstub.cli.version import version
from ticketstub.refusals import TooManyFailures, Unauthorized, VerificationCodeRequired, WrongVerificationCode

if TYPE_CHECKING:
    from ticketstub.cli.facts import Plain
    from ticketstub.cli.keeping import Found
    from ticketstub.client import Plex
    from ticketstub.credentials.base import Credentials
    from ticketstub.credentials.choice import Storage
    from ticketstub.flows.begun import Standing
    from ticketstub.flows.kept import SignedIn
    from ticketstub.options import ClientOptions


class Way(NamedTuple):
    """How to sign in.

    Args:
        code: by a typed code; password: by password; neither: in the browser.
        login: the user name, with `password`. remember_me: for 14 days, likewise.
        device_key: whether to live on a device key.
        browser: whether the browser is opened.
        wait: after how many seconds to give up.
    """

    code: bool = False
    password: bool = False
    login: str | None = None
    remember_me: bool = False
    device_key: bool = False
    browser: bool = False
    wait: float | None = None


class Signing:
    """One sign-in by the command."""

    def __init__(self, reach: Reach, way: Way, storage: Storage) -> None:
        self._reach = reach
        self._way = way
        self._entry = keeping.entry(reach.issuer, reach.profile)
        self._store = keeping.choose(storage, self._entry)

    @contextmanager
    def done(self, *, again: bool) -> Generator[Plex]:
        """Sign in, and yield the client that is signed in.

        Args:
            again: whether what is kept is replaced even if it still works.
        """
        with self._client_of(again=again) as client:
            yield client

    def _client_of(self, *, again: bool) -> Plex:
        if not self._way.password:
            return self._by_pin(Anew(self._store) if again else self._store)
        there = None if again else self._still_good()
        return there or self._by_password(Anew(self._store))

    def _still_good(self) -> Plex | None:
        """Return the client of what is kept, if it still works, before anybody is asked for a password.

        Raises:
            WrongUsage: it is another account's.
        """
        credential = self._store.load(*self._entry)
        if credential is None or credential.token is None:
            return None
        found = keeping.Found(self._store, credential)
        standing = self._standing(found)
        if standing == "another":
            hint = "--again replaces it; --profile NAME keeps the other beside it"
            raise WrongUsage(f"the profile {found.name} is another account's, and still works", hint=hint)
        if reason := REASONS.get(standing):
            print(f"The sign-in that was kept no longer works: {reason}.", file=sys.stderr)
            return None
        return self._by_pin(self._store)  # which takes up what is kept, and gives it a device key if that is wanted

    def _standing(self, found: Found) -> Standing:
        from ticketstub.flows.resume import resumed
        from ticketstub.flows.wish import Keeping, Wish

        wish = Wish(login=self._way.login, keeping=Keeping(profile=self._entry.profile))
        with kept(self._reach, found) as client:
            return client.follow(partial(resumed, wish, store=found.store, there=found.credential))[0]

    def _by_pin(self, store: Credentials) -> Plex:
        from ticketstub.cli.waiting import Waiting, opened_in_browser
        from ticketstub.client import Plex

        way = self._way
        with Waiting(typed=way.code, patience=way.wait) as waiting:
            return Plex.sign_in(
                PRODUCT,
                device_key=way.device_key,
                profile=self._entry.profile,
                code=way.code,
                on_code=waiting.show,
                open_browser=opened_in_browser if way.browser else False,
                give_up=way.wait,
                credentials=store,
                **self._client(),
            )

    def _by_password(self, store: Credentials) -> Plex:
        from ticketstub.client import Plex

        login = self._way.login or given.login()
        password = given.password()
        asked = itertools.count()
        with _refusals_hinted():
            return Plex.sign_in(
                PRODUCT,
                login=login,
                password=password,
                ask_code=lambda: given.verification_code(again=next(asked) > 0),
                remember_me=self._way.remember_me,
                device_key=self._way.device_key,
                profile=self._entry.profile,
                credentials=store,
                **self._client(),
            )

    def _client(self) -> ClientOptions:
        reach = self._reach
        return {
            # The library names the device, so that a device key gets an identifier of its own.
            "device": own_device(reach.client_identifier) if reach.client_identifier else None,
            "headers": {"X-Plex-Version": version()},
            "plex_tv": reach.plex_tv,
            "timeout": reach.timeout,
        }


@contextmanager
def _refusals_hinted() -> Generator[None]:
    try:
        yield
    except (TooManyFailures, VerificationCodeRequired, WrongVerificationCode):
        raise
    except Unauthorized as error:
        error.hint = error.hint or "check the user name or e-mail address and the password"
        raise


def shown(client: Plex, *, as_json: bool) -> None:
    """Tell who is signed in now, how that came about, and where it is kept."""
    from ticketstub.cli import facts, show

    state = client.signed_in
    if state is None:
        raise TypeError("a client that signed in knows how")
    if as_json:
        show.as_json(_plain(state, str(client.token)))
        return
    show.heading(_told(state))
    show.facts(
        [
            ("id", str(state.account_id) if state.account_id is not None else None),
            ("token", facts.token_text(client.token)),
            ("until", facts.moment(state.until)),
            ("device key", "yes: the token is renewed with it" if state.device_key else None),
            ("profile", state.profile),
            ("at", state.issuer),
            ("kept", "nowhere: add --print-token to have the token written out" if _nowhere(state) else state.where),
        ]
    )
    if state.how == "kept":
        print("To sign in anew: --again. To keep another sign-in beside it: --profile NAME.", file=sys.stderr)
    if os.environ.get(given.VARIABLE, "").strip():
        print(f"{given.VARIABLE} is set: its token comes before what is kept.", file=sys.stderr)


def _nowhere(state: SignedIn) -> bool:
    return state.where.startswith("in memory")


def _told(state: SignedIn) -> str:
    who = state.username or "somebody, plex.tv did not say who"
    if state.before == "unchecked":
        return f"Signed in as {who} so far: plex.tv did not answer, so what is kept was not checked"
    return f"Already signed in as {who}" if state.how == "kept" else f"Signed in as {who}"


def _plain(state: SignedIn, token: str) -> dict[str, Plain]:
    from ticketstub.cli import facts

    return {
        "account": {"id": state.account_id, "username": state.username},
        "token": token,
        "expires_at": facts.plain(state.until),
        "device_key": state.device_key,
        "how": state.how,
        "before": state.before,
        "profile": state.profile,
        "issuer": state.issuer,
        "client_identifier": state.client_identifier,
        "kept": None if _nowhere(state) else state.where,
    }
