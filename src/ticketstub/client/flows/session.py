"""A sign-in's life: made and kept, taken up again, renewed, and ended.

Rule: a new one is kept the moment it is there; whose it is, for showing it without network, is asked afterwards and may
fail. The last sign-in of a profile wins, since it may have ended the token before (assumed). 401 and 498 alone say that
a token is over; whatever else comes says nothing about it (documented), and then it is used as it is. What a client
does on its own with each call (`StoredSession.flow`) keeps it alive; `renew` and `keep_alive` are for programs that
are silent for days, and for people who ask for it. Signing out ends the tokens at Plex first: what still lives there
stays kept, so that it can be ended later; what Plex no longer knows is forgotten.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ticketstub.client.flows.pending import TokenStatus
from ticketstub.client.flows.request import FlowContext
from ticketstub.client.flows.steps import Flow, run_blocking
from ticketstub.client.flows.stored_session import (
    RenewalLock,
    SignInMethod,
    SignInState,
    StoredSession,
    get_stored_session,
)
from ticketstub.credentials.keep_alive import PING_INTERVAL, check_renewal, get_ping_delay
from ticketstub.credentials.memory import MemoryStore
from ticketstub.credentials.store import LOCK_TIMEOUT, Credential, CredentialStore
from ticketstub.errors import CredentialsError, PlexError
from ticketstub.models import Account
from ticketstub.refusals import TokenExpired, TooManyFailures, Unauthorized
from ticketstub.tokens import Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey, PlexJwt

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
    login = login or credential.username or ""
    can_compare = credential.username is not None and "@" not in login
    return (
        "another" if can_compare and login.strip().casefold() != (credential.username or "").casefold() else "unchecked"
    )


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
