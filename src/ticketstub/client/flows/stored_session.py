"""The sign-in that a client lives on: the source of its token, in step with the store where it is kept.

Rule: a JWT is renewed before its end and on 498, by one at a time among threads, tasks and processes: whoever has to
wait takes the other's result. What is kept is replaced only if nobody changed it meanwhile. A renewal that fails costs
nothing as long as the old token lasts, and a JWT that cannot be stored is used all the same: its key is kept.
A flow that is given up while its thread is just getting the lock must not leave it held: whoever leaves first, the flow
or the thread, the lock is free in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Literal

import msgspec

from ticketstub.client.config import Settings
from ticketstub.client.flows.device_key import granted, load_key, with_jwt
from ticketstub.client.flows.pending import Standing
from ticketstub.client.flows.request import Caller, Senses
from ticketstub.client.flows.steps import Flow, Refused, Sleep, do
from ticketstub.credentials.keep_alive import PING_EVERY, RENEW_BY, RENEW_FROM, next_ping, renewal_due
from ticketstub.credentials.store import PATIENCE, Credential, Credentials
from ticketstub.device import Device
from ticketstub.errors import CredentialsError, PlexError
from ticketstub.models import Account
from ticketstub.refusals import RateLimited, Refusal, ServerError, TokenExpired, Unauthorized
from ticketstub.tokens import Token

PAUSE = 0.05
"""How many seconds pass between two tries; a renewal takes longer (ours)."""

How = Literal["kept", "browser", "code", "password"]

_AFTER_A_FAILURE = 60.0
"""How many seconds pass before a renewal that is not pressing is tried again (ours)."""

_SOON = 60.0


class Turn:
    """One turn at a lock.

    Args:
        lock: makes a context manager that is entered at once or raises a `CredentialsError`; it may be left in another
            thread than it was entered in.
    """

    def __init__(self, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._lock = lock
        self._held: AbstractContextManager[None] | None = None
        self._left = False
        self._guard = Lock()

    def wait(self, senses: Senses, patience: float) -> Flow[None]:
        """Wait for the turn, at most so many seconds.

        Raises:
            CredentialsError: it did not come.
        """
        deadline = senses.clock() + patience
        while True:
            try:
                yield from do(self._take)
            except CredentialsError:
                if senses.clock() >= deadline:
                    raise
            else:
                return
            yield Sleep(PAUSE)

    def _take(self) -> None:
        held = self._lock()
        held.__enter__()
        with self._guard:
            if not self._left:
                self._held = held
                return
        held.__exit__(None, None, None)  # the flow is gone

    def close(self) -> None:
        """Give the turn back; nothing happens if it is not held."""
        with self._guard:
            held, self._held, self._left = self._held, None, True
        if held is not None:
            held.__exit__(None, None, None)


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """How a client is signed in.

    Args:
        how: by which way: what was kept, the browser, a typed code, or a password.
        before: how the kept token stood when the client was made (see `Standing`); `unchecked` means that plex.tv could
            not be asked and the kept token was taken as it was.
        issuer: the origin that issued the token. app: the program that it is kept for. profile: the name under which.
        where: where it is kept, in plain words.
        client_identifier: the identifier that the token belongs to.
        account_id, username: the account's, as last heard; `None` where plex.tv was not asked.
        until: when the token ends; `None` where it does not, or nobody knows. A JWT is renewed before.
        device_key: whether it lives on a device key and JWTs.
    """

    how: How
    before: Standing
    issuer: str
    app: str
    profile: str
    where: str
    client_identifier: str | None
    account_id: int | None
    username: str | None
    until: datetime | None
    device_key: bool


class Kept:
    """A kept sign-in, as the token source of a client (`Options`' `token`)."""

    def __init__(
        self,
        caller: Caller,
        store: Credentials,
        credential: Credential,
        *,
        where: str,
        how: How = "kept",
        before: Standing = "none",
    ) -> None:
        self._caller = caller.as_client(credential.client_identifier)
        self.device = self._caller.device
        self.chance = caller.senses.chance()
        self._again_at = float("-inf")
        self.store = store
        self.credential = credential
        self.where = where
        self.how: How = how
        self.before: Standing = before

    @property
    def origin(self) -> str:
        """The issuer, to whom alone the token is sent."""
        return self.credential.issuer

    @property
    def signed_in(self) -> SignedIn:
        """What a program may know of it."""
        kept = self.credential
        return SignedIn(
            how=self.how,
            before=self.before,
            issuer=kept.issuer,
            app=kept.app,
            profile=kept.profile,
            where=self.where,
            client_identifier=kept.client_identifier,
            account_id=kept.account_id,
            username=kept.username,
            until=moment(kept.expires_at),
            device_key=kept.device_key is not None,
        )

    def __call__(self) -> Token | None:
        """Return the token as it is now."""
        return self.credential.token

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.credential.profile} of {self.origin}>"

    def flow(self, settings: Settings, device: Device, deadline: float, refused: Refused | None) -> Flow[Token | None]:
        """Return the token for a call; after a refusal another one, or `None` if there is none."""
        caller = self._caller._replace(settings=settings, device=device).trying(1, deadline)
        if refused is None:
            yield from self._in_time(caller)
        elif not (yield from self._instead(caller, refused)):
            return None
        return self.credential.token

    def _in_time(self, caller: Caller) -> Flow[None]:
        """Renew if it is time; that it fails does not matter yet."""
        seen = self.credential
        due = renewal_due(seen, self._caller.senses.now(), chance=self.chance)
        if due == "no" or self._caller.senses.clock() < self._again_at:
            return
        try:
            yield from self.renewed(caller, seen.token, patience=self._patience(caller) if due == "must" else 0.0)
        except PlexError:
            self._again_at = self._caller.senses.clock() + _AFTER_A_FAILURE

    def _instead(self, caller: Caller, refused: Refused) -> Flow[bool]:
        """Get another token than the refused one; tell whether there is one now."""
        seen = self.credential
        if seen.token != refused.token:  # somebody was faster
            return True
        if not self._is_over(seen, refused.refusal):
            return (yield from self._taken_over(seen))
        try:
            return (yield from self.renewed(caller, seen.token, patience=self._patience(caller)))
        except (ServerError, RateLimited):
            raise
        except CredentialsError:
            if self.credential is seen:
                raise
            return True  # there is a new one, and only the store failed
        except Refusal as further:  # the key is no longer taken: the first refusal says more
            refused.refusal.hint = f"it could not be renewed ({further.message}): sign in again"
            return False

    def _patience(self, caller: Caller) -> float:
        """Say how many seconds a call may wait for somebody else who renews: not beyond its own time."""
        deadline = caller.settings.deadline
        return PATIENCE if deadline is None else max(0.0, min(PATIENCE, deadline - self._caller.senses.clock()))

    def _is_over(self, seen: Credential, refusal: Unauthorized) -> bool:
        """Tell whether it is the token's time that is over: some answer 401 for that (assumed)."""
        if seen.device_key is None or seen.token is None:
            return False
        if seen.token.kind != "jwt":  # the first JWT for its key has ended it (documented)
            return True
        past = seen.expires_at is not None and self._caller.senses.now() >= seen.expires_at
        return past or isinstance(refusal, TokenExpired)

    def _taken_over(self, seen: Credential) -> Flow[bool]:
        """Look whether somebody else signed this profile in again meanwhile."""
        now = yield from do(self._load)
        if now is None or now.token in (None, seen.token) or now.client_identifier != seen.client_identifier:
            return False
        self.credential = now
        return True

    def renewed(self, caller: Caller, seen: Token | None, *, patience: float) -> Flow[bool]:
        """Have a new JWT in place of this one, by our own doing or somebody else's; tell whether there is one.

        Args:
            caller: who asks Plex.
            seen: the JWT that is to be replaced. Where another one is kept by now, that one is taken.
            patience: how many seconds to wait for somebody else who renews.

        Raises:
            CredentialsError: somebody else holds the lock for longer, or the store fails; where it does not take the
                new JWT, that is in use already.
            Refusal, Unreachable, MalformedReply: Plex gave none.
        """
        with closing(Turn(partial(self.store.lock, *self.credential.entry, patience=0.0))) as turn:
            yield from turn.wait(self._caller.senses, patience)
            now = yield from do(self._load)
            if now is not None and now.token == seen:
                now = yield from self._with_new_jwt(caller, now)
            if now is None:  # signed out meanwhile, or its key is lost
                return False
            self.credential = now
            return True

    def _with_new_jwt(self, caller: Caller, now: Credential) -> Flow[Credential | None]:
        key = (yield from do(partial(load_key, now.device_key))) if now.device_key else None
        if key is None:
            return None
        plain = msgspec.structs.replace(caller.settings, base_url=None)
        caller = caller._replace(settings=plain).as_client(now.client_identifier)
        got = yield from granted(caller, key)
        renewed = with_jwt(now, *got, self._caller.senses.now())
        try:
            return (yield from self.keep(renewed, replacing=now))
        except CredentialsError:
            self.credential = renewed
            raise

    def keep(self, credential: Credential, *, replacing: Credential | None) -> Flow[Credential]:
        """Store it, unless somebody else changed what is kept: then theirs counts."""
        saved = yield from do(partial(self.store.save, credential, replacing=replacing))
        if saved is None:
            saved = yield from do(self._load)
        return saved or credential

    def _load(self) -> Credential | None:
        return self.store.load(*self.credential.entry)

    def is_of(self, credential: Credential) -> bool:
        """Tell whether what is kept is still this sign-in, however often it was renewed, and not a later one."""
        mine = self.credential
        same_key = mine.device_key is not None and mine.device_key == credential.device_key
        return same_key or mine.token == credential.token

    def refreshed(self) -> Flow[None]:
        """Take what others made of this sign-in."""
        now = yield from do(self._load)
        if now is not None and self.is_of(now):
            self.credential = now

    def note(
        self, *, account: Account | None = None, checked_at: float | None = None, server_token: Token | None = None
    ) -> Flow[None]:
        """Keep what was learnt on the way; that the store fails does not matter for it."""
        before = self.credential
        told = msgspec.structs.replace(
            before,
            account_id=account.id if account and account.id is not None else before.account_id,
            username=(account and (account.username or account.title)) or before.username,
            checked_at=checked_at or before.checked_at,
            server_token=server_token or before.server_token,
        )
        try:
            now = yield from self.keep(told, replacing=before)
        except CredentialsError:
            now = told
        if self.credential is before:  # nobody renewed it meanwhile
            self.credential = now

    def next_due(self) -> float:
        """Return in how many seconds something is to be done to stay signed in."""
        kept, now = self.credential, self._caller.senses.now()
        if kept.token is None or kept.token.kind != "jwt" or kept.device_key is None:
            return min(next_ping(kept, now), PING_EVERY)
        if kept.created_at is None or kept.expires_at is None:
            return _SOON
        part = RENEW_FROM + self.chance * (RENEW_BY - RENEW_FROM)
        return min(max(kept.created_at + part * (kept.expires_at - kept.created_at) - now, _SOON), PING_EVERY)


def kept_in(settings: Settings) -> Kept | None:
    """Return the sign-in that a client lives on, if it lives on one."""
    return settings.token if isinstance(settings.token, Kept) else None


def moment(seconds: float | None) -> datetime | None:
    """Write epoch seconds as a date; `None` where there is none."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
