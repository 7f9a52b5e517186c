"""A stored sign-in: creating, saving, renewing and ending it, and providing its token for calls.

Rule: a new sign-in is saved at once; the account's name is asked for afterwards, and that may fail. A new sign-in
replaces the profile's previous one, whose token it may have revoked (assumed). Only 401 and 498 mean that a token is no
longer valid (documented); after any other failure it is still used. A JWT is renewed before it expires and after a 498,
by one thread, task or process at a time; the others wait and use its result. A stored credential is replaced only if
nobody changed it in the meantime. A failed renewal does no harm while the old token is valid, and a JWT that cannot be
saved is used anyway, because its key is saved. Signing out revokes the tokens at Plex first: if that fails, the
credential stays stored so that it can be revoked later.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from ticketstub.client.config import CallSettings
from ticketstub.client.flows.device_key import load_key, request_jwt, with_jwt
from ticketstub.client.flows.request import Clock, Flow, FlowContext, RefusedToken, Sleep, run_blocking, to_datetime
from ticketstub.client.sign_ins import SignInMethod, SignInState, TokenStatus
from ticketstub.credentials.default import StoreKind, default_store
from ticketstub.credentials.store import (
    COMMAND_APP,
    LOCK_TIMEOUT,
    PING_INTERVAL,
    RENEW_BY,
    RENEW_FROM,
    Credential,
    CredentialStore,
    Entry,
    KnownServer,
    MemoryStore,
    check_renewal,
    get_ping_delay,
)
from ticketstub.device import Device
from ticketstub.errors import CredentialsError, PlexError
from ticketstub.models import Account
from ticketstub.refusals import RateLimited, Refusal, ServerError, TokenExpired, TooManyFailures, Unauthorized
from ticketstub.tokens import Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey, PlexJwt

LOCK_RETRY_INTERVAL = 0.05
"""Seconds between two attempts to get the renewal lock; a renewal takes longer."""

_RETRY_DELAY = 60.0
"""Seconds before an optional renewal that failed is tried again."""

Servers: TypeAlias = tuple[KnownServer, ...]

_MIN_DELAY = 60.0
_MAX_SAVE_TRIES = 100
"""Each one fails only if another program or thread has saved in the meantime."""


class RenewalLock:
    """A store's lock for one flow.

    If the flow is abandoned while a thread is still acquiring the lock, that thread releases it at once.

    Args:
        lock: returns a context manager whose entry succeeds at once or raises a `CredentialsError`. It may be entered
            in one thread and left in another.
    """

    def __init__(self, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._lock = lock
        self._held = ExitStack()
        self._is_closed = False
        self._guard = Lock()

    def acquire(self, clock: Clock, timeout: float) -> Flow[None]:
        """Wait for the lock.

        Raises:
            CredentialsError: it was not free within `timeout` seconds.
        """
        deadline = clock.monotonic() + timeout
        while True:
            try:
                return (yield from run_blocking(self._try_acquire))
            except CredentialsError:
                if clock.monotonic() >= deadline:
                    raise
            yield Sleep(LOCK_RETRY_INTERVAL)

    def _try_acquire(self) -> None:
        with ExitStack() as acquired:
            acquired.enter_context(self._lock())
            with self._guard:
                if not self._is_closed:  # otherwise the flow is gone, and nobody else would release it
                    self._held = acquired.pop_all()

    def close(self) -> None:
        """Release the lock, if it is held."""
        with self._guard:
            self._is_closed = True
        self._held.close()


class StoredSession:
    """A stored sign-in as the token source of a client (the option `token`)."""

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
        self._guards: dict[int, Lock] = {}
        self.location = location
        self.method: SignInMethod = method
        self.previous_status: TokenStatus = previous_status

    @property
    def origin(self) -> str:
        """The issuer, the only origin that the token is sent to."""
        return self.credential.issuer

    @property
    def state(self) -> SignInState:
        """How the client is signed in."""
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
        """Return the current token."""
        return self.credential.token

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.credential.profile} of {self.origin}>"

    def get_token_flow(
        self, settings: CallSettings, device: Device, deadline: float, refused_token: RefusedToken | None
    ) -> Flow[Token | None]:
        """Return the token for a call; after a refusal a different one, or `None` if there is none."""
        context = self._context._replace(settings=settings, device=device).with_attempts(1, deadline)
        timeout = max(0.0, min(LOCK_TIMEOUT, deadline - context.clock.monotonic()))
        if refused_token is None:
            yield from self._renew_if_due(context, timeout)
        elif not (yield from self._replace_refused_token(context, refused_token, timeout)):
            return None
        return self.credential.token

    def _renew_if_due(self, context: FlowContext, timeout: float) -> Flow[None]:
        """Renew the JWT if that is due. A failure is ignored, and the next try is a minute later."""
        clock, credential = self._context.clock, self.credential
        due = check_renewal(credential, clock.now(), jitter=self.jitter)
        if due == "no" or clock.monotonic() < self._retry_at:
            return
        try:
            yield from self.renew_jwt(context, credential.token, timeout=timeout if due == "must" else 0.0)
        except PlexError:
            self._retry_at = clock.monotonic() + _RETRY_DELAY

    def _replace_refused_token(self, context: FlowContext, refused_token: RefusedToken, timeout: float) -> Flow[bool]:
        """Get a different token than the refused one; return whether there is one now."""
        credential = self.credential
        if credential.token != refused_token.token:  # it has been replaced already
            return True
        # An opaque token is over, too, if there is a device key, whose first JWT has revoked it (documented).
        is_over = credential.token is not None and (
            credential.token.kind != "jwt" or has_expired(credential, refused_token.refusal, context)
        )
        if credential.device_key is None or not is_over:
            return (yield from self._adopt_new_sign_in(credential))
        try:
            return (yield from self.renew_jwt(context, credential.token, timeout=timeout))
        except (ServerError, RateLimited):
            raise
        except CredentialsError:
            if self.credential is credential:
                raise
            return True  # there is a new token, and only the store failed
        except Refusal as renewal_refusal:  # Plex no longer accepts the key: the first refusal says more
            refused_token.refusal.hint = f"it could not be renewed ({renewal_refusal.message}): sign in again"
            return False

    def _adopt_new_sign_in(self, credential: Credential) -> Flow[bool]:
        """Use a new sign-in of this profile if there is one; return whether there is."""
        current = yield from run_blocking(self.load)
        if (
            current is None
            or current.token in (None, credential.token)
            or current.client_identifier != credential.client_identifier
        ):
            return False
        self.credential = current
        return True

    def renew_jwt(self, context: FlowContext, old_token: Token | None, *, timeout: float) -> Flow[bool]:
        """Replace a JWT by a new one from Plex, or by one that was stored meanwhile; return whether there is one.

        Args:
            context: what the calls are made with.
            old_token: the JWT to replace. If another one is stored by now, that one is used.
            timeout: how many seconds to wait for another renewal.

        Raises:
            CredentialsError: another renewal holds the lock for longer, or the store fails; a new JWT that cannot be
                stored is used anyway.
            Refusal, Unreachable, MalformedReply: Plex gave none.
        """
        with closing(RenewalLock(partial(self.store.lock, *self.credential.entry, timeout=0.0))) as lock:
            yield from lock.acquire(self._context.clock, timeout)
            current = yield from run_blocking(self.load)
            if current is not None and current.token == old_token:
                current = yield from self._request_and_save_jwt(context, current)
            if current is None:  # signed out meanwhile, or its key is lost
                return False
            self.credential = current
            return True

    def _request_and_save_jwt(self, context: FlowContext, credential: Credential) -> Flow[Credential | None]:
        key = yield from run_blocking(partial(load_key, credential.device_key))
        if key is None:
            return None
        context = context._replace(settings=replace(context.settings, base_url=None)).with_client_identifier(
            credential.client_identifier
        )
        jwt = yield from request_jwt(context, key)
        now = self._context.clock.now()
        try:
            return (yield from self._save_change(credential, lambda old: with_jwt(old, *jwt, now)))
        except CredentialsError:
            self.credential = with_jwt(credential, *jwt, now)
            raise

    def save(self, credential: Credential, *, replacing: Credential | None) -> Flow[Credential]:
        """Store a credential and return it. If the stored one was changed meanwhile, keep and return that one."""
        saved = yield from run_blocking(partial(self.store.save, credential, replacing=replacing))
        return saved or (yield from run_blocking(self.load)) or credential

    def _save_change(self, old: Credential, change: Callable[[Credential], Credential]) -> Flow[Credential]:
        """Store a changed credential and return it.

        If the stored one was replaced meanwhile by one with another token, keep and return that one. If only facts were
        added to it, change the stored one.
        """
        for _ in range(_MAX_SAVE_TRIES):
            changed = change(old)
            if saved := (yield from run_blocking(partial(self.store.save, changed, replacing=old))):
                return saved
            current = yield from run_blocking(self.load)
            if current is None or current.token != old.token:
                return current or changed
            old = current
        return change(old)

    def load(self) -> Credential | None:
        """Return what is stored now. Use it in a `RunBlocking` step."""
        return self.store.load(*self.credential.entry)

    def update(
        self,
        *,
        account: Account | None = None,
        checked_at: float | None = None,
        server_token: Token | None = None,
        change_servers: Callable[[Servers], Servers] = lambda servers: servers,
    ) -> Flow[None]:
        """Store new facts about the sign-in; a failure of the store is ignored."""

        def change(old: Credential) -> Credential:
            return replace(
                old,
                account_id=account.id if account and account.id is not None else old.account_id,
                username=(account and (account.username or account.title)) or old.username,
                checked_at=checked_at or old.checked_at,
                server_token=server_token or old.server_token,
                servers=change_servers(old.servers),
            )

        old = self.credential
        saved: Credential | None = None
        with suppress(CredentialsError):
            saved = yield from self._save_change(old, change)
        with self._guards.setdefault(os.getpid(), Lock()):  # a forked child does not wait for its parent's threads
            if saved is None:
                self.credential = change(self.credential)
            elif self.credential is old or saved.version > self.credential.version:  # no later one came meanwhile
                self.credential = saved

    def get_next_delay(self) -> float:
        """Return in how many seconds `keep_alive` has to be called again."""
        credential, now = self.credential, self._context.clock.now()
        if credential.token is None or credential.token.kind != "jwt" or credential.device_key is None:
            return min(get_ping_delay(credential, now), PING_INTERVAL)
        if credential.created_at is None or credential.expires_at is None:
            return _MIN_DELAY
        renewal_point = RENEW_FROM + self.jitter * (RENEW_BY - RENEW_FROM)
        due_at = credential.created_at + renewal_point * (credential.expires_at - credential.created_at)
        return min(max(due_at - now, _MIN_DELAY), PING_INTERVAL)


def has_expired(credential: Credential, refusal: Unauthorized, context: FlowContext) -> bool:
    """Tell whether a refused token has expired: some servers answer 401 for that (assumed)."""
    is_past = credential.expires_at is not None and context.clock.now() >= credential.expires_at
    return is_past or isinstance(refusal, TokenExpired)


def get_stored_session(settings: CallSettings) -> StoredSession | None:
    """Return the stored sign-in that a client uses, if it uses one."""
    return settings.token if isinstance(settings.token, StoredSession) else None


def create_session(
    context: FlowContext,
    token: Token,
    *,
    method: SignInMethod,
    key: DeviceKey | None = None,
    claims: PlexJwt | None = None,
    account: Account | None = None,
) -> Flow[StoredSession]:
    """Make a sign-in from a new token, stored in memory for now."""
    now = context.clock.now()
    credential = Credential(
        issuer=context.issuer,
        token=token,
        device_key=(yield from run_blocking(key.dump)) if key else None,
        client_identifier=context.client_identifier,
        account_id=account.id if account else claims.user.id if claims else None,
        username=account.username if account else claims.user.username if claims else None,
        created_at=now,
        expires_at=now + claims.expires_at - claims.issued_at
        if claims
        else account.remember_expires_at
        if account
        else None,
        checked_at=now,
    )
    store = MemoryStore()
    return StoredSession(
        context,
        store,
        store.save(credential, replacing=None) or credential,
        location=store.describe_location(context.issuer),
        method=method,
    )


def save_session(
    session: StoredSession,
    store: CredentialStore | StoreKind,
    app: str | None,
    profile: str,
    context: FlowContext,
    *,
    previous_status: TokenStatus,
) -> Flow[StoredSession]:
    """Save a new sign-in to a store, replacing what is there; by default for the app that the device's product names.

    Raises:
        CredentialsError: the store cannot be written.
    """
    # The oldest msgspec that is supported normalizes nothing when it replaces a field.
    entry = Entry.create(session.origin, profile, app or session.device.product or COMMAND_APP)
    credential = replace(session.credential, app=entry.app, profile=profile, version=0)
    store = yield from open_store(store, entry)
    saved = yield from run_blocking(partial(_save_credential, store, credential))
    return StoredSession(
        context._replace(device=session.device),
        store,
        saved,
        location=(yield from run_blocking(partial(store.describe_location, *entry))),
        method=session.method,
        previous_status=previous_status,
    )


def open_store(store: CredentialStore | StoreKind | None, entry: Entry) -> Flow[CredentialStore]:
    """Return a store as it is, or open the one that is named; `None` stands for `auto`.

    Raises:
        CredentialsError: the store cannot be opened.
        ValueError: there is no store of that name.
    """
    if store is None or isinstance(store, str):
        return (yield from run_blocking(partial(default_store, store or "auto", entry=entry)))
    return store


def _save_credential(store: CredentialStore, credential: Credential) -> Credential:
    """Store a credential, whatever is stored already, even if others change that at the same time."""
    for _ in range(_MAX_SAVE_TRIES):
        if saved := store.save(credential, replacing=store.load(*credential.entry)):
            return saved
    raise CredentialsError("others keep changing these credentials", hint="sign in with one program at a time")


def renew(context: FlowContext) -> Flow[SignInState]:
    """Renew the JWT, or ping if the token is opaque; return the new state.

    Raises:
        CredentialsError: the client does not use a stored sign-in, or that was removed meanwhile.
    """
    session = get_stored_session(context.settings)
    if session is None:
        raise CredentialsError("this client was given its token, so there is nothing to renew", hint="use sign_in")
    yield from (_ping(context, session) if session.credential.device_key is None else _renew_jwt(context, session))
    return session.state


def keep_alive(context: FlowContext) -> Flow[float]:
    """Do what is due, and return the seconds until something is due again."""
    session = get_stored_session(context.settings)
    if session is None:
        yield from _ping(context, None)
        return PING_INTERVAL
    now = context.clock.now()
    if check_renewal(session.credential, now, jitter=session.jitter) != "no":
        yield from _renew_jwt(context, session)
    elif get_ping_delay(session.credential, now) == 0:
        yield from _ping(context, session)
    return session.get_next_delay()


def _renew_jwt(context: FlowContext, session: StoredSession) -> Flow[None]:
    if not (yield from session.renew_jwt(context, session(), timeout=LOCK_TIMEOUT)):
        raise Unauthorized("this sign-in, or its device key, is no longer where it was kept", hint="sign in again")


def _ping(context: FlowContext, session: StoredSession | None) -> Flow[None]:
    from ticketstub.protocol.account import Ping

    yield from context.call(Ping())
    if session is not None:
        yield from session.update(checked_at=context.clock.now())


def sign_out(context: FlowContext) -> Flow[None]:
    """Revoke the client's token and the stored one for media servers, then remove the sign-in from the store.

    If another sign-in was stored for this profile meanwhile, it stays.
    """
    session = get_stored_session(context.settings)
    if session is None:
        return (yield from _revoke_token(context))
    current = yield from run_blocking(session.load)
    if current is not None and session.credential.is_same_sign_in(current):
        session.credential = current
    if server_token := session.credential.server_token:
        yield from _revoke_token(context.with_token(server_token, origin=session.origin))
    yield from _revoke_token(context)
    with closing(RenewalLock(partial(session.store.lock, *session.credential.entry, timeout=0.0))) as lock:
        yield from lock.acquire(context.clock, LOCK_TIMEOUT)
        current = yield from run_blocking(session.load)
        if current is not None and session.credential.is_same_sign_in(current):
            yield from run_blocking(partial(session.store.remove, *session.credential.entry))


def _revoke_token(context: FlowContext) -> Flow[None]:
    from ticketstub.protocol.account import SignOut

    try:
        yield from context.call(SignOut())
    except Unauthorized as refusal:  # it is revoked already
        if isinstance(refusal, TooManyFailures):
            raise
