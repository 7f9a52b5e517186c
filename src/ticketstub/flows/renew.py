"""Staying signed in: renew now, or do what is due.

Rule: what a client does on its own with each call (`Kept.flow`) is enough for a program that makes calls; these two are
for programs that are silent for days, and for people who ask for it.
"""

from __future__ import annotations

from ticketstub.credentials.base import PATIENCE
from ticketstub.credentials.keep_alive import PING_EVERY, next_ping, renewal_due
from ticketstub.errors import CredentialsError
from ticketstub.flows.caller import Caller
from ticketstub.flows.kept import Kept, SignedIn, kept_in
from ticketstub.flows.steps import Flow
from ticketstub.refusals import Unauthorized


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
    from ticketstub.wire.accounts import Ping

    yield from caller.call(Ping())
    if kept is not None:
        yield from kept.note(checked_at=caller.senses.now())
