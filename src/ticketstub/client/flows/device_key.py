"""Device keys in flows: Plex's clock and published keys, registering a key with a token, getting Plex's JWT for one.

Rule: what has been registered is kept before it is used, by whoever calls this: the first JWT ends the device's opaque
token (documented), so a key that is lost between the two would be a lost sign-in. A nonce is asked for each try anew.
Published keys come from the issuer's own address. They are fetched before a JWT is asked for, so that an outage costs
no sign-in, and again for a name that none of them has, but not more than once in five minutes (security rule). Of
Plex's clock an answer's Date counts; where none came, what was learnt before; else this computer's clock.
"""

from __future__ import annotations

from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ticketstub.client.flows.request import Caller, Senses, exchange
from ticketstub.client.flows.steps import Flow, do
from ticketstub.credentials.store import Credential
from ticketstub.errors import MalformedReply, Unreachable
from ticketstub.messages import Response
from ticketstub.refusals import Refusal, Unauthorized
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey, PlexJwt, PublishedKeys

AGAIN_AFTER = 5 * 60.0
"""How many seconds pass at least between two fetches because of an unknown key."""

_WRONG_DEVICE = 1097
_TRIES = 2
_OTHERWISE = "is something answering in Plex's place? The token was not taken"
_HINTS = {"not_yet": "check this computer's clock", "expired": "check this computer's clock"}


class ServerTime:
    """Plex's clock, carried on by the clock that only grows.

    Args:
        senses: this computer's clocks.
        ahead: by how many seconds Plex's was ahead when it was last seen.
    """

    def __init__(self, senses: Senses, ahead: float = 0.0) -> None:
        self._senses = senses
        self._offset = senses.now() + ahead - senses.clock()

    def heard(self, response: Response) -> None:
        """Learn from an answer."""
        with suppress(KeyError, ValueError, TypeError, OverflowError):  # whole seconds, where there is a Date
            served_at = parsedate_to_datetime(response.headers["date"]).timestamp()
            self._offset = served_at - self._senses.clock()

    def now(self) -> float:
        """Return Plex's epoch seconds."""
        return self._senses.clock() + self._offset

    @property
    def ahead(self) -> float:
        """By how many seconds it is ahead of this computer's clock."""
        return self.now() - self._senses.now()


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
    if found == "kid" and caller.senses.clock() - caller.published[caller.issuer][1] >= AGAIN_AFTER:
        yield from _fetch(caller)
        found = yield from _checked(caller, token, kid, now)
    if isinstance(found, str):
        raise MalformedReply(f"Plex gave a JWT that cannot be verified ({found})", hint=_HINTS.get(found, _OTHERWISE))
    return found


def _checked(caller: Caller, token: Token, kid: str | None, now: float) -> Flow[PlexJwt | str]:
    """Verify with the keys that are known; return the reason where it fails."""
    keys, _ = caller.published[caller.issuer]
    return (yield from do(partial(_verify, token, keys, caller.client_identifier, kid, now)))


def _verify(token: Token, keys: PublishedKeys, client_identifier: str, kid: str | None, now: float) -> PlexJwt | str:
    from ticketstub.crypto import JwtRefused, verify_plex_jwt  # loads cryptography

    try:
        return verify_plex_jwt(token.reveal(), keys, client_identifier=client_identifier, now=now, thumbprint=kid)
    except JwtRefused as refused:
        return refused.reason


def _fetch(caller: Caller) -> Flow[None]:
    from ticketstub.crypto.plex_jwt import PublishedKeys  # no library is loaded by it
    from ticketstub.protocol.device_key import GetPublishedKeys

    keys = yield from caller.call(GetPublishedKeys())
    caller.published[caller.issuer] = PublishedKeys(keys=keys), caller.senses.clock()


def make_key() -> DeviceKey:
    """Make a device key. It loads the libraries: for a `Do` step."""
    from ticketstub.crypto import DeviceKey

    return DeviceKey.generate()


def load_key(text: Secret) -> DeviceKey | None:
    """Load a kept device key, or return `None` where it is damaged. For a `Do` step."""
    from ticketstub.crypto import DeviceKey

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
    from ticketstub.protocol.device_key import RegisterKey

    for left in reversed(range(_TRIES)):
        try:
            return (yield from caller.call(RegisterKey(jwk=key.jwk)))
        except Unreachable:  # it may have arrived, and may be sent again
            if not left:
                raise
        except Refusal as refusal:
            if refusal.status != 422:
                raise
            return


def granted(caller: Caller, key: DeviceKey) -> Flow[tuple[Token, PlexJwt]]:
    """Get a JWT for a registered key, and what it says: nonce, signature, exchange, verification (documented).

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
            return token, (yield from verified(caller, token, kid=key.kid, now=time.now()))
    raise AssertionError("there is at least one try")


def _worth_a_new_nonce(failure: Unreachable | Refusal) -> bool:
    refused = type(failure) is Unauthorized or failure.status == 422  # documented is 422
    return isinstance(failure, Unreachable) or (refused and failure.code != _WRONG_DEVICE)


def _exchanged(caller: Caller, key: DeviceKey, time: ServerTime) -> Flow[Token]:
    from ticketstub.crypto.private_key import SCOPES
    from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce

    nonce, response = yield from exchange(GetNonce(), caller)
    time.heard(response)
    sign = partial(key.sign, caller.client_identifier, now=time.now(), nonce=nonce, scope=SCOPES)
    return (yield from caller.call(ExchangeDeviceJwt(jwt=(yield from do(sign)))))


def with_jwt(credential: Credential, token: Token, claims: PlexJwt, now: float) -> Credential:
    """Put a JWT into a credential; its times are by this computer's clock, as everything that is kept."""
    life = claims.expires_at - claims.issued_at
    user = claims.user
    return msgspec.structs.replace(
        credential,
        token=token,
        created_at=now,
        expires_at=now + life,
        checked_at=now,
        account_id=user.id or credential.account_id,
        username=user.username or credential.username,
    )
