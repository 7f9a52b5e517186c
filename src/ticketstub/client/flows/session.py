"""A sign-in's life: made and kept, taken up again, renewed, and ended.

Rule: a new one is kept the moment it is there; whose it is, for showing it without network, is asked afterwards and may
fail. The last sign-in of a profile wins, since it may have ended the token before (assumed). 401 and 498 alone say that
a token is over; whatever else comes says nothing about it (documented), and then it is used as it is. What a client
does on its own with each call (`Kept.flow`) keeps it alive; `renew` and `keep_alive` are for programs that are silent
for days, and for people who ask for it. Signing out ends the tokens at Plex first: what still lives there stays kept,
so that it can be ended later; what Plex no longer knows is forgotten.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ticketstub.client.flows.pending import Standing
from ticketstub.client.flows.request import Caller
from ticketstub.client.flows.steps import Flow, do
from ticketstub.client.flows.stored_session import How, Kept, SignedIn, Turn, kept_in
from ticketstub.credentials.keep_alive import PING_EVERY, next_ping, renewal_due
from ticketstub.credentials.memory import MemoryCredentials
from ticketstub.credentials.store import PATIENCE, Credential, Credentials
from ticketstub.errors import CredentialsError, PlexError
from ticketstub.models import Account
from ticketstub.refusals import TokenExpired, TooManyFailures, Unauthorized
from ticketstub.tokens import Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey, PlexJwt

_TRIES = 5


def fresh(
    caller: Caller,
    token: Token,
    *,
    how: How,
    key: DeviceKey | None = None,
    claims: PlexJwt | None = None,
    account: Account | None = None,
) -> Flow[Kept]:
    """Make a sign-in of a new token, kept in memory for now."""
    now = caller.senses.now()
    remembered = account.remember_expires_at if account else None
    credential = Credential(
        issuer=caller.issuer,
        token=token,
        device_key=(yield from do(key.dump)) if key else None,
        client_identifier=caller.client_identifier,
        account_id=account.id if account else claims.user.id if claims else None,
        username=account.username if account else claims.user.username if claims else None,
        created_at=now,
        expires_at=now + claims.expires_at - claims.issued_at if claims else remembered,
        checked_at=now,
    )
    store = MemoryCredentials()
    saved = store.save(credential, replacing=None)
    return Kept(caller, store, saved or credential, where=store.where(caller.issuer), how=how)


def stored(kept: Kept, store: Credentials, app: str, profile: str, caller: Caller, *, before: Standing) -> Flow[Kept]:
    """Keep a new sign-in in a store, in place of whatever is there.

    Raises:
        CredentialsError: the store cannot be written.
    """
    wanted = msgspec.structs.replace(kept.credential, app=app, profile=profile, version=0)
    saved = yield from do(partial(_saved, store, wanted))
    where = yield from do(partial(store.where, *wanted.entry))
    return Kept(caller._replace(device=kept.device), store, saved, where=where, how=kept.how, before=before)


def _saved(store: Credentials, wanted: Credential) -> Credential:
    """Replace what is kept, even if others change it at the same time."""
    for _ in range(_TRIES):
        saved = store.save(wanted, replacing=store.load(*wanted.entry))
        if saved is not None:
            return saved
    raise CredentialsError("others keep changing these credentials", hint="sign in with one program at a time")


def resumed(
    login: str | None, caller: Caller, store: Credentials, there: Credential | None
) -> Flow[tuple[Standing, Kept | None]]:
    """Return how the kept sign-in stands, and the sign-in itself if it can be used.

    Args:
        login: the account that it has to be of; `None` for any.
        caller: who asks.
        store: where it is kept.
        there: what is kept.
    """
    if there is None or there.token is None:
        return "none", None
    where = yield from do(partial(store.where, *there.entry))
    kept = Kept(caller, store, there, where=where)
    kept.before = yield from _standing(login, kept, caller)
    usable = kept.before in ("good", "renewed", "unchecked")
    return kept.before, kept if usable else None


def _standing(login: str | None, kept: Kept, caller: Caller) -> Flow[Standing]:
    there = kept.credential
    try:
        account = yield from learn(kept, caller)
    except PlexError as failure:
        if not isinstance(failure, Unauthorized) or isinstance(failure, TooManyFailures):
            return _unchecked(login, there)
        past = there.expires_at is not None and caller.senses.now() >= there.expires_at
        return "expired" if past or isinstance(failure, TokenExpired) else "revoked"
    names = {name.casefold() for name in (account.username, account.email, account.title) if name}
    if login is not None and login.strip().casefold() not in names:
        return "another"
    return "good" if kept.credential.token == there.token else "renewed"


def learn(kept: Kept, caller: Caller) -> Flow[Account]:
    """Ask plex.tv whose token it is, and keep that; a JWT is renewed if need be.

    Raises:
        PlexError: plex.tv did not say.
    """
    from ticketstub.protocol.account import GetTokenDetails

    own = caller.as_client(kept.credential.client_identifier)
    settings = msgspec.structs.replace(own.settings, token=kept, trusted=frozenset({kept.origin}))
    account = yield from own._replace(settings=settings).call(GetTokenDetails())
    yield from kept.note(account=account, checked_at=caller.senses.now())
    return account


def _unchecked(login: str | None, there: Credential) -> Standing:
    """Take it as it is, unless it is known to be another account's than the one that was asked for."""
    login = login or there.username or ""
    known = there.username is not None and "@" not in login
    return "another" if known and login.strip().casefold() != (there.username or "").casefold() else "unchecked"


def renew(caller: Caller) -> Flow[SignedIn]:
    """Renew the JWT at once; ping with an opaque token.

    Raises:
        CredentialsError: the client does not live on a sign-in, or it was removed meanwhile.
    """
    kept = kept_in(caller.settings)
    if kept is None:
        raise CredentialsError("this client was given its token, so there is nothing to renew", hint="use sign_in")
    if kept.credential.device_key is None:
        yield from _ping(caller, kept)
    else:
        yield from _jwt(caller, kept)
    return kept.signed_in


def keep_alive(caller: Caller) -> Flow[float]:
    """Do what is due; return the seconds until something is again."""
    kept = kept_in(caller.settings)
    if kept is None:
        yield from _ping(caller, None)
        return PING_EVERY
    now = caller.senses.now()
    if renewal_due(kept.credential, now, chance=kept.chance) != "no":
        yield from _jwt(caller, kept)
    elif next_ping(kept.credential, now) == 0:
        yield from _ping(caller, kept)
    return kept.next_due()


def _jwt(caller: Caller, kept: Kept) -> Flow[None]:
    if not (yield from kept.renewed(caller, kept(), patience=PATIENCE)):
        raise Unauthorized("this sign-in, or its device key, is no longer where it was kept", hint="sign in again")


def _ping(caller: Caller, kept: Kept | None) -> Flow[None]:
    from ticketstub.protocol.account import Ping

    yield from caller.call(Ping())
    if kept is not None:
        yield from kept.note(checked_at=caller.senses.now())


def sign_out(caller: Caller) -> Flow[None]:
    """End the client's token, and the one for media servers beside it; then forget them."""
    kept = kept_in(caller.settings)
    if kept is None:
        return (yield from _ended(caller))
    yield from kept.refreshed()
    if beside := kept.credential.server_token:
        yield from _ended(caller.with_token(beside))
    yield from _ended(caller)
    return (yield from _forgotten(caller, kept))


def _ended(caller: Caller) -> Flow[None]:
    from ticketstub.protocol.account import SignOut

    try:
        yield from caller.call(SignOut())
    except TooManyFailures:
        raise
    except Unauthorized:  # it is dead already
        return


def _forgotten(caller: Caller, kept: Kept) -> Flow[None]:
    """Remove what was kept, unless somebody signed in again under this profile meanwhile."""
    entry = kept.credential.entry
    with closing(Turn(partial(kept.store.lock, *entry, patience=0.0))) as turn:
        yield from turn.wait(caller.senses, PATIENCE)
        now = yield from do(partial(kept.store.load, *entry))
        if now is not None and kept.is_of(now):
            yield from do(partial(kept.store.remove, *entry))
