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

from ticketstub.client.flows.request import Clock, Flow, FlowContext, run_blocking, send_call
from ticketstub.credentials.store import Credential
from ticketstub.errors import MalformedReply, Unreachable
from ticketstub.messages import Response
from ticketstub.refusals import Refusal, Unauthorized
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey, PlexJwt, PublishedKeys

REFETCH_INTERVAL = 5 * 60.0
"""How many seconds pass at least between two fetches because of an unknown key."""

_WRONG_DEVICE_CODE = 1097
_MAX_TRIES = 2
_DEFAULT_HINT = "is something answering in Plex's place? The token was not taken"
_HINTS = {"not_yet": "check this computer's clock", "expired": "check this computer's clock"}


class ServerClock:
    """Plex's clock, carried on by the clock that only grows.

    Args:
        clock: this computer's clocks.
        skew: by how many seconds Plex's was ahead when it was last seen.
    """

    def __init__(self, clock: Clock, skew: float = 0.0) -> None:
        self._clock = clock
        self._offset = clock.now() + skew - clock.monotonic()

    def update(self, response: Response) -> None:
        """Learn from an answer."""
        with suppress(KeyError, ValueError, TypeError, OverflowError):  # whole seconds, where there is a Date
            served_at = parsedate_to_datetime(response.headers["date"]).timestamp()
            self._offset = served_at - self._clock.monotonic()

    def now(self) -> float:
        """Return Plex's epoch seconds."""
        return self._clock.monotonic() + self._offset

    @property
    def skew(self) -> float:
        """By how many seconds it is ahead of this computer's clock."""
        return self.now() - self._clock.now()


def ensure_published_keys(context: FlowContext) -> Flow[None]:
    """Fetch the published keys if none are known yet."""
    if context.issuer not in context.published_keys:
        yield from _fetch_published_keys(context)


def verify_jwt(context: FlowContext, token: Token, *, kid: str | None, now: float) -> Flow[PlexJwt]:
    """Verify the JWT that Plex gave to this device.

    Args:
        context: who got it.
        token: the JWT.
        kid: the name of the device key that it was given for, where it is known.
        now: epoch seconds, by Plex's clock where that is known.

    Raises:
        MalformedReply: it is not what it should be.
    """
    yield from ensure_published_keys(context)
    result = yield from _verify_with_known_keys(context, token, kid, now)
    if result == "kid" and context.clock.monotonic() - context.published_keys[context.issuer][1] >= REFETCH_INTERVAL:
        yield from _fetch_published_keys(context)
        result = yield from _verify_with_known_keys(context, token, kid, now)
    if isinstance(result, str):
        raise MalformedReply(
            f"Plex gave a JWT that cannot be verified ({result})", hint=_HINTS.get(result, _DEFAULT_HINT)
        )
    return result


def _verify_with_known_keys(context: FlowContext, token: Token, kid: str | None, now: float) -> Flow[PlexJwt | str]:
    """Verify with the keys that are known; return the reason where it fails."""
    keys, _ = context.published_keys[context.issuer]
    return (yield from run_blocking(partial(_verify_or_explain, token, keys, context.client_identifier, kid, now)))


def _verify_or_explain(
    token: Token, keys: PublishedKeys, client_identifier: str, kid: str | None, now: float
) -> PlexJwt | str:
    from ticketstub.crypto import InvalidJwt, verify_plex_jwt  # loads cryptography

    try:
        return verify_plex_jwt(token.reveal(), keys, client_identifier=client_identifier, now=now, thumbprint=kid)
    except InvalidJwt as refused:
        return refused.reason


def _fetch_published_keys(context: FlowContext) -> Flow[None]:
    from ticketstub.crypto.plex_jwt import PublishedKeys  # no library is loaded by it
    from ticketstub.protocol.device_key import GetPublishedKeys

    keys = yield from context.call(GetPublishedKeys())
    context.published_keys[context.issuer] = PublishedKeys(keys=keys), context.clock.monotonic()


def generate_key() -> DeviceKey:
    """Make a device key. It loads the libraries: for a `RunBlocking` step."""
    from ticketstub.crypto import DeviceKey

    return DeviceKey.generate()


def load_key(text: Secret | None) -> DeviceKey | None:
    """Load a stored device key; `None` if there is none, or it is damaged. Use it in a `RunBlocking` step."""
    if text is None:
        return None
    from ticketstub.crypto import DeviceKey

    try:
        return DeviceKey.load(text)
    except ValueError:
        return None


def register_key(context: FlowContext, key: DeviceKey) -> Flow[None]:
    """Register a key for the device of the caller's token (documented).

    That it is registered already is no error here, for it may be this device's (observed: 422 either way); if it is
    another's, the exchange that follows fails.

    Raises:
        Unauthorized: the token is not taken. Refusal: nor is the key.
    """
    from ticketstub.protocol.device_key import RegisterKey

    for left in reversed(range(_MAX_TRIES)):
        try:
            return (yield from context.call(RegisterKey(jwk=key.jwk)))
        except Unreachable:  # it may have arrived, and may be sent again
            if not left:
                raise
        except Refusal as refusal:
            if refusal.status != 422:
                raise
            return


def request_jwt(context: FlowContext, key: DeviceKey) -> Flow[tuple[Token, PlexJwt]]:
    """Get a JWT for a registered key, and what it says: nonce, signature, exchange, verification (documented).

    Raises:
        Refusal: Plex does not take the key (any more): 422, or 1097 for another device's.
        MalformedReply: the JWT that came cannot be verified.
    """
    yield from ensure_published_keys(context)
    server_clock = ServerClock(context.clock)
    for left in reversed(range(_MAX_TRIES)):
        try:
            token = yield from _exchange_device_jwt(context, key, server_clock)
        except (Unreachable, Refusal) as failure:  # the nonce may be spent, or have been too old
            if not left or not _can_retry_with_new_nonce(failure):
                raise
        else:
            token.origin = context.issuer
            return token, (yield from verify_jwt(context, token, kid=key.kid, now=server_clock.now()))
    raise AssertionError("there is at least one try")


def _can_retry_with_new_nonce(failure: Unreachable | Refusal) -> bool:
    refused = type(failure) is Unauthorized or failure.status == 422  # documented is 422
    return isinstance(failure, Unreachable) or (refused and failure.code != _WRONG_DEVICE_CODE)


def _exchange_device_jwt(context: FlowContext, key: DeviceKey, server_clock: ServerClock) -> Flow[Token]:
    from ticketstub.crypto.device_key import SCOPES
    from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce

    nonce, response = yield from send_call(GetNonce(), context)
    server_clock.update(response)
    sign = partial(key.sign, context.client_identifier, now=server_clock.now(), nonce=nonce, scope=SCOPES)
    return (yield from context.call(ExchangeDeviceJwt(jwt=(yield from run_blocking(sign)))))


def with_jwt(credential: Credential, token: Token, claims: PlexJwt, now: float) -> Credential:
    """Put a JWT into a credential; its times are by this computer's clock, as everything that is kept."""
    lifetime = claims.expires_at - claims.issued_at
    user = claims.user
    return msgspec.structs.replace(
        credential,
        token=token,
        created_at=now,
        expires_at=now + lifetime,
        checked_at=now,
        account_id=user.id or credential.account_id,
        username=user.username or credential.username,
    )
