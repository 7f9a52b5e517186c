"""One call from end to end, stepped by hand: a list of (expected step, answer), a fake clock, no client."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from tests.client.flows.stepping import (
    ATTIC,
    HERE,
    IDENTITY,
    PONG,
    SIGN_IN,
    TOKEN,
    TRANSIENT,
    WITH_TOKEN,
    FakeClock,
    Stepper,
    base,
    failed,
    make_context,
    moved,
    refusal,
)
from tests.tables import every
from ticketstub.client import driver
from ticketstub.client.config import BackgroundJobs, CallSettings, Retry, merge_options, with_token
from ticketstub.client.flows.request import Send, send_call
from ticketstub.errors import (
    MalformedReply,
    PlexError,
    TimedOut,
    Unreachable,
)
from ticketstub.messages import Request, Response
from ticketstub.protocol.account import GetTokenDetails, Ping
from ticketstub.protocol.call import Call
from ticketstub.protocol.media_server import GetIdentity, RawRequest
from ticketstub.refusals import BadRequest, RateLimited, ServerError, Unauthorized

REQUESTS = {
    "token details": (GetTokenDetails(), "GET", f"{HERE}/api/v2/user", WITH_TOKEN, b""),
    "sign-in": (
        SIGN_IN,
        "POST",
        f"{HERE}/api/v2/users/signin",
        IDENTITY | {"Content-Type": "application/x-www-form-urlencoded"},
        b"login=mira_quill&password=hunter2&rememberMe=false",
    ),
    "transient token": (TRANSIENT, "POST", f"{ATTIC}/security/token?type=delegation&scope=all", WITH_TOKEN, b""),
    "identity": (GetIdentity(), "GET", f"{ATTIC}/identity", IDENTITY, b""),
    "raw": (RawRequest(path="/library?x=1"), "GET", f"{ATTIC}/library?x=1", WITH_TOKEN, b""),
}


@pytest.mark.parametrize(("call", "method", "url", "headers", "body"), REQUESTS.values(), ids=REQUESTS)
def test_request(call: Call[Any], method: str, url: str, headers: dict[str, str], body: bytes) -> None:
    """The first step sends exactly this request: the device always, the token only if the call needs one."""
    flow = send_call(call, make_context(base()))
    step = next(flow)
    assert isinstance(step, Send)
    request = step.request
    assert (method, url, headers, body) == (request.method, request.url, request.headers, request.body)
    assert (1015.0, 5.0) == (step.deadline, step.connect_timeout)
    flow.close()


def test_answer() -> None:
    """The flow returns the call's value and the response that it was read from."""
    assert True is Stepper([PONG]).run(Ping(), base())


UNREACHABLE = Unreachable("no")
UNSENT = Unreachable("no", sent=False)

RETRIED = {
    "unreachable": (Ping(), [UNREACHABLE, UNREACHABLE, PONG], [0.5, 1.0]),
    "503": (Ping(), [refusal(503), PONG], [0.5]),
    "429": (Ping(), [refusal(429), PONG], [0.5]),
    "429 with a wait": (Ping(), [refusal(429, {"retry-after": "7"}), PONG], [7.0]),
    "503 with a wait": (Ping(), [refusal(503, {"retry-after": "3"}), PONG], [3.0]),
    "wait of nothing": (Ping(), [refusal(429, {"retry-after": "0"}), PONG], [0.0]),
    "HEAD": (RawRequest(path="/", method="HEAD"), [UNREACHABLE, Response(200, {}, b"")], [0.5]),
    "sign-in that never left": (SIGN_IN, [UNSENT, UNSENT, Response(201, {}, b'{"authToken":"x"}')], [0.5, 1.0]),
    "transient token that never left": (
        TRANSIENT,
        [UNSENT, Response(200, {}, b'{"MediaContainer":{"token":"transient-x"}}')],
        [0.5],
    ),
}


@every(("call", "answers", "slept"), RETRIED)
def test_c10_tried_again(call: Call[Any], answers: list[object], slept: list[float]) -> None:
    """A call that does no harm twice is retried, after the backoff or Plex's Retry-After."""
    stepper = Stepper(answers)
    stepper.run(call, base())
    assert (len(answers), slept) == (len(stepper.sent), stepper.slept)


FINAL = {
    "sign-in that may have arrived": (SIGN_IN, UNREACHABLE, Unreachable),
    "sign-in that took too long": (SIGN_IN, TimedOut("no"), TimedOut),
    "sign-in, 503": (SIGN_IN, refusal(503), ServerError),
    "sign-in, 429": (SIGN_IN, refusal(429, {"retry-after": "1"}), RateLimited),
    "sign-in, 401": (SIGN_IN, refusal(401), Unauthorized),
    "transient token that may have arrived": (TRANSIENT, UNREACHABLE, Unreachable),
    "transient token, 503": (TRANSIENT, refusal(503), ServerError),
    "raw POST": (RawRequest(path="/", method="POST"), UNREACHABLE, Unreachable),
    "raw DELETE": (RawRequest(path="/", method="DELETE"), refusal(503), ServerError),
    "401": (Ping(), refusal(401), Unauthorized),
    "400": (Ping(), refusal(400), BadRequest),
    "501": (Ping(), refusal(501), ServerError),
    "outage": (Ping(), Response(404, {}, b""), ServerError),
    "malformed": (Ping(), Response(200, {}, b"<html>"), MalformedReply),
    "304": (Ping(), refusal(304), MalformedReply),
    "204": (Ping(), Response(204, {}, b""), MalformedReply),
    "wait beyond the time": (Ping(), refusal(429, {"retry-after": "15"}), RateLimited),
}


@every(("call", "answer", "kind"), FINAL)
def test_c10_not_tried_again(call: Call[Any], answer: object, kind: type[PlexError]) -> None:
    """Not retried: a POST that may have arrived, a refusal that will not change, a wait beyond the call's time."""
    many = with_retry(Retry(attempts=9, statuses=frozenset({429, 503})))
    stepper = Stepper([answer])
    failed(stepper, call, many, kind)
    assert (1, []) == (len(stepper.sent), stepper.slept)


def with_retry(retry: Retry) -> CallSettings:
    return merge_options(base(), {"retry": retry})


def test_c10_wait_beyond_the_time_says_how_long() -> None:
    """If Retry-After exceeds the remaining time, the error says how long it is, and the call does not sleep."""
    error = failed(Stepper([refusal(429, {"retry-after": "3600"})]), Ping(), base(), RateLimited)
    assert 3600.0 == error.retry_after


def test_c10_attempts_are_counted() -> None:
    """After the last attempt the last failure is raised; with one attempt there is no second."""
    stepper = Stepper([refusal(503), UNREACHABLE, refusal(503)])
    failed(stepper, Ping(), base(), ServerError)
    assert 3 == len(stepper.sent)
    failed(Stepper([UNREACHABLE]), Ping(), with_retry(Retry(attempts=1)), Unreachable)


def test_retry_after_may_be_ignored() -> None:
    """With respect_retry_after=False only the backoff counts, doubled each time."""
    retry = Retry(attempts=4, backoff=0.1, respect_retry_after=False)
    stepper = Stepper([refusal(429, {"retry-after": "9"})] * 3 + [PONG])
    stepper.run(Ping(), with_retry(retry))
    assert pytest.approx([0.1, 0.2, 0.4]) == stepper.slept


def test_never_sleeps_past_the_deadline() -> None:
    """Tries and waits together end before the call's time; the last failure is raised instead of sleeping."""
    stepper = Stepper([])
    stepper.answers = [lambda _step: _slow(stepper, 5.0)] * 3
    with pytest.raises(ServerError):
        stepper.run(Ping(), with_retry(Retry(attempts=9, backoff=0.4)))
    assert 1015.0 >= stepper.clock.now
    assert {1015.0} == {step.deadline for step in stepper.steps if isinstance(step, Send)}


def _slow(stepper: Stepper, seconds: float) -> Response:
    stepper.clock.now += seconds - stepper.slept[-1] if stepper.slept else seconds
    return refusal(503)


def test_deadline_over_several_calls() -> None:
    """A deadline is a point in time for several calls; the earlier of deadline and timeout counts."""
    clock = FakeClock()
    settings = merge_options(base(), {"deadline": 1010.0})
    first, second = Stepper([PONG], clock), Stepper([PONG], clock)
    first.run(Ping(), settings)
    clock.now = 1008.0
    second.run(Ping(), settings)
    assert [1010.0, 1010.0] == [first.steps[0].deadline, second.steps[0].deadline]
    third = Stepper([PONG], FakeClock())
    third.run(Ping(), merge_options(settings, {"timeout": 2.0}))
    assert 1002.0 == third.steps[0].deadline


def test_deadline_that_has_passed() -> None:
    """Once the deadline has passed, no second try is made."""
    stepper = Stepper([TimedOut("no", sent=False)])
    failed(stepper, Ping(), merge_options(base(), {"deadline": 999.0}), TimedOut)
    assert (1, []) == (len(stepper.sent), stepper.slept)


def test_hooks() -> None:
    """Hooks receive each request, each response with its seconds, and each retried failure with its wait."""
    seen: list[tuple[Any, ...]] = []
    settings = CallSettings(
        plex_tv=HERE,
        on_request=lambda request: seen.append(("request", request.call)),
        on_response=lambda request, response, seconds: seen.append(("response", request.url, response.status, seconds)),
        on_retry=lambda error, wait: seen.append(("retry", type(error), wait)),
    )
    Stepper([UNREACHABLE, moved("/x"), PONG]).run(Ping(), with_token(settings, TOKEN))
    assert [
        ("request", "ping"),
        ("retry", Unreachable, 0.5),
        ("request", "ping"),
        ("response", f"{HERE}/api/v2/ping", 302, 0.0),
        ("request", "ping"),
        ("response", f"{HERE}/x", 200, 0.0),
    ] == seen


def test_unpacks() -> None:
    """A compressed response is decompressed; a coding without a body, as for HEAD, is no error."""
    packed = {"content-encoding": " GZIP "}
    assert True is Stepper([Response(200, packed, gzip.compress(PONG.body))]).run(Ping(), base())
    answer = Stepper([Response(200, packed, b"")]).run(RawRequest(path="/", method="HEAD"), base())
    assert (200, b"") == (answer.status, answer.body)


def test_broken_packing() -> None:
    """A response that cannot be decompressed is malformed, even if it was a refusal."""
    for status in (200, 401):
        failed(Stepper([Response(status, {"content-encoding": "gzip"}, b"no")]), Ping(), base(), MalformedReply)


def test_an_answer_that_was_cut_off_is_asked_for_again() -> None:
    """A read is retried after a cut-off response; a sign-in is not, nor is a complete but unreadable response."""
    cut, garbage = MalformedReply("cut", truncated=True), MalformedReply("garbage")
    assert True is Stepper([cut, cut, PONG]).run(Ping(), base())
    failed(Stepper([cut]), SIGN_IN, base(), MalformedReply)
    failed(Stepper([garbage]), Ping(), base(), MalformedReply)


def test_tokens_learn_their_origin() -> None:
    """The token in a reply has its issuer as origin."""
    account = Stepper([Response(201, {}, b'{"authToken":"Xk3mPz_9Q-vT7rLb2NfW"}')]).run(SIGN_IN, base())
    assert HERE == account.auth_token.origin
    body = b'{"MediaContainer":{"token":"transient-x"}}'
    transient = Stepper([Response(200, {}, body)]).run(TRANSIENT, base())
    assert ATTIC == transient.token.origin


class Transport:
    """A transport that fails in its own way."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        raise self.failure

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ValueError("x"), Unreachable("x")], ids=repr)
def test_driver_closes_the_flow(failure: BaseException) -> None:
    """Whatever ends a flow, Ctrl-C included, its generator is closed and the error is raised."""
    flow: Any = send_call(Ping(), make_context(with_retry(Retry(attempts=1))))
    with pytest.raises(type(failure)) as caught:
        driver.run(flow, Transport(failure), BackgroundJobs())
    assert failure is caught.value
    assert None is flow.gi_frame


def test_async_driver_closes_the_flow() -> None:
    """The async driver closes the generator too, when its task is cancelled."""

    class Hanging:
        async def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
            raise asyncio.CancelledError

        async def sleep(self, seconds: float) -> None:
            raise AssertionError("nobody sleeps here")

        async def close(self) -> None:
            pass

    flow: Any = send_call(Ping(), make_context(base()))

    async def cancelled() -> None:
        with pytest.raises(asyncio.CancelledError):
            await driver.arun(flow, Hanging(), BackgroundJobs())

    asyncio.run(cancelled())
    assert None is flow.gi_frame


def test_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """One DEBUG line a request: the call's name, the status or the error's class, the milliseconds, nothing else."""
    with caplog.at_level("DEBUG", "ticketstub"):
        Stepper([UNREACHABLE, PONG]).run(Ping(), base())
    assert ["ping: Unreachable after 0 ms", "ping: 200 after 0 ms"] == [r.getMessage() for r in caplog.records]
