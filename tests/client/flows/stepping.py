"""Steps a flow by hand: a clock of ours, a list of answers, and what the tests of flows have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ticketstub.client.config import CallSettings, KnownServers, PublishedKeyCache, with_token
from ticketstub.client.flows.request import Clock, FlowContext, Send, Sleep, Step, send_call
from ticketstub.device import Device
from ticketstub.errors import (
    PlexError,
)
from ticketstub.messages import Request, Response
from ticketstub.protocol.account import PostUsersSignInData
from ticketstub.protocol.call import Call
from ticketstub.protocol.media_server import GetTransientToken, TransientTokenScope, TransientTokenType
from ticketstub.tokens import Token

HERE = "http://127.0.0.1:8190"
ATTIC = "http://127.0.0.1:32401"
DEVICE = Device(client_identifier="demo-client-7c1f", product="Demo App")
TOKEN = Token("Xk3mPz_9Q-vT7rLb2NfW")
IDENTITY = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "X-Plex-Client-Identifier": "demo-client-7c1f",
    "X-Plex-Product": "Demo App",
}
WITH_TOKEN = IDENTITY | {"X-Plex-Token": "Xk3mPz_9Q-vT7rLb2NfW"}
PONG = Response(200, {}, b'{"pong":true}')
SIGN_IN = PostUsersSignInData.from_text("mira_quill", "hunter2")
TRANSIENT = GetTransientToken(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL)


def base() -> CallSettings:
    return with_token(CallSettings(plex_tv=HERE, server=ATTIC), TOKEN)


def refusal(status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(status, headers or {}, b"{}")


def moved(location: str | None, status: int = 302) -> Response:
    return Response(status, {} if location is None else {"location": location}, b"")


class FakeClock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_context(settings: CallSettings, clock: FakeClock | None = None) -> FlowContext:
    """Return a context with these settings and the usual device."""
    clock = clock or FakeClock()
    return FlowContext(settings, DEVICE, Clock(clock, clock, lambda: 0.5), PublishedKeyCache(), KnownServers())


@dataclass
class Stepper:
    """Steps a flow by hand: answers each of its steps with the next answer, and remembers the steps.

    An answer that is an error is thrown in; one that is callable is called with the step. Sleeping moves the clock.
    """

    answers: Sequence[object]
    clock: FakeClock = field(default_factory=FakeClock)
    steps: list[Any] = field(default_factory=list)

    def run(self, call: Call[Any], settings: CallSettings) -> Any:
        flow = send_call(call, make_context(settings, self.clock))
        left = iter(self.answers)
        try:
            step = next(flow)
            while True:
                self.steps.append(step)
                step = self._answer(flow, step, left)
        except StopIteration as end:
            assert [] == list(left), "answers left over"
            return end.value[0]

    def _answer(self, flow, step: Step, left) -> Step:
        if isinstance(step, Sleep):
            self.clock.now += step.seconds
            return flow.send(None)
        answer = next(left)
        if isinstance(answer, PlexError):
            return flow.throw(answer)
        return flow.send(answer(step) if callable(answer) else answer)

    @property
    def sent(self) -> list[Request]:
        return [step.request for step in self.steps if isinstance(step, Send)]

    @property
    def slept(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Sleep)]


def failed(stepper: Stepper, call: Call[Any], settings: CallSettings, kind: type[PlexError]) -> Any:
    """Run it, and expect exactly this error class."""
    with pytest.raises(PlexError) as caught:
        stepper.run(call, settings)
    assert kind is type(caught.value)
    return caught.value
