"""Device keys in flows: register one with a token, and get Plex's JWT for one.

Rule: what has been registered is kept before it is used, by whoever calls this: the first JWT ends the device's opaque
token (documented), so a key that is lost between the two would be a lost sign-in. A nonce is asked for each try anew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.errors import Unreachable
from ticketstub.flows.caller import Caller
from ticketstub.flows.published import prepare, verified
from ticketstub.flows.server_time import ServerTime
from ticketstub.flows.steps import Flow, do
from ticketstub.refusals import Refusal, Unauthorized
from ticketstub.token import Secret, Token

if TYPE_CHECKING:
    from ticketstub.keys import DeviceKey, PlexJwt

_WRONG_DEVICE = 1097
_TRIES = 2


class Granted(NamedTuple):
    """A JWT of Plex's, and what it says; `token` knows its issuer."""

    token: Token
    claims: PlexJwt


def make_key() -> DeviceKey:
    """Make a device key. It loads the libraries: for a `Do` step."""
    from ticketstub.keys import DeviceKey

    return DeviceKey.generate()


def load_key(text: Secret) -> DeviceKey | None:
    """Load a kept device key, or return `None` where it is damaged. For a `Do` step."""
    from ticketstub.keys import DeviceKey

    try:
        return DeviceKey.load(text)
    except ValueError:
        return None


def register(caller: Caller, key: DeviceKey) -> Flow[None]:
    """Register a key for the device of the caller's token (documented).

    That it is registered already is no error here, for it may be this device's (observed: 422 either way); if it is
    another's, the exchange that follows fails.

    Raises:
        Unauthorized: the token is not taken. Refusal: nor is the key.
    """
    from ticketstub.wire.auth_keys import RegisterKey

    for left in reversed(range(_TRIES)):
        try:
            return (yield from caller.call(RegisterKey(jwk=key.jwk)))
        except Unreachable:  # it may have arrived, and may be sent again
            if not left:
                raise
        except Refusal as refusal:
            if refusal.status != 422:
                raise
            return None
    raise AssertionError("there is at least one try")


def granted(caller: Caller, key: DeviceKey) -> Flow[Granted]:
    """Get a JWT for a registered key: nonce, signature, exchange, verification (documented).

    Raises:
        Refusal: Plex does not take the key (any more): 422, or 1097 for another device's.
        MalformedReply: the JWT that came cannot be verified.
    """
    yield from prepare(caller)
    time = ServerTime(caller.senses)
    for left in reversed(range(_TRIES)):
        try:
            token = yield from _exchanged(caller, key, time)
        except (Unreachable, Refusal) as failure:  # the nonce may be spent, or have been too old
            if not left or not _worth_a_new_nonce(failure):
                raise
        else:
            token.origin = caller.issuer
            return Granted(token, (yield from verified(caller, token, kid=key.kid, now=time.now())))
    raise AssertionError("there is at least one try")


def _worth_a_new_nonce(failure: Unreachable | Refusal) -> bool:
    refused = type(failure) is Unauthorized or failure.status == 422  # documented is 422
    return isinstance(failure, Unreachable) or (refused and failure.code != _WRONG_DEVICE)


def _exchanged(caller: Caller, key: DeviceKey, time: ServerTime) -> Flow[Token]:
    from ticketstub.keys.private_key import SCOPES
    from ticketstub.wire.auth_keys import ExchangeDeviceJwt, GetNonce

    nonce, response = yield from caller.exchange(GetNonce())
    time.heard(response)
    sign = partial(key.sign, caller.client_identifier, now=time.now(), nonce=nonce, scope=SCOPES)
    return (yield from caller.call(ExchangeDeviceJwt(jwt=(yield from do(sign)))))
