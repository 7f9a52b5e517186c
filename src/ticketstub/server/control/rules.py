"""What a tester wants of the next calls: refused, delayed.

Rule: a rule counts for so many calls of its pattern and is gone then; of several refusals the first that fits is used
up first. A refusal is written as the place writes its own, in the format that was asked for, unless the tester gives
the body. Nothing of a refused call happens.
"""

from __future__ import annotations

from typing import TypeVar

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
        self._refusals: list[RefuseNext] = []
        self._delays: list[DelayNext] = []

    def __bool__(self) -> bool:
        return bool(self._refusals or self._delays)

    def add(self, rule: RefuseNext | DelayNext) -> None:
        """Have one more."""
        if isinstance(rule, RefuseNext):
            self._refusals.append(rule)
        else:
            self._delays.append(rule)

    def clear(self) -> None:
        """Have none."""
        self._refusals.clear()
        self._delays.clear()

    def refusal(self, method: str, path: str, place: str) -> RefuseNext | None:
        """Return the refusal of a request, if it is to be refused, and use it up."""
        return _used(self._refusals, method, path, place)

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
