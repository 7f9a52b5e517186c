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

from ticketstub.client.config import CallSettings
from ticketstub.client.flows.device_key import load_key, request_jwt, with_jwt
from ticketstub.client.flows.pending import TokenStatus
from ticketstub.client.flows.request import Clock, FlowContext
from ticketstub.client.flows.steps import Flow, RefusedToken, Sleep, run_blocking
from ticketstub.credentials.keep_alive import PING_INTERVAL, RENEW_BY, RENEW_FROM, check_renewal, get_ping_delay
from ticketstub.credentials.store import LOCK_TIMEOUT, Credential, CredentialStore
from ticketstub.device import Device
from ticketstub.errors import CredentialsError, PlexError
from ticketstub.models import Account
from ticketstub.refusals import RateLimited, Refusal, ServerError, TokenExpired, Unauthorized
from ticketstub.tokens import Token

LOCK_RETRY_INTERVAL = 0.05
"""How many seconds pass between two tries; a renewal takes longer (ours)."""

SignInMethod = Literal["kept", "browser", "code", "password"]

_RETRY_DELAY = 60.0
"""How many seconds pass before a renewal that is not pressing is tried again (ours)."""

_MIN_DELAY = 60.0


class RenewalLock:
    """One turn at a lock.

    Args:
        lock: makes a context manager that is entered at once or raises a `CredentialsError`; it may be left in another
            thread than it was entered in.
    """

    def __init__(self, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._lock = lock
        self._acquired: AbstractContextManager[None] | None = None
        self._is_closed = False
        self._guard = Lock()

    def acquire(self, clock: Clock, timeout: float) -> Flow[None]:
        """Wait for the turn, at most so many seconds.

        Raises:
            CredentialsError: it did not come.
        """
        deadline = clock.monotonic() + timeout
        while True:
            try:
                yield from run_blocking(self._try_acquire)
            except CredentialsError:
                if clock.monotonic() >= deadline:
                    raise
            else:
                return
            yield Sleep(LOCK_RETRY_INTERVAL)

    def _try_acquire(self) -> None:
        acquired = self._lock()
        acquired.__enter__()
        with self._guard:
            if not self._is_closed:
                self._acquired = acquired
                return
        acquired.__exit__(None, None, None)  # the flow is gone

    def close(self) -> None:
        """Give the turn back; nothing happens if it is not held."""
        with self._guard:
            acquired, self._acquired, self._is_closed = self._acquired, None, True
        if acquired is not None:
            acquired.__exit__(None, None, None)


class SignInState(msgspec.Struct, frozen=True, kw_only=True):
    """How a client is signed in.

    Args:
        how: by which way: what was kept, the browser, a typed code, or a password.
        before: how the kept token stood when the client was made (see `TokenStatus`); `unchecked` means that plex.tv
            could not be asked and the kept token was taken as it was.
        issuer: the origin that issued the token. app: the program that it is kept for. profile: the name under which.
        where: where it is kept, in plain words.
        client_identifier: the identifier that the token belongs to.
        account_id, username: the account's, as last heard; `None` where plex.tv was not asked.
        until: when the token ends; `None` where it does not, or nobody knows. A JWT is renewed before.
        device_key: whether it lives on a device key and JWTs.
    """

    method: SignInMethod
    previous_status: TokenStatus
    issuer: str
    app: str
    profile: str
    location: str
    client_identifier: str | None
    account_id: int | None
    username: str | None
    expires_at: datetime | None
    has_device_key: bool


class StoredSession:
    """A kept sign-in, as the token source of a client (`Options`' `token`)."""

    def __init__(
        self,
        context: FlowContext,
        store: CredentialStore,
        credential: Credential,
        *,
        location: str,
        method: SignInMethod = "kept",
        previous_status: TokenStatus = "none",
    ) -> None:
        self._context = context.with_client_identifier(credential.client_identifier)
        self.device = self._context.device
        self.jitter = context.clock.random()
        self._retry_at = float("-inf")
        self.store = store
        self.credential = credential
        self.location = location
        self.method: SignInMethod = method
        self.previous_status: TokenStatus = previous_status

    @property
    def origin(self) -> str:
        """The issuer, to whom alone the token is sent."""
        return self.credential.issuer

    @property
    def state(self) -> SignInState:
        """What a program may know of it."""
        credential = self.credential
        return SignInState(
            method=self.method,
            previous_status=self.previous_status,
            issuer=credential.issuer,
            app=credential.app,
            profile=credential.profile,
            location=self.location,
            client_identifier=credential.client_identifier,
            account_id=credential.account_id,
            username=credential.username,
            expires_at=to_datetime(credential.expires_at),
            has_device_key=credential.device_key is not None,
        )

    def __call__(self) -> Token | None:
        """Return the token as it is now."""
        return self.credential.token

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.credential.profile} of {self.origin}>"

    def get_token_flow(
        self, settings: CallSettings, device: Device, deadline: float, refused_token: RefusedToken | None
    ) -> Flow[Token | None]:
        """Return the token for a call; after a refusal another one, or `None` if there is none."""
        context = self._context._replace(settings=settings, device=device).with_attempts(1, deadline)
        if refused_token is None:
            yield from self._renew_if_due(context)
        elif not (yield from self._replace_refused_token(context, refused_token)):
            return None
        return self.credential.token

    def _renew_if_due(self, context: FlowContext) -> Flow[None]:
        """Renew if it is time; that it fails does not matter yet."""
        credential = self.credential
        due = check_renewal(credential, self._context.clock.now(), jitter=self.jitter)
        if due == "no" or self._context.clock.monotonic() < self._retry_at:
            return
        try:
            yield from self.renew_jwt(
                context, credential.token, timeout=self._get_lock_timeout(context) if due == "must" else 0.0
            )
        except PlexError:
            self._retry_at = self._context.clock.monotonic() + _RETRY_DELAY

    def _replace_refused_token(self, context: FlowContext, refused_token: RefusedToken) -> Flow[bool]:
        """Get another token than the refused one; tell whether there is one now."""
        credential = self.credential
        if credential.token != refused_token.token:  # somebody was faster
            return True
        if not self._is_expired(credential, refused_token.refusal):
            return (yield from self._adopt_new_sign_in(credential))
        try:
            return (yield from self.renew_jwt(context, credential.token, timeout=self._get_lock_timeout(context)))
        except (ServerError, RateLimited):
            raise
        except CredentialsError:
            if self.credential is credential:
                raise
            return True  # there is a new one, and only the store failed
        except Refusal as renewal_refusal:  # the key is no longer taken: the first refusal says more
            refused_token.refusal.hint = f"it could not be renewed ({renewal_refusal.message}): sign in again"
            return False

    def _get_lock_timeout(self, context: FlowContext) -> float:
        """Say how many seconds a call may wait for somebody else who renews: not beyond its own time."""
        deadline = context.settings.deadline
        return (
            LOCK_TIMEOUT
            if deadline is None
            else max(0.0, min(LOCK_TIMEOUT, deadline - self._context.clock.monotonic()))
        )

    def _is_expired(self, credential: Credential, refusal: Unauthorized) -> bool:
        """Tell whether it is the token's time that is over: some answer 401 for that (assumed)."""
        if credential.device_key is None or credential.token is None:
            return False
        if credential.token.kind != "jwt":  # the first JWT for its key has ended it (documented)
            return True
        past = credential.expires_at is not None and self._context.clock.now() >= credential.expires_at
        return past or isinstance(refusal, TokenExpired)

    def _adopt_new_sign_in(self, credential: Credential) -> Flow[bool]:
        """Look whether somebody else signed this profile in again meanwhile."""
        current = yield from run_blocking(self._load)
        if (
            current is None
            or current.token in (None, credential.token)
            or current.client_identifier != credential.client_identifier
        ):
            return False
        self.credential = current
        return True

    def renew_jwt(self, context: FlowContext, old_token: Token | None, *, timeout: float) -> Flow[bool]:
        """Have a new JWT in place of this one, by our own doing or somebody else's; tell whether there is one.

        Args:
            context: who asks Plex.
            old_token: the JWT that is to be replaced. Where another one is kept by now, that one is taken.
            timeout: how many seconds to wait for somebody else who renews.

        Raises:
            CredentialsError: somebody else holds the lock for longer, or the store fails; where it does not take the
                new JWT, that is in use already.
            Refusal, Unreachable, MalformedReply: Plex gave none.
        """
        with closing(RenewalLock(partial(self.store.lock, *self.credential.entry, timeout=0.0))) as lock:
            yield from lock.acquire(self._context.clock, timeout)
            current = yield from run_blocking(self._load)
            if current is not None and current.token == old_token:
                current = yield from self._request_and_save_jwt(context, current)
            if current is None:  # signed out meanwhile, or its key is lost
                return False
            self.credential = current
            return True

    def _request_and_save_jwt(self, context: FlowContext, credential: Credential) -> Flow[Credential | None]:
        key = (yield from run_blocking(partial(load_key, credential.device_key))) if credential.device_key else None
        if key is None:
            return None
        settings = msgspec.structs.replace(context.settings, base_url=None)
        context = context._replace(settings=settings).with_client_identifier(credential.client_identifier)
        jwt_and_claims = yield from request_jwt(context, key)
        renewed = with_jwt(credential, *jwt_and_claims, self._context.clock.now())
        try:
            return (yield from self.save(renewed, replacing=credential))
        except CredentialsError:
            self.credential = renewed
            raise

    def save(self, credential: Credential, *, replacing: Credential | None) -> Flow[Credential]:
        """Store it, unless somebody else changed what is kept: then theirs counts."""
        saved = yield from run_blocking(partial(self.store.save, credential, replacing=replacing))
        if saved is None:
            saved = yield from run_blocking(self._load)
        return saved or credential

    def _load(self) -> Credential | None:
        return self.store.load(*self.credential.entry)

    def is_same_sign_in(self, credential: Credential) -> bool:
        """Tell whether what is kept is still this sign-in, however often it was renewed, and not a later one."""
        mine = self.credential
        same_key = mine.device_key is not None and mine.device_key == credential.device_key
        return same_key or mine.token == credential.token

    def reload(self) -> Flow[None]:
        """Take what others made of this sign-in."""
        current = yield from run_blocking(self._load)
        if current is not None and self.is_same_sign_in(current):
            self.credential = current

    def update(
        self, *, account: Account | None = None, checked_at: float | None = None, server_token: Token | None = None
    ) -> Flow[None]:
        """Keep what was learnt on the way; that the store fails does not matter for it."""
        old = self.credential
        updated = msgspec.structs.replace(
            old,
            account_id=account.id if account and account.id is not None else old.account_id,
            username=(account and (account.username or account.title)) or old.username,
            checked_at=checked_at or old.checked_at,
            server_token=server_token or old.server_token,
        )
        try:
            saved = yield from self.save(updated, replacing=old)
        except CredentialsError:
            saved = updated
        if self.credential is old:  # nobody renewed it meanwhile
            self.credential = saved

    def get_next_delay(self) -> float:
        """Return in how many seconds something is to be done to stay signed in."""
        credential, now = self.credential, self._context.clock.now()
        if credential.token is None or credential.token.kind != "jwt" or credential.device_key is None:
            return min(get_ping_delay(credential, now), PING_INTERVAL)
        if credential.created_at is None or credential.expires_at is None:
            return _MIN_DELAY
        renewal_point = RENEW_FROM + self.jitter * (RENEW_BY - RENEW_FROM)
        return min(
            max(
                credential.created_at + renewal_point * (credential.expires_at - credential.created_at) - now,
                _MIN_DELAY,
            ),
            PING_INTERVAL,
        )


def get_stored_session(settings: CallSettings) -> StoredSession | None:
    """Return the sign-in that a client lives on, if it lives on one."""
    return settings.token if isinstance(settings.token, StoredSession) else None


def to_datetime(seconds: float | None) -> datetime | None:
    """Write epoch seconds as a date; `None` where there is none."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
