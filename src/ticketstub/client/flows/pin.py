"""Signing in with a PIN: creating it, showing it, storing it as text, and polling for its token once a second.

Rule: polling ends only when the PIN does: 404 with code 1020, its expiry by Plex's clock, or the caller's `max_wait`.
No outage ends it, whatever it looks like. Polls start exactly one second apart, so approval to token takes at most a
second and a round trip; a random delay is added only after a failure. A dump holds no token and no private key. The
URLs are those of Plex's own pages, or of a local Plex.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlencode

import msgspec

from ticketstub.client.config import PLEX_TV
from ticketstub.client.flows.device_key import ServerClock, ensure_published_keys, verify_jwt
from ticketstub.client.flows.request import Flow, FlowContext, Sleep, run_blocking, send_call
from ticketstub.client.flows.session import SignInMethod, StoredSession, TokenStatus, create_session
from ticketstub.device import Device
from ticketstub.errors import CredentialsError, Denied, GaveUp, MalformedReply, PinExpired, PlexError
from ticketstub.messages import get_origin
from ticketstub.models import Pin
from ticketstub.refusals import NotFound, PinNotFound, RateLimited, Refusal, ServerError
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey

DUMP_FORMAT = 1
"""The number of the form of a dump; an older or newer one is refused."""

_AUTH_APP_URL = "https://app.plex.tv"
_PLEX_TV_URLS = frozenset({PLEX_TV, "https://clients.plex.tv", "https://www.plex.tv"})


class PendingPin(msgspec.Struct, frozen=True, kw_only=True):
    """A PIN that was made, and all that is needed to ask for it.

    Args:
        plex_tv: the address that made it.
        device: the device that it was made by, and that alone may ask for it.
        pin_id: its id.
        code: what is typed or opened.
        strong: whether it is opened in a browser (25 characters) and not typed (4).
        expires_at: when its time is over, in epoch seconds by Plex's clock.
        ahead: by how many seconds Plex's clock was ahead of this computer's.
        forward_url: where the browser is sent afterwards.
        kid: the name of the device key that it was made with.
    """

    plex_tv: str
    device: Device
    pin_id: int
    code: str
    strong: bool
    expires_at: Annotated[float, msgspec.Meta(lt=253402300799)]
    ahead: float = 0.0
    forward_url: str | None = None
    kid: str | None = None

    def __post_init__(self) -> None:
        get_origin(self.plex_tv)
        validate_forward_url(self.forward_url)

    __rich_repr__ = None  # type: ignore[assignment]  # msgspec's would show rich all that `__repr__` leaves out

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pin_id}>"


class _Dump(msgspec.Struct, frozen=True, kw_only=True, tag_field="sign_in", tag=DUMP_FORMAT):
    pin: PendingPin


class PendingState:
    """A sign-in that waits for somebody's approval."""

    def __init__(self, pin: PendingPin, reason: TokenStatus = "none") -> None:
        self._pin = pin
        self._reason: TokenStatus = reason

    @property
    def url(self) -> str:
        """The page to open: the Auth App's, or the link page with the code filled in (documented)."""
        pin = self._pin
        if not pin.strong:
            return f"{self.link_page}/?pin={quote(self.code, safe='')}"
        params = {"clientID": pin.device.client_identifier, "code": pin.code}
        if pin.device.product:
            params["context[device][product]"] = pin.device.product
        if pin.forward_url:
            params["forwardUrl"] = pin.forward_url
        base = _AUTH_APP_URL if pin.plex_tv in _PLEX_TV_URLS else pin.plex_tv
        # The parameters are in the fragment, which no server sees (documented).
        return f"{base}/auth#?{urlencode(params, quote_via=quote, safe='')}"

    @property
    def code(self) -> str:
        """The PIN's code: 4 characters to be typed on the link page, or 25 that are part of `url`."""
        return self._pin.code

    @property
    def link_page(self) -> str:
        """The page where a code of 4 characters is typed: `https://plex.tv/link`, or a local Plex's."""
        return f"{PLEX_TV if self._pin.plex_tv in _PLEX_TV_URLS else self._pin.plex_tv}/link"

    @property
    def pin_id(self) -> int:
        """The PIN's id."""
        return self._pin.pin_id

    @property
    def expires_at(self) -> datetime:
        """When the PIN's time is over, by Plex's clock."""
        return datetime.fromtimestamp(self._pin.expires_at, UTC)

    @property
    def reason(self) -> TokenStatus:
        """Why a sign-in is needed: how the kept token stands (see `TokenStatus`)."""
        return self._reason

    def render_qr(self, *, border: int = 1) -> str:
        """Draw `url` as a QR code of block characters, for a terminal with a dark background.

        Args:
            border: how many modules of quiet zone are around it.
        """
        from io import StringIO

        import segno  # only where a picture is wanted

        drawing = StringIO()
        segno.make(self.url, error="l", micro=False).terminal(drawing, border=border, compact=True)
        return drawing.getvalue()

    def render_text(self, *, for_link_page: bool = False) -> str:
        """Write for a terminal what the user needs: the address, the code, and the address as a QR code.

        Args:
            for_link_page: whether the user is to type the code on the link page.
        """
        from ticketstub.errors import sanitize_text

        url, code = sanitize_text(self.url, 2000), sanitize_text(self.code)
        if for_link_page:
            lines = f"type the code {code} on {sanitize_text(self.link_page, 500)}, on any device, or open:\n\n  {url}"
        else:
            lines = f"open this page, here or on another device:\n\n  {url}\n\n  code to compare  {code}"
        return f"To sign in, {lines}\n\n{self.render_qr()}"

    def dump(self) -> str:
        """Return it as JSON text that another process can load and finish.

        No token and no key is in it. But whoever has it can ask for the token once the user has approved: keep it where
        only that user's browser and your program read it, such as a signed cookie over https or a session of the
        server; never in a URL.
        """
        return msgspec.json.encode(_Dump(pin=self._pin)).decode()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} pin {self.pin_id}>"


def load_pending_pin(data: str | bytes, plex_tv: str | None, key: DeviceKey | None) -> PendingPin:
    """Read a dump for a client, so that a text from a browser cannot choose whom this computer talks to.

    Raises:
        ValueError: it is damaged, of another version, another plex.tv's, or another device key's; nothing of it is
            repeated.
    """
    try:
        pin = msgspec.json.decode(data, type=_Dump).pin
    except (msgspec.MsgspecError, RecursionError, ValueError):  # which may repeat a part of it
        raise ValueError("this is no begun sign-in of this version, or it is damaged: begin a new one") from None
    if pin.plex_tv != plex_tv:
        raise ValueError("this sign-in was begun at another plex.tv than this client's: pass that client as plex=")
    if pin.kid != (key.kid if key else None):
        raise ValueError("this sign-in was begun with another device key, or with one: pass it as device_key=")
    return pin


def validate_forward_url(url: str | None) -> None:
    """Check that a place to forward to is one that Plex honours.

    Raises:
        ValueError: it is no http or https address; Plex sends the browser elsewhere then (observed).
    """
    if url is not None:
        get_origin(url)


POLL_INTERVAL = 1.0
"""Seconds from the start of a poll to that of the next one (documented: one a second)."""

MAX_RETRY_AFTER = 60.0
"""The longest wait that Plex is granted with Retry-After, in seconds (ours)."""

CLOCK_TOLERANCE = 2.0
"""By how many seconds Plex's clock, which tells whole seconds, and ours may differ about the PIN's end (ours)."""

REMINDER_DELAY = 5.0
"""After how many seconds without an approval the user is shown what was opened, for no page may have come (ours)."""

_PIN_LIFETIMES = {True: 1800.0, False: 900.0}  # observed: a strong PIN's, and that of one that is typed
_DEVICE_JWT_LIFETIME = 300
_DEVICE_JWT_MARGIN = 60.0
_LAST_POLL_TIMEOUT = 5.0


def create_pin(
    context: FlowContext, *, strong: bool, forward_url: str | None = None, key: DeviceKey | None = None
) -> Flow[PendingPin]:
    """Make a PIN.

    Args:
        context: the device that the token will be for; its own token is not sent.
        strong: whether it is to be opened in a browser instead of typed.
        forward_url: where the browser is sent afterwards.
        key: the device key that the token is to be bound to.

    Raises:
        ValueError: `forward_url` is no http or https address; nothing was sent.
    """
    from ticketstub.protocol.pin import CreatePin

    validate_forward_url(forward_url)
    if key is not None:
        yield from ensure_published_keys(context)  # so that an outage of the keys costs no approval
    server_clock = ServerClock(context.clock)
    pin, response = yield from send_call(CreatePin(strong=strong, jwk=key.jwk if key else None), context)
    server_clock.update(response)
    if pin.id is None or not pin.code:
        raise MalformedReply("the PIN that Plex made has no id or code", status=response.status, response=response)
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
    """Ask once; return the sign-in if it was approved.

    Raises:
        PinExpired, Denied: there is nothing to wait for.
    """
    poller = PinPoller(context, pin, key)
    token = yield from poller.poll(poller.context)
    if token is None and poller.is_expired():
        raise _make_expired_error()
    return None if token is None else (yield from _create_approved_session(poller, token))


def wait_for_approval(
    pin: PendingPin,
    key: DeviceKey | None,
    context: FlowContext,
    *,
    max_wait: float | None = None,
    remind: Callable[[], object] | None = None,
) -> Flow[StoredSession]:
    """Ask until it was approved, and return the sign-in, kept in memory.

    Args:
        pin: what was begun.
        key: the device key that it was begun with.
        context: who asks; as the device that began.
        max_wait: after how many seconds to stop.
        remind: called once, after `REMINDER_DELAY` seconds.

    Raises:
        PinExpired, Denied, GaveUp: no approval came.
    """
    monotonic = context.clock.monotonic
    remind_at = monotonic() + REMINDER_DELAY
    ends_at = None if max_wait is None else monotonic() + max_wait
    poller = PinPoller(context, pin, key)
    while True:
        started = monotonic()
        token, wait = yield from poller.poll_with_backoff(
            None if ends_at is None else max(ends_at, started + _LAST_POLL_TIMEOUT)
        )
        if token is not None:
            return (yield from _create_approved_session(poller, token))
        if poller.is_expired():
            raise _make_expired_error()
        if ends_at is not None and monotonic() >= ends_at:
            raise GaveUp("nobody approved the sign-in in the time allowed", hint="begin a new one, or allow more")
        if remind is not None and monotonic() >= remind_at:
            yield from run_blocking(remind)
            remind = None
        next_poll = started + wait if ends_at is None else min(started + wait, ends_at)
        yield Sleep(max(next_poll - monotonic(), 0.0))


class PinPoller:
    """The wait for one PIN: what Plex's clock shows, when the PIN ends, and how often the polls failed in a row."""

    def __init__(self, context: FlowContext, pin: PendingPin, key: DeviceKey | None) -> None:
        self.context = context._replace(device=pin.device).with_client_identifier(pin.device.client_identifier)
        self.pin = pin
        self.key = key
        self.server_clock = ServerClock(context.clock, pin.ahead)
        self._expires_at = pin.expires_at
        self._failures = 0
        self._device_jwt: tuple[Secret, float] | None = None

    def is_expired(self) -> bool:
        """Tell whether the PIN's time is over, by Plex's clock."""
        return self.server_clock.now() >= self._expires_at + CLOCK_TOLERANCE

    def poll_with_backoff(self, deadline: float | None) -> Flow[tuple[Token | None, float]]:
        """Poll; return the token, if it is there, and how long to wait from the poll's start to the next one's.

        Raises:
            PinExpired, Denied: there is nothing to wait for. Refusal: Plex does not take the question itself.
        """
        try:
            token = yield from self.poll(self.context.with_attempts(1, deadline))
        except PlexError as failure:
            if not is_outage(failure):
                raise
            self._failures += 1
            return None, self._get_backoff(failure)
        self._failures = 0
        return token, POLL_INTERVAL

    def _get_backoff(self, failure: PlexError) -> float:
        retry_after = failure.retry_after if isinstance(failure, Refusal) else None
        remaining = (
            self._expires_at + CLOCK_TOLERANCE - self.server_clock.now()
        )  # the last poll is at the PIN's end, not after it
        wait = (
            min(2.0 ** (self._failures - 1), 15.0, remaining)
            if retry_after is None
            else min(retry_after, MAX_RETRY_AFTER - 1.0)
        )
        return max(wait, POLL_INTERVAL) + self.context.clock.random()

    def poll(self, context: FlowContext) -> Flow[Token | None]:
        """Ask once; return the token if it is there."""
        from ticketstub.protocol.pin import GetPin

        call = GetPin(id=self.pin.pin_id, device_jwt=(yield from self._get_device_jwt()))
        try:
            found, response = yield from send_call(call, context)
        except PinNotFound as refusal:
            raise self._explain_missing_pin(refusal) from None
        self.server_clock.update(response)
        self._expires_at = _get_expiry(found, self.server_clock) or self._expires_at
        return found.auth_token or None

    def _explain_missing_pin(self, refusal: PinNotFound) -> PlexError:
        if refusal.response is not None:
            self.server_clock.update(refusal.response)
        if self.server_clock.now() >= self._expires_at - CLOCK_TOLERANCE:
            return _make_expired_error()
        return Denied("the sign-in was denied, or Plex no longer knows its PIN", hint="begin a new one if it is wanted")

    def _get_device_jwt(self) -> Flow[Secret | None]:
        """Sign that this is the device with the key; again when the signature nears its end."""
        if self.key is None:
            return None
        now = self.server_clock.now()
        if self._device_jwt is None or self._device_jwt[1] - now < _DEVICE_JWT_MARGIN:
            sign = partial(self.key.sign, self.pin.device.client_identifier, now=now, lifetime=_DEVICE_JWT_LIFETIME)
            self._device_jwt = (yield from run_blocking(sign)), now + _DEVICE_JWT_LIFETIME
        return self._device_jwt[0]


def is_outage(failure: PlexError) -> bool:
    """Tell whether a failure says nothing about what was asked: Plex may well answer the next time."""
    if isinstance(failure, Refusal):
        unclear = type(failure) is NotFound or failure.status == 408
        return unclear or isinstance(failure, ServerError | RateLimited)
    return not isinstance(failure, CredentialsError | Denied | PinExpired)


def _make_expired_error() -> PinExpired:
    return PinExpired("nobody approved the sign-in in its time", hint="begin a new one")


def _create_approved_session(poller: PinPoller, token: Token) -> Flow[StoredSession]:
    """Take the token that came."""
    key, claims = poller.key, None
    if key is not None and token.kind == "jwt":
        claims = yield from verify_jwt(poller.context, token, kid=key.kid, now=poller.server_clock.now())
    method: SignInMethod = "browser" if poller.pin.strong else "code"
    return (yield from create_session(poller.context, token, key=key, claims=claims, method=method))
