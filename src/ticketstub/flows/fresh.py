"""A new sign-in, before and after it is kept.

Rule: it is kept the moment it is there; whose it is, for showing it without network, is asked afterwards and may fail.
The last sign-in of a profile wins, since it may have ended the token before (assumed).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ticketstub.credentials.base import COMMAND, Credential, Credentials
from ticketstub.credentials.memory import MemoryCredentials
from ticketstub.errors import CredentialsError
from ticketstub.flows.begun import Standing
from ticketstub.flows.caller import Caller
from ticketstub.flows.kept import How, Kept
from ticketstub.flows.steps import Flow, do
from ticketstub.token import Token

if TYPE_CHECKING:
    from ticketstub.keys import DeviceKey, PlexJwt
    from ticketstub.records import Account

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


def kept_as(kept: Kept, credentials: Credentials | None, app: str | None, profile: str, caller: Caller) -> Flow[Kept]:
    """Keep a new sign-in in a store, in place of whatever is there; without a store it stays in memory.

    Args:
        kept: the new sign-in.
        credentials: the store.
        app: the program that it is for; by default the product that its device names.
        profile: under which name.
        caller: who signed in.
    """
    if credentials is None:
        return kept
    app = app or kept.device.product or COMMAND
    return (yield from stored(kept, credentials, app, profile, caller, before="none"))


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
