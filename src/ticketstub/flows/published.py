"""The keys that Plex signs with, as far as a client knows them, and the verification of a JWT that Plex gave to it.

Rule: keys come from the issuer's own address. They are fetched before a JWT is asked for, so that an outage costs no
sign-in, and again for a name that none of them has, but not more than once in five minutes (security rule).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ticketstub.errors import CredentialsError, MalformedReply
from ticketstub.flows.steps import Flow, do
from ticketstub.token import Token

if TYPE_CHECKING:
    from ticketstub.flows.caller import Caller
    from ticketstub.keys import PlexJwt, PublishedKeys

AGAIN_AFTER = 5 * 60.0
"""How many seconds pass at least between two fetches because of an unknown key."""


class Published(dict[str, "tuple[PublishedKeys, float]"]):
    """The keys of each issuer, and when they were fetched; shared by the clients that share connections."""


def prepare(caller: Caller) -> Flow[None]:
    """Fetch the published keys if none are known yet."""
    if caller.issuer not in caller.published:
        yield from _fetch(caller)


def verified(caller: Caller, token: Token, *, kid: str | None, now: float) -> Flow[PlexJwt]:
    """Verify the JWT that Plex gave to this device.

    Args:
        caller: who got it.
        token: the JWT.
        kid: the name of the device key that it was given for, where it is known.
        now: epoch seconds, by Plex's clock where that is known.

    Raises:
        MalformedReply: it is not what it should be.
    """
    yield from prepare(caller)
    found = yield from _checked(caller, token, kid, now)
    if found == "kid" and (yield from _fetched_again(caller)):
        found = yield from _checked(caller, token, kid, now)
    if isinstance(found, str):
        raise MalformedReply(f"Plex gave a JWT that cannot be verified ({found})", hint=_HINTS.get(found, _OTHERWISE))
    return found


_OTHERWISE = "is something answering in Plex's place? The token was not taken"
_HINTS = {"not_yet": "check this computer's clock", "expired": "check this computer's clock"}


def _checked(caller: Caller, token: Token, kid: str | None, now: float) -> Flow[PlexJwt | str]:
    """Verify with the keys that are known; return the reason where it fails."""
    known = caller.published.get(caller.issuer)
    if known is None:
        raise CredentialsError("no published keys are known")
    return (yield from do(partial(_verify, token, known[0], caller.client_identifier, kid, now)))


def _verify(token: Token, keys: PublishedKeys, client_identifier: str, kid: str | None, now: float) -> PlexJwt | str:
    from ticketstub.keys import JwtRefused, verify_plex_jwt  # loads cryptography

    try:
        return verify_plex_jwt(token, keys, client_identifier=client_identifier, now=now, thumbprint=kid)
    except JwtRefused as refused:
        return refused.reason


def _fetched_again(caller: Caller) -> Flow[bool]:
    """Fetch the keys again unless that was done a moment ago; tell whether it was."""
    known = caller.published.get(caller.issuer)
    if known is not None and caller.senses.clock() - known[1] < AGAIN_AFTER and known[1] != 0:
        return False
    yield from _fetch(caller)
    return True


def _fetch(caller: Caller) -> Flow[None]:
    from ticketstub.keys.plex_jwt import PublishedKeys  # no library is loaded by it
    from ticketstub.wire.auth_keys import GetPublishedKeys

    keys = yield from caller.call(GetPublishedKeys())
    caller.published[caller.issuer] = PublishedKeys(keys=keys), caller.senses.clock()
