"""Signing out: end the tokens at Plex first, then forget what was kept.

Rule: what still lives at Plex stays kept, so that it can be ended later; what Plex no longer knows is forgotten.
"""

from __future__ import annotations

from functools import partial

from ticketstub.credentials.base import PATIENCE
from ticketstub.flows.caller import Caller
from ticketstub.flows.kept import Kept, kept_in
from ticketstub.flows.steps import Flow, do
from ticketstub.flows.turn import Turn
from ticketstub.refusals import TooManyFailures, Unauthorized


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
    from ticketstub.wire.accounts import SignOut

    try:
        yield from caller.call(SignOut())
    except TooManyFailures:
        raise
    except Unauthorized:  # it is dead already
        return


def _forgotten(caller: Caller, kept: Kept) -> Flow[None]:
    """Remove what was kept, unless somebody signed in again under this profile meanwhile."""
    entry = kept.credential.entry
    turn = Turn(partial(kept.store.lock, *entry, patience=0.0))
    try:
        yield from turn.wait(caller.senses, PATIENCE)
        now = yield from do(partial(kept.store.load, *entry))
        if now is not None and kept.is_of(now):
            yield from do(partial(kept.store.remove, *entry))
    finally:
        turn.leave()
