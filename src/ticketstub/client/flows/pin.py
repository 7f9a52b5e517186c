"""Signing in with a PIN: make it, and ask for its token once a second until it is there or cannot come any more.

Rule: only the PIN's end ends the wait: 404 with 1020, or its own time by Plex's clock, or the program's patience. An
outage, whatever it looks like, does not. Between the starts of two polls is exactly a second, so that from approval to
token it takes at most that and a round trip; chance makes a wait longer only after a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ticketstub.client.flows.device_key import ServerTime, prepare, verified
from ticketstub.client.flows.pending import BegunPin, checked_forward_url
from ticketstub.client.flows.request import Caller, exchange
from ticketstub.client.flows.session import fresh
from ticketstub.client.flows.steps import Flow, Sleep, do
from ticketstub.client.flows.stored_session import How, Kept
from ticketstub.errors import CredentialsError, Denied, GaveUp, MalformedReply, PinExpired, PlexError
from ticketstub.models import Pin
from ticketstub.refusals import NotFound, PinNotFound, RateLimited, Refusal, ServerError
from ticketstub.tokens import Secret, Token

if TYPE_CHECKING:
    from ticketstub.crypto import DeviceKey

INTERVAL = 1.0
"""Seconds from the start of a poll to that of the next one (documented: one a second)."""

LONGEST_WAIT = 60.0
"""The longest wait that Plex is granted with Retry-After, in seconds (ours)."""

MARGIN = 2.0
"""By how many seconds Plex's clock, which tells whole seconds, and ours may differ about the PIN's end (ours)."""

REMIND_AFTER = 5.0
"""After how many seconds without an approval the user is shown what was opened, for no page may have come (ours)."""

_LIFETIMES = {True: 1800.0, False: 900.0}  # observed: a strong PIN's, and that of one that is typed
_SIGNED_FOR = 300
_SIGN_AGAIN = 60.0
_LAST_POLL = 5.0


def begin(
    caller: Caller, *, strong: bool, forward_url: str | None = None, key: DeviceKey | None = None
) -> Flow[BegunPin]:
    """Make a PIN.

    Args:
        caller: the device that the token will be for; its own token is not sent.
        strong: whether it is to be opened in a browser instead of typed.
        forward_url: where the browser is sent afterwards.
        key: the device key that the token is to be bound to.

    Raises:
        ValueError: `forward_url` is no http or https address; nothing was sent.
    """
    from ticketstub.protocol.pin import CreatePin

    checked_forward_url(forward_url)
    if key is not None:
        yield from prepare(caller)  # so that an outage of the keys costs no approval
    time = ServerTime(caller.senses)
    pin, response = yield from exchange(CreatePin(strong=strong, jwk=key.jwk if key else None), caller)
    time.heard(response)
    if pin.id is None or not pin.code:
        raise MalformedReply("the PIN that Plex made has no id or code", status=response.status, response=response)
    return BegunPin(
        plex_tv=caller.settings.base("plex.tv"),
        device=caller.as_client(caller.client_identifier).device,
        pin_id=pin.id,
        code=pin.code,
        strong=strong,
        expires_at=_end_of(pin, time) or time.now() + _LIFETIMES[strong],
        ahead=time.ahead,
        forward_url=forward_url,
        kid=key.kid if key else None,
    )


def _end_of(pin: Pin, time: ServerTime) -> float | None:
    if pin.expires_in is not None:
        return time.now() + pin.expires_in
    return pin.expires_at.timestamp() if pin.expires_at else None


def once(pin: BegunPin, key: DeviceKey | None, caller: Caller) -> Flow[Kept | None]:
    """Ask once; return the sign-in if it was approved.

    Raises:
        PinExpired, Denied: there is nothing to wait for.
    """
    waiting = Waiting(caller, pin, key)
    token = yield from waiting.poll(waiting.caller)
    if token is None and waiting.is_over():
        raise _expired()
    return None if token is None else (yield from _approved(waiting, token))


def until_approved(
    pin: BegunPin,
    key: DeviceKey | None,
    caller: Caller,
    *,
    give_up: float | None = None,
    remind: Callable[[], object] | None = None,
) -> Flow[Kept]:
    """Ask until it was approved, and return the sign-in, kept in memory.

    Args:
        pin: what was begun.
        key: the device key that it was begun with.
        caller: who asks; as the device that began.
        give_up: after how many seconds to stop.
        remind: called once, after `REMIND_AFTER` seconds.

    Raises:
        PinExpired, Denied, GaveUp: no approval came.
    """
    clock = caller.senses.clock
    reminding = clock() + REMIND_AFTER
    ends = None if give_up is None else clock() + give_up
    waiting = Waiting(caller, pin, key)
    while True:
        started = clock()
        token, wait = yield from waiting.tried(None if ends is None else max(ends, started + _LAST_POLL))
        if token is not None:
            return (yield from _approved(waiting, token))
        if waiting.is_over():
            raise _expired()
        if ends is not None and clock() >= ends:
            raise GaveUp("nobody approved the sign-in in the time allowed", hint="begin a new one, or allow more")
        if remind is not None and clock() >= reminding:
            yield from do(remind)
            remind = None
        next_poll = started + wait if ends is None else min(started + wait, ends)
        yield Sleep(max(next_poll - clock(), 0.0))


class Waiting:
    """The wait for one PIN: what Plex's clock shows, when the PIN ends, and how often the polls failed in a row."""

    def __init__(self, caller: Caller, pin: BegunPin, key: DeviceKey | None) -> None:
        self.caller = caller._replace(device=pin.device).as_client(pin.device.client_identifier)
        self.pin = pin
        self.key = key
        self.time = ServerTime(caller.senses, pin.ahead)
        self._expires_at = pin.expires_at
        self._failures = 0
        self._signed: tuple[Secret, float] | None = None

    def is_over(self) -> bool:
        """Tell whether the PIN's time is over, by Plex's clock."""
        return self.time.now() >= self._expires_at + MARGIN

    def tried(self, deadline: float | None) -> Flow[tuple[Token | None, float]]:
        """Poll; return the token, if it is there, and how long to wait from the poll's start to the next one's.

        Raises:
            PinExpired, Denied: there is nothing to wait for. Refusal: Plex does not take the question itself.
        """
        try:
            token = yield from self.poll(self.caller.trying(1, deadline))
        except PlexError as failure:
            if not is_outage(failure):
                raise
            self._failures += 1
            return None, self._longer(failure)
        self._failures = 0
        return token, INTERVAL

    def _longer(self, failure: PlexError) -> float:
        asked = failure.retry_after if isinstance(failure, Refusal) else None
        left = self._expires_at + MARGIN - self.time.now()  # the last poll is at the PIN's end, not after it
        wait = min(2.0 ** (self._failures - 1), 15.0, left) if asked is None else min(asked, LONGEST_WAIT - 1.0)
        return max(wait, INTERVAL) + self.caller.senses.chance()

    def poll(self, caller: Caller) -> Flow[Token | None]:
        """Ask once; return the token if it is there."""
        from ticketstub.protocol.pin import GetPin

        call = GetPin(id=self.pin.pin_id, device_jwt=(yield from self._proof()))
        try:
            found, response = yield from exchange(call, caller)
        except PinNotFound as gone:
            raise self._gone(gone) from None
        self.time.heard(response)
        self._expires_at = _end_of(found, self.time) or self._expires_at
        return found.auth_token or None

    def _gone(self, refusal: PinNotFound) -> PlexError:
        if refusal.response is not None:
            self.time.heard(refusal.response)
        if self.time.now() >= self._expires_at - MARGIN:
            return _expired()
        return Denied("the sign-in was denied, or Plex no longer knows its PIN", hint="begin a new one if it is wanted")

    def _proof(self) -> Flow[Secret | None]:
        """Sign that this is the device with the key; again when the signature nears its end."""
        if self.key is None:
            return None
        now = self.time.now()
        if self._signed is None or self._signed[1] - now < _SIGN_AGAIN:
            sign = partial(self.key.sign, self.pin.device.client_identifier, now=now, lifetime=_SIGNED_FOR)
            self._signed = (yield from do(sign)), now + _SIGNED_FOR
        return self._signed[0]


def is_outage(failure: PlexError) -> bool:
    """Tell whether a failure says nothing about what was asked: Plex may well answer the next time."""
    if isinstance(failure, Refusal):
        unclear = type(failure) is NotFound or failure.status == 408
        return unclear or isinstance(failure, ServerError | RateLimited)
    return not isinstance(failure, CredentialsError | Denied | PinExpired)


def _expired() -> PinExpired:
    return PinExpired("nobody approved the sign-in in its time", hint="begin a new one")


def _approved(waiting: Waiting, token: Token) -> Flow[Kept]:
    """Take the token that came."""
    key, claims = waiting.key, None
    if key is not None and token.kind == "jwt":
        claims = yield from verified(waiting.caller, token, kid=key.kid, now=waiting.time.now())
    how: How = "browser" if waiting.pin.strong else "code"
    return (yield from fresh(waiting.caller, token, key=key, claims=claims, how=how))
