"""Signing in with a PIN: creating it, and polling for its token once a second.

Rule: polling ends only when the PIN does: 404 with code 1020, its expiry by Plex's clock, or the caller's `max_wait`.
It continues through outages of any kind. Polls start exactly one second apart, so approval to token takes at most a
second and a round trip; a random delay is added only after a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ticketstub.client.flows.device_key import ensure_published_keys, verify_jwt
from ticketstub.client.flows.request import Flow, FlowContext, ServerClock, Sleep, run_blocking, send_call
from ticketstub.client.flows.session import StoredSession, create_session
from ticketstub.client.sign_ins import PendingPin, validate_forward_url
from ticketstub.errors import CredentialsError, Denied, GaveUp, MalformedReply, PinExpired, PlexError
from ticketstub.models import Pin
from ticketstub.refusals import NotFound, PinNotFound, RateLimited, Refusal, ServerError
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey

POLL_INTERVAL = 1.0
"""Seconds from the start of one poll to the start of the next (documented: one a second)."""

MAX_RETRY_AFTER = 60.0
"""The longest Retry-After that is honoured, in seconds."""

CLOCK_TOLERANCE = 2.0
"""How many seconds after a PIN's expiry it still counts as valid: Plex's clock reports whole seconds."""

REMINDER_DELAY = 5.0
"""Seconds without an approval after which the user is shown the URL, because the browser may not have opened."""

_PIN_LIFETIMES = {True: 1800.0, False: 900.0}  # observed: of a strong PIN, and of one that is typed
_DEVICE_JWT_LIFETIME = 300
_DEVICE_JWT_MARGIN = 60.0
_LAST_POLL_TIMEOUT = 5.0


def create_pin(
    context: FlowContext, *, strong: bool, forward_url: str | None = None, key: DeviceKey | None = None
) -> Flow[PendingPin]:
    """Create a PIN.

    Args:
        context: the device that the token is for; its own token is not sent.
        strong: whether the PIN is opened in a browser instead of typed.
        forward_url: where the browser is sent after the approval.
        key: the device key that the token is bound to.

    Raises:
        ValueError: `forward_url` is not an http or https URL; nothing was sent.
    """
    from ticketstub.protocol.pin import CreatePin

    validate_forward_url(forward_url)
    if key is not None:
        yield from ensure_published_keys(context)  # before the user approves, in case they are unavailable
    server_clock = ServerClock(context.clock)
    pin, response = yield from send_call(CreatePin(strong=strong, jwk=key.jwk if key else None), context)
    server_clock.update(response)
    if pin.id is None or not pin.code:
        raise MalformedReply("the PIN that Plex created has no id or code", status=response.status, response=response)
    return PendingPin(
        plex_tv=context.settings.get_base_url("plex.tv"),
        device=context.with_client_identifier(context.client_identifier).device,
        pin_id=pin.id,
        code=pin.code,
        strong=strong,
        expires_at=_get_expiry(pin, server_clock) or server_clock.now() + _PIN_LIFETIMES[strong],
        ahead=server_clock.skew,
        forward_url=forward_url,
        kid=key.kid if key else None,
    )


def _get_expiry(pin: Pin, server_clock: ServerClock) -> float | None:
    if pin.expires_in is not None:
        return server_clock.now() + pin.expires_in
    return pin.expires_at.timestamp() if pin.expires_at else None


def poll_once(pin: PendingPin, key: DeviceKey | None, context: FlowContext) -> Flow[StoredSession | None]:
    """Poll once; return the sign-in, or `None` if it is not approved yet.

    Raises:
        PinExpired, Denied: it cannot be approved any more.
    """
    poller = PinPoller(context, pin, key)
    token = yield from poller.poll(poller.context)
    if token is not None:
        return (yield from _create_approved_session(poller, token))
    poller.check_expiry(CLOCK_TOLERANCE)
    return None


def wait_for_approval(
    pin: PendingPin,
    key: DeviceKey | None,
    context: FlowContext,
    *,
    max_wait: float | None = None,
    remind: Callable[[], object] | None = None,
) -> Flow[StoredSession]:
    """Poll until the sign-in is approved, and return it, stored in memory.

    Args:
        pin: the PIN.
        key: the device key that it was created with.
        context: what the polls are made with; the PIN's device replaces the context's.
        max_wait: after how many seconds to give up.
        remind: called once, after `REMINDER_DELAY` seconds.

    Raises:
        PinExpired, Denied, GaveUp: it was not approved.
    """
    monotonic = context.clock.monotonic
    remind_at = monotonic() + REMINDER_DELAY
    ends_at = inf if max_wait is None else monotonic() + max_wait
    poller = PinPoller(context, pin, key)
    while True:
        started = monotonic()
        token, wait = yield from poller.poll_with_backoff(max(ends_at, started + _LAST_POLL_TIMEOUT))
        if token is not None:
            return (yield from _create_approved_session(poller, token))
        poller.check_expiry(CLOCK_TOLERANCE)
        if monotonic() >= ends_at:
            raise GaveUp("the sign-in was not approved in the time allowed", hint="sign in again, or wait longer")
        if remind is not None and monotonic() >= remind_at:
            yield from run_blocking(remind)
            remind = None
        yield Sleep(max(min(started + wait, ends_at) - monotonic(), 0.0))


class PinPoller:
    """Polls for one PIN. It follows Plex's clock and the PIN's expiry, and counts the failures in a row."""

    def __init__(self, context: FlowContext, pin: PendingPin, key: DeviceKey | None) -> None:
        self.context = context._replace(device=pin.device).with_client_identifier(pin.device.client_identifier)
        self.pin = pin
        self.key = key
        self.server_clock = ServerClock(context.clock, pin.ahead)
        self._expires_at = pin.expires_at
        self._failures = 0
        self._device_jwt: tuple[Secret, float] | None = None

    def check_expiry(self, tolerance: float) -> None:
        """Raise `PinExpired` if the PIN expired more than `tolerance` seconds ago, by Plex's clock."""
        if self.server_clock.now() >= self._expires_at + tolerance:
            raise PinExpired("the sign-in was not approved before its PIN expired", hint="sign in again") from None

    def poll_with_backoff(self, deadline: float) -> Flow[tuple[Token | None, float]]:
        """Poll; return the token if there is one, and the seconds from the start of this poll to the next.

        Raises:
            PinExpired, Denied: the PIN cannot be approved any more. Refusal: Plex refused the poll itself.
        """
        try:
            token = yield from self.poll(self.context.with_attempts(1, deadline))
        except PlexError as failure:
            if not is_outage(failure):
                raise
            wait = failure.retry_after if isinstance(failure, Refusal) else None
            if wait is None:  # the last poll is when the PIN expires, not later
                wait = min(2.0**self._failures, 15.0, self._expires_at + CLOCK_TOLERANCE - self.server_clock.now())
            self._failures += 1
            return None, max(min(wait, MAX_RETRY_AFTER - 1.0), POLL_INTERVAL) + self.context.clock.random()
        self._failures = 0
        return token, POLL_INTERVAL

    def poll(self, context: FlowContext) -> Flow[Token | None]:
        """Poll once; return the token if there is one.

        Raises:
            PinExpired, Denied: the PIN cannot be approved any more.
        """
        from ticketstub.protocol.pin import GetPin

        call = GetPin(id=self.pin.pin_id, device_jwt=(yield from self._get_device_jwt()))
        try:
            found, response = yield from send_call(call, context)
        except PinNotFound as refusal:
            if refusal.response is not None:
                self.server_clock.update(refusal.response)
            self.check_expiry(-CLOCK_TOLERANCE)
            raise Denied(
                "the sign-in was denied, or Plex no longer knows its PIN", hint="sign in again if it was a mistake"
            ) from None
        self.server_clock.update(response)
        self._expires_at = _get_expiry(found, self.server_clock) or self._expires_at
        return found.auth_token or None

    def _get_device_jwt(self) -> Flow[Secret | None]:
        """Return a JWT that proves possession of the key; it is reused until shortly before it expires."""
        if self.key is None:
            return None
        now = self.server_clock.now()
        if self._device_jwt is None or self._device_jwt[1] - now < _DEVICE_JWT_MARGIN:
            sign = partial(self.key.sign, self.pin.device.client_identifier, now=now, lifetime=_DEVICE_JWT_LIFETIME)
            self._device_jwt = (yield from run_blocking(sign)), now + _DEVICE_JWT_LIFETIME
        return self._device_jwt[0]


def is_outage(failure: PlexError) -> bool:
    """Tell whether a failure says nothing about the PIN, so that the next poll may succeed."""
    if isinstance(failure, Refusal):
        return isinstance(failure, ServerError | RateLimited) or type(failure) is NotFound or failure.status == 408
    return not isinstance(failure, CredentialsError | Denied | PinExpired)


def _create_approved_session(poller: PinPoller, token: Token) -> Flow[StoredSession]:
    key, claims = poller.key, None
    if key is not None and token.kind == "jwt":
        claims = yield from verify_jwt(poller.context, token, kid=key.kid, now=poller.server_clock.now())
    return (
        yield from create_session(
            poller.context, token, key=key, claims=claims, method="browser" if poller.pin.strong else "code"
        )
    )
