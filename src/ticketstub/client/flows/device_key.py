"""Device keys: registering a key with a token, getting a JWT from Plex with it, and Plex's published keys.

Rule: callers store a key before they register or use it. The first JWT revokes the device's opaque token (documented),
so a key that was lost in between would end the sign-in. Each try uses a new nonce. Published keys come from the
issuer's own address. They are fetched before a JWT is requested, so that their outage costs no sign-in, and again for
an unknown key name, but at most once in five minutes (security rule).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ticketstub.client.flows.request import Flow, FlowContext, ServerClock, run_blocking, send_call
from ticketstub.credentials.store import Credential
from ticketstub.errors import MalformedReply, Unreachable
from ticketstub.refusals import Refusal, Unauthorized
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey, PlexJwt, PublishedKeys

REFETCH_INTERVAL = 5 * 60.0
"""The least number of seconds between two fetches for an unknown key name."""

_WRONG_DEVICE_CODE = 1097
_MAX_TRIES = 2


def ensure_published_keys(context: FlowContext) -> Flow[None]:
    """Fetch the published keys if none are known yet."""
    if context.issuer not in context.published_keys:
        yield from _fetch_published_keys(context)


def verify_jwt(context: FlowContext, token: Token, *, kid: str | None, now: float) -> Flow[PlexJwt]:
    """Verify a JWT that Plex gave to this device.

    Args:
        context: the device that got it.
        token: the JWT.
        kid: the name of the device key that it was given for, if known.
        now: epoch seconds, by Plex's clock if known.

    Raises:
        MalformedReply: it is not valid.
    """
    yield from ensure_published_keys(context)
    while True:
        keys, fetched_at = context.published_keys[context.issuer]
        result = yield from run_blocking(partial(_verify_or_explain, token, keys, context.client_identifier, kid, now))
        if result != "kid" or context.clock.monotonic() - fetched_at < REFETCH_INTERVAL:
            break
        yield from _fetch_published_keys(context)
    if isinstance(result, str):
        raise MalformedReply(
            f"Plex gave a JWT that cannot be verified ({result})",
            hint="check this computer's clock"
            if result in {"not_yet", "expired"}
            else "is something else answering instead of Plex? The token is not used",
        )
    return result


def _verify_or_explain(
    token: Token, keys: PublishedKeys, client_identifier: str, kid: str | None, now: float
) -> PlexJwt | str:
    from ticketstub.crypto import InvalidJwt, verify_plex_jwt  # loads cryptography

    try:
        return verify_plex_jwt(token.reveal(), keys, client_identifier=client_identifier, now=now, thumbprint=kid)
    except InvalidJwt as refused:
        return refused.reason


def _fetch_published_keys(context: FlowContext) -> Flow[None]:
    from ticketstub.crypto.plex_jwt import PublishedKeys  # loads no library
    from ticketstub.protocol.device_key import GetPublishedKeys

    keys = yield from context.call(GetPublishedKeys())
    context.published_keys[context.issuer] = PublishedKeys(keys=keys), context.clock.monotonic()


def generate_key() -> DeviceKey:
    """Generate a device key. It loads cryptography: use it in a `RunBlocking` step."""
    from ticketstub.crypto import DeviceKey

    return DeviceKey.generate()


def load_key(text: Secret | None) -> DeviceKey | None:
    """Load a stored device key; `None` if there is none, or it is damaged. Use it in a `RunBlocking` step."""
    if text is not None:
        from ticketstub.crypto import DeviceKey

        with suppress(ValueError):
            return DeviceKey.load(text)
    return None


def register_key(context: FlowContext, key: DeviceKey) -> Flow[None]:
    """Register a key for the device of the context's token (documented).

    A key that is registered already is no error here: it may be this device's (observed: 422 either way). If it is
    another device's, the exchange that follows fails.

    Raises:
        Unauthorized: Plex does not accept the token. Refusal: Plex does not accept the key.
    """
    from ticketstub.protocol.device_key import RegisterKey

    call = RegisterKey(jwk=key.jwk)
    try:
        with suppress(Unreachable):  # it may have arrived, and sending it again does no harm
            return (yield from context.call(call))
        yield from context.call(call)
    except Refusal as refusal:
        if refusal.status != 422:
            raise


def request_jwt(context: FlowContext, key: DeviceKey) -> Flow[tuple[Token, PlexJwt]]:
    """Get a JWT for a registered key, and its claims: nonce, signature, exchange, verification (documented).

    Raises:
        Refusal: Plex does not accept the key, or no longer: 422, or code 1097 for another device's.
        MalformedReply: the JWT cannot be verified.
    """
    yield from ensure_published_keys(context)
    server_clock = ServerClock(context.clock)
    for left in reversed(range(_MAX_TRIES)):
        try:
            token = yield from _exchange_device_jwt(context, key, server_clock)
        except (Unreachable, Refusal) as failure:  # the nonce may have been used, or too old
            refused = type(failure) is Unauthorized or failure.status == 422  # 422 is documented
            if not left or not (isinstance(failure, Unreachable) or (refused and failure.code != _WRONG_DEVICE_CODE)):
                raise
        else:
            token.origin = context.issuer
            return token, (yield from verify_jwt(context, token, kid=key.kid, now=server_clock.now()))
    raise AssertionError("there is at least one try")


def _exchange_device_jwt(context: FlowContext, key: DeviceKey, server_clock: ServerClock) -> Flow[Token]:
    from ticketstub.crypto.device_key import SCOPES
    from ticketstub.protocol.device_key import ExchangeDeviceJwt, GetNonce

    nonce, response = yield from send_call(GetNonce(), context)
    server_clock.update(response)
    sign = partial(key.sign, context.client_identifier, now=server_clock.now(), nonce=nonce, scope=SCOPES)
    return (yield from context.call(ExchangeDeviceJwt(jwt=(yield from run_blocking(sign)))))


def with_jwt(credential: Credential, token: Token, claims: PlexJwt, now: float) -> Credential:
    """Return a credential with a new JWT. Its times are by this computer's clock, as in every stored credential."""
    user = claims.user
    return msgspec.structs.replace(
        credential,
        token=token,
        created_at=now,
        expires_at=now + claims.expires_at - claims.issued_at,
        checked_at=now,
        account_id=user.id or credential.account_id,
        username=user.username or credential.username,
    )
