"""Walks a flow of several calls by hand: clocks of ours that only sleeping moves, and a list of answers.

Rule: each `Send` takes the next answer; an answer that is an error is thrown in, one that is callable is called with
the request. What else a flow asks for (`RunBlocking`, `Invoke`) really happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest

from tests.client.flows.stepping import DEVICE, HERE
from ticketstub.client.config import CallSettings, KnownServers, PublishedKeyCache, with_token
from ticketstub.client.flows.request import (
    Clock,
    FlowContext,
    Invoke,
    RunBlocking,
    Send,
    Sleep,
    Step,
)
from ticketstub.errors import PlexError, TimedOut, Unreachable
from ticketstub.messages import Request, Response
from ticketstub.tokens import Token

NOW = 1_793_697_300.0  # 2026-11-03T09:15:00Z
OPAQUE = "Xk3mPz_9Q-vT7rLb2NfW"
USER = b'{"id":10500123,"uuid":"3f9c2b7a5d1e8f04","username":"mira_quill","email":"mira@example.test","authToken":"Xk3mPz_9Q-vT7rLb2NfW"}'  # noqa: E501  # as it came
UNAUTHORIZED = b'{"errors":[{"code":1001,"message":"User could not be authenticated","status":401}]}'
RESET = Unreachable("the connection was reset")
SLOW = TimedOut("no answer in time")


@dataclass
class Walker:
    """Walks a flow, and remembers its steps.

    Attributes:
        answers: for each `Send`, in order.
        clock: the clock that only grows. wall: this computer's clock is so many seconds ahead of it.
        random: every random number.
    """

    answers: Sequence[object] = ()
    clock: float = 1000.0
    wall: float = NOW - 1000.0
    random: float = 0.0
    settings: CallSettings = field(default_factory=lambda: CallSettings(plex_tv=HERE))
    steps: list[Any] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left: list[Any] = list(self.answers)
        clock = Clock(lambda: self.clock, lambda: self.clock + self.wall, lambda: self.random)
        self.context = FlowContext(self.settings, DEVICE, clock, PublishedKeyCache(), KnownServers())

    def with_token(self, token: Any = OPAQUE) -> Walker:
        own_token = Token.from_wire(token, HERE) if isinstance(token, str) else token
        self.context = self.context._replace(settings=with_token(self.settings, own_token))
        return self

    def run(self, make: Callable[[FlowContext], Any]) -> Any:
        """Walk to the end."""
        flow = make(self.context)
        try:
            step = next(flow)
            while True:
                self.steps.append(step)
                self.moments.append(self.clock)
                step = self._answer(flow, step)
        except StopIteration as end:
            assert [] == self.left, "answers left over"
            return end.value
        finally:
            flow.close()

    def _answer(self, flow: Any, step: Step) -> Step:
        try:
            answer = self._done(step)
        except PlexError as failure:
            return flow.throw(failure)
        return flow.send(answer)

    def _done(self, step: Step) -> object:
        if isinstance(step, Sleep):
            self.clock += step.seconds
            return None
        if isinstance(step, RunBlocking):
            return step.work()
        if isinstance(step, Invoke):
            return step.callback()
        assert isinstance(step, Send), step
        assert self.left, f"no answer left for {step.request!r}"
        answer = self.left.pop(0)
        if isinstance(answer, PlexError):
            raise answer
        return answer(step.request) if callable(answer) else answer

    def fails(self, make: Callable[[FlowContext], Any], kind: type[PlexError]) -> Any:
        """Walk, and expect exactly this error, after the last answer."""
        with pytest.raises(PlexError) as caught:
            self.run(make)
        assert kind is type(caught.value), repr(caught.value)
        assert [] == self.left, "answers left over"
        return caught.value

    @property
    def sent(self) -> list[Request]:
        return [step.request for step in self.steps if isinstance(step, Send)]

    @property
    def calls(self) -> list[str]:
        return [request.call for request in self.sent]

    @property
    def slept(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Sleep)]

    def date(self, ahead: float = 0.0) -> dict[str, str]:
        """Write a Date header, by a clock that is so many seconds ahead of this computer's."""
        return {"date": formatdate(self.clock + self.wall + ahead, usegmt=True)}


def ok(body: bytes | str = b"", status: int = 200, **headers: str) -> Response:
    """Make an answer; names of headers with underscores for hyphens."""
    text = body.encode() if isinstance(body, str) else body
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, text)


def error(status: int, code: int, message: str = "no", **headers: str) -> Response:
    """Make a refusal as plex.tv writes one."""
    body = f'{{"errors":[{{"code":{code},"message":"{message}","status":{status}}}]}}'
    return ok(body, status, **headers)
