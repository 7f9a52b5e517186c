"""A stored sign-in: creating, saving, resuming, renewing and ending it, and serving its token to a client.

Rule: a new sign-in is saved at once; the account's name is asked for afterwards, and that may fail. The last sign-in of
a profile wins, since it may have revoked the token before it (assumed). Only 401 and 498 mean that a token is over
(documented); after any other failure the token is used as it is. A JWT is renewed before it expires and after a 498, by
one thread, task or process at a time; the others wait and use its result. A stored credential is replaced only if
nobody changed it in the meantime. A failed renewal does no harm while the old token is valid, and a JWT that cannot be
saved is used anyway, because its key is saved. Signing out revokes the tokens at Plex first: if that fails, the
credential stays stored so that it can be revoked later.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from ticketstub.client.config import CallSettings
from ticketstub.client.flows.device_key import load_key, request_jwt, with_jwt
from ticketstub.client.flows.renewal_lock import RenewalLock
from ticketstub.client.flows.request import Flow, FlowContext, RefusedToken, run_blocking, to_datetime
from ticketstub.credentials.memory import MemoryStore
from ticketstub.credentials.store import (
    LOCK_TIMEOUT,
    PING_INTERVAL,
    RENEW_BY,
    RENEW_FROM,
    Credential,
    CredentialStore,
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

TokenStatus = Literal["none", "good", "renewed", "unchecked", "revoked", "expired", "another"]
"""How the kept token stands: there is none; it works; it was renewed; Plex could not be asked, so it was kept; Plex no
longer knows it; its time is over; it is another account's than the one that was asked for."""

SignInMethod = Literal["kept", "browser", "code", "password"]

_RETRY_DELAY = 60.0
"""How many seconds pass before a renewal that is not pressing is tried again (ours)."""

_MIN_DELAY = 60.0


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
        due_at = credential.created_at + renewal_point * (credential.expires_at - credential.created_at)
        return min(max(due_at - now, _MIN_DELAY), PING_INTERVAL)


def get_stored_session(settings: CallSettings) -> StoredSession | None:
    """Return the sign-in that a client lives on, if it lives on one."""
    return settings.token if isinstance(settings.token, StoredSession) else None


_MAX_SAVE_TRIES = 5


def create_session(
    context: FlowContext,
    token: Token,
    *,
    method: SignInMethod,
    key: DeviceKey | None = None,
    claims: PlexJwt | None = None,
    account: Account | None = None,
) -> Flow[StoredSession]:
    """Make a sign-in of a new token, kept in memory for now."""
    now = context.clock.now()
    remembered_until = account.remember_expires_at if account else None
    credential = Credential(
        issuer=context.issuer,
        token=token,
        device_key=(yield from run_blocking(key.dump)) if key else None,
        client_identifier=context.client_identifier,
        account_id=account.id if account else claims.user.id if claims else None,
        username=account.username if account else claims.user.username if claims else None,
        created_at=now,
        expires_at=now + claims.expires_at - claims.issued_at if claims else remembered_until,
        checked_at=now,
    )
    store = MemoryStore()
    saved = store.save(credential, replacing=None)
    return StoredSession(
        context, store, saved or credential, location=store.describe_location(context.issuer), method=method
    )


def save_session(
    session: StoredSession,
    store: CredentialStore,
    app: str,
    profile: str,
    context: FlowContext,
    *,
    previous_status: TokenStatus,
) -> Flow[StoredSession]:
    """Keep a new sign-in in a store, in place of whatever is there.

    Raises:
        CredentialsError: the store cannot be written.
    """
    credential = msgspec.structs.replace(session.credential, app=app, profile=profile, version=0)
    saved = yield from run_blocking(partial(_save_credential, store, credential))
    location = yield from run_blocking(partial(store.describe_location, *credential.entry))
    return StoredSession(
        context._replace(device=session.device),
        store,
        saved,
        location=location,
        method=session.method,
        previous_status=previous_status,
    )


def _save_credential(store: CredentialStore, credential: Credential) -> Credential:
    """Replace what is kept, even if others change it at the same time."""
    for _ in range(_MAX_SAVE_TRIES):
        saved = store.save(credential, replacing=store.load(*credential.entry))
        if saved is not None:
            return saved
    raise CredentialsError("others keep changing these credentials", hint="sign in with one program at a time")


def resume_session(
    login: str | None, context: FlowContext, store: CredentialStore, credential: Credential | None
) -> Flow[tuple[TokenStatus, StoredSession | None]]:
    """Return how the kept sign-in stands, and the sign-in itself if it can be used.

    Args:
        login: the account that it has to be of; `None` for any.
        context: who asks.
        store: where it is kept.
        credential: what is kept.
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
            return _get_offline_status(login, credential)
        is_past = credential.expires_at is not None and context.clock.now() >= credential.expires_at
        return "expired" if is_past or isinstance(failure, TokenExpired) else "revoked"
    names = {name.casefold() for name in (account.username, account.email, account.title) if name}
    if login is not None and login.strip().casefold() not in names:
        return "another"
    return "good" if session.credential.token == credential.token else "renewed"


def refresh_account(session: StoredSession, context: FlowContext) -> Flow[Account]:
    """Ask plex.tv whose token it is, and keep that; a JWT is renewed if need be.

    Raises:
        PlexError: plex.tv did not say.
    """
    from ticketstub.protocol.account import GetTokenDetails

    own_context = context.with_client_identifier(session.credential.client_identifier)
    settings = msgspec.structs.replace(own_context.settings, token=session, trusted_origins=frozenset({session.origin}))
    account = yield from own_context._replace(settings=settings).call(GetTokenDetails())
    yield from session.update(account=account, checked_at=context.clock.now())
    return account


def _get_offline_status(login: str | None, credential: Credential) -> TokenStatus:
    """Take it as it is, unless it is known to be another account's than the one that was asked for."""
    if not login or "@" in login or credential.username is None:
        return "unchecked"
    return "unchecked" if login.strip().casefold() == credential.username.casefold() else "another"


def renew(context: FlowContext) -> Flow[SignInState]:
    """Renew the JWT at once; ping with an opaque token.

    Raises:
        CredentialsError: the client does not live on a sign-in, or it was removed meanwhile.
    """
    session = get_stored_session(context.settings)
    if session is None:
        raise CredentialsError("this client was given its token, so there is nothing to renew", hint="use sign_in")
    if session.credential.device_key is None:
        yield from _ping(context, session)
    else:
        yield from _renew_jwt(context, session)
    return session.state


def keep_alive(context: FlowContext) -> Flow[float]:
    """Do what is due; return the seconds until something is again."""
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
    """End the client's token, and the one for media servers beside it; then forget them."""
    session = get_stored_session(context.settings)
    if session is None:
        return (yield from _revoke_token(context))
    yield from session.reload()
    if server_token := session.credential.server_token:
        yield from _revoke_token(context.with_token(server_token))
    yield from _revoke_token(context)
    return (yield from _remove_session(context, session))


def _revoke_token(context: FlowContext) -> Flow[None]:
    from ticketstub.protocol.account import SignOut

    try:
        yield from context.call(SignOut())
    except TooManyFailures:
        raise
    except Unauthorized:  # it is dead already
        return


def _remove_session(context: FlowContext, session: StoredSession) -> Flow[None]:
    """Remove what was kept, unless somebody signed in again under this profile meanwhile."""
    entry = session.credential.entry
    with closing(RenewalLock(partial(session.store.lock, *entry, timeout=0.0))) as lock:
        yield from lock.acquire(context.clock, LOCK_TIMEOUT)
        current = yield from run_blocking(partial(session.store.load, *entry))
        if current is not None and session.is_same_sign_in(current):
            yield from run_blocking(partial(session.store.remove, *entry))
