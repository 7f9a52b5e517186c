"""Taking up a kept sign-in: does it still work, and if not, why.

Rule: 401 and 498 alone say that a token is over; whatever else comes says nothing about it (documented), and then it is
used as it is.
"""

from __future__ import annotations

from functools import partial

import msgspec

from ticketstub.credentials.base import Credential, Credentials
from ticketstub.errors import PlexError
from ticketstub.flows.begun import Standing
from ticketstub.flows.caller import Caller
from ticketstub.flows.kept import Kept
from ticketstub.flows.steps import Flow, do
from ticketstub.records import Account
from ticketstub.refusals import TokenExpired, TooManyFailures, Unauthorized


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
    from ticketstub.wire.accounts import GetTokenDetails

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
