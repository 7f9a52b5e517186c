"""What a tester wants of the next calls: refused, answered with something that Plex never said, delayed.

Rule: a rule counts for so many calls of its pattern and is gone then; of several answers the first that fits is used
up first. A refusal is written as the place writes its own, in the format that was asked for, unless the tester gives
the body. Nothing of such a call happens.
"""

from __future__ import annotations

from typing import TypedDict, TypeVar

from ticketstub.refusals import Refusal, kind_of
from ticketstub.server.answers import Answer
from ticketstub.server.app import Site
from ticketstub.server.control.calls import Pattern
from ticketstub.server.requests import Asked

_LONGEST_DELAY = 3600

R = TypeVar("R", bound="Rule")


class Rule:
    """Something that happens to so many calls.

    Args:
        pattern: which calls.
        times: how many of them.

    Raises:
        ValueError: it is to happen less than once.
    """

    def __init__(self, pattern: Pattern, times: int) -> None:
        if times < 1:
            raise ValueError("times is how many calls it happens to: 1 or more")
        self.pattern = pattern
        self.times = times


class Refused(TypedDict, total=False):
    """How a call is refused; see `RefuseNext`."""

    status: int
    code: int | None
    message: str | None
    retry_after: int | None
    body: str | None


class Said(TypedDict, total=False):
    """What a call is answered with; see `AnswerNext`."""

    status: int
    body: str
    media_type: str
    location: str | None


class RefuseNext(Rule):
    """A refusal.

    Args:
        pattern: which calls.
        times: how many of them.
        status: 400 to 599.
        code: Plex's error code; by default the one that belongs to the status.
        message: Plex's message, likewise.
        retry_after: seconds that the Retry-After field says; `None`: there is none.
        body: the whole body in place of Plex's.

    Raises:
        ValueError: one of these is out of its range.
    """

    def __init__(
        self,
        pattern: Pattern,
        times: int,
        *,
        status: int = 429,
        code: int | None = None,
        message: str | None = None,
        retry_after: int | None = None,
        body: str | None = None,
    ) -> None:
        super().__init__(pattern, times)
        if not 400 <= status <= 599:
            raise ValueError("a refusal has a status from 400 to 599")
        if retry_after is not None and retry_after < 0:
            raise ValueError("retry_after is a number of seconds, 0 or more")
        self._refusal = _made(status, code, message)
        self._retry_after = retry_after
        self._body = None if body is None else body.encode()

    def answer(self, site: Site, asked: Asked) -> Answer:
        """Refuse a request."""
        answer = site.refuse(self._refusal, asked)
        if self._retry_after is not None:
            answer.headers = [*answer.headers, (b"retry-after", b"%d" % self._retry_after)]
        if self._body is not None:
            answer.body = self._body
        return answer


def _made(status: int, code: int | None, message: str | None) -> Refusal:
    kind = kind_of(status, code, message)
    return kind(message or kind.default_message, status=status, code=code or kind.default_code)


class AnswerNext(Rule):
    """An answer that Plex never gave: the page of a captive portal, a proxy's error, half a document.

    Args:
        pattern: which calls.
        times: how many of them.
        status: 200 to 599.
        body: all of it.
        media_type: what its Content-Type says.
        location: where a redirect leads; `None`: there is none.

    Raises:
        ValueError: one of these cannot be, or stands in no header field.
    """

    def __init__(
        self,
        pattern: Pattern,
        times: int,
        *,
        status: int = 200,
        body: str = "",
        media_type: str = "text/html",
        location: str | None = None,
    ) -> None:
        super().__init__(pattern, times)
        if not 200 <= status <= 599:
            raise ValueError("an answer has a status from 200 to 599")
        if status in _BODILESS and body:
            raise ValueError(f"an answer of status {status} has no body")
        self._status = status
        self._body = body.encode()
        self._fields = [(b"content-type", _field("media_type", media_type)), (b"cache-control", b"no-store")]
        if location is not None:
            self._fields.append((b"location", _field("location", location)))

    def answer(self, _site: Site, _asked: Asked) -> Answer:
        """Answer a request."""
        return Answer(self._status, self._fields, self._body)


_BODILESS = frozenset({204, 205, 304})


def _field(name: str, value: str) -> bytes:
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"{name} is printable ASCII")
    return value.encode()


class DelayNext(Rule):
    """A wait before the answer.

    Args:
        pattern: which calls.
        times: how many of them.
        seconds: how long.

    Raises:
        ValueError: the wait is negative, or longer than an hour.
    """

    def __init__(self, pattern: Pattern, times: int, seconds: float) -> None:
        super().__init__(pattern, times)
        if not 0 <= seconds <= _LONGEST_DELAY:
            raise ValueError("a delay is 0 to 3600 seconds")
        self.seconds = seconds


class Rules:
    """The rules that are not used up."""

    def __init__(self) -> None:
        self._answers: list[RefuseNext | AnswerNext] = []
        self._delays: list[DelayNext] = []

    def __bool__(self) -> bool:
        return bool(self._answers or self._delays)

    def add(self, rule: RefuseNext | AnswerNext | DelayNext) -> None:
        """Have one more."""
        if isinstance(rule, DelayNext):
            self._delays.append(rule)
        else:
            self._answers.append(rule)

    def clear(self) -> None:
        """Have none."""
        self._answers.clear()
        self._delays.clear()

    def answer(self, method: str, path: str, place: str) -> RefuseNext | AnswerNext | None:
        """Return what a request is to be answered with, if there is something, and use it up."""
        return _used(self._answers, method, path, place)

    def delay(self, method: str, path: str, place: str) -> float:
        """Return the seconds that a request is to wait, and use its delay up."""
        found = _used(self._delays, method, path, place)
        return 0.0 if found is None else found.seconds


def _used(rules: list[R], method: str, path: str, place: str) -> R | None:
    for rule in rules:
        if rule.pattern.means(method, path, place):
            rule.times -= 1
            if not rule.times:
                rules.remove(rule)
            return rule
    return None
