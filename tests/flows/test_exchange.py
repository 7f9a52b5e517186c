"""One call from end to end, stepped by hand: a list of (expected step, answer), a clock of ours, no client."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ticketstub import adriver, driver
from ticketstub.device import Device
from ticketstub.errors import (
    CredentialsError,
    CrossOriginRedirect,
    MalformedReply,
    PlexError,
    RedirectRefused,
    TimedOut,
    Unreachable,
)
from ticketstub.flows.exchange import exchange
from ticketstub.flows.steps import Ask, Send, Sleep, Step
from ticketstub.options import Hooks, Retry, Settings, derived, placed, with_token
from ticketstub.refusals import BadRequest, Forbidden, RateLimited, ServerError, Unauthorized
from ticketstub.token import Token
from ticketstub.wire.accounts import GetTokenDetails, Ping, PostUsersSignInData
from ticketstub.wire.call import Call
from ticketstub.wire.http import Request, Response
from ticketstub.wire.media_server import GetIdentity, RawRequest
from ticketstub.wire.security import GetTransientToken, TransientTokenScope, TransientTokenType

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
SIGN_IN = PostUsersSignInData.of("mira_quill", "hunter2")
TRANSIENT = GetTransientToken(type=TransientTokenType.DELEGATION, scope=TransientTokenScope.ALL)


def base() -> Settings:
    return with_token(Settings(plex_tv=HERE, server=ATTIC), TOKEN)


def refusal(status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(status, headers or {}, b"{}")


def moved(location: str | None, status: int = 302) -> Response:
    return Response(status, {} if location is None else {"location": location}, b"")


class Clock:
    """A clock that stands still but for what a test adds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stepper:
    """Steps a flow by hand: answers each of its steps with the next answer, and remembers the steps.

    An answer that is an error is thrown in; one that is callable is called with the step. Sleeping moves the clock.
    """

    answers: Sequence[object]
    clock: Clock = field(default_factory=Clock)
    steps: list[Any] = field(default_factory=list)

    def run(self, call: Call[Any], settings: Settings) -> Any:
        flow = exchange(call, settings, DEVICE, self.clock)
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


def failed(stepper: Stepper, call: Call[Any], settings: Settings, kind: type[PlexError]) -> Any:
    """Run, and expect exactly this error."""
    with pytest.raises(PlexError) as caught:
        stepper.run(call, settings)
    assert kind is type(caught.value)
    return caught.value


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
    "raw": (RawRequest(at="/library?x=1"), "GET", f"{ATTIC}/library?x=1", WITH_TOKEN, b""),
}


@pytest.mark.parametrize(("call", "method", "url", "headers", "body"), REQUESTS.values(), ids=REQUESTS)
def test_request(call: Call[Any], method: str, url: str, headers: dict[str, str], body: bytes) -> None:
    """The first step sends exactly this request; the token only where the call needs one, the identity always."""
    flow = exchange(call, base(), DEVICE, Clock())
    step = next(flow)
    assert isinstance(step, Send)
    request = step.request
    assert (method, url, headers, body) == (request.method, request.url, request.headers, request.body)
    assert (1015.0, 5.0) == (step.deadline, step.connect_timeout)
    flow.close()


def test_answer() -> None:
    """A call's value and the response it came from are what the flow returns."""
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
    "HEAD": (RawRequest(at="/", verb="HEAD"), [UNREACHABLE, Response(200, {}, b"")], [0.5]),
    "sign-in that never left": (SIGN_IN, [UNSENT, UNSENT, Response(201, {}, b'{"authToken":"x"}')], [0.5, 1.0]),
    "transient token that never left": (
        TRANSIENT,
        [UNSENT, Response(200, {}, b'{"MediaContainer":{"token":"transient-x"}}')],
        [0.5],
    ),
}


@pytest.mark.parametrize(("call", "answers", "slept"), RETRIED.values(), ids=RETRIED)
def test_tried_again(call: Call[Any], answers: list[object], slept: list[float]) -> None:
    """What does no harm twice is tried again, after the backoff or the time that Plex asks for."""
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
    "raw POST": (RawRequest(at="/", verb="POST"), UNREACHABLE, Unreachable),
    "raw DELETE": (RawRequest(at="/", verb="DELETE"), refusal(503), ServerError),
    "401": (Ping(), refusal(401), Unauthorized),
    "400": (Ping(), refusal(400), BadRequest),
    "501": (Ping(), refusal(501), ServerError),
    "outage": (Ping(), Response(404, {}, b""), ServerError),
    "malformed": (Ping(), Response(200, {}, b"<html>"), MalformedReply),
    "304": (Ping(), refusal(304), MalformedReply),
    "204": (Ping(), Response(204, {}, b""), MalformedReply),
    "wait beyond the time": (Ping(), refusal(429, {"retry-after": "15"}), RateLimited),
}


@pytest.mark.parametrize(("call", "answer", "kind"), FINAL.values(), ids=FINAL)
def test_not_tried_again(call: Call[Any], answer: object, kind: type[PlexError]) -> None:
    """A POST that may have arrived, a refusal that will not change, and a wait beyond the call's time end it."""
    many = with_retry(Retry(attempts=9, statuses=frozenset({429, 503})))
    stepper = Stepper([answer])
    failed(stepper, call, many, kind)
    assert (1, []) == (len(stepper.sent), stepper.slept)


def with_retry(retry: Retry) -> Settings:
    return derived(base(), {"retry": retry})


def test_wait_beyond_the_time_says_how_long() -> None:
    """Where Plex asks for more time than there is, the error says how much, and nobody sleeps."""
    error = failed(Stepper([refusal(429, {"retry-after": "3600"})]), Ping(), base(), RateLimited)
    assert 3600.0 == error.retry_after


def test_attempts_are_counted() -> None:
    """After the last attempt the last failure is raised; with one attempt there is no second."""
    stepper = Stepper([refusal(503), UNREACHABLE, refusal(503)])
    failed(stepper, Ping(), base(), ServerError)
    assert 3 == len(stepper.sent)
    failed(Stepper([UNREACHABLE]), Ping(), with_retry(Retry(attempts=1)), Unreachable)


def test_retry_after_may_be_ignored() -> None:
    """With respect_retry_after=False the backoff counts alone, doubled each time."""
    retry = Retry(attempts=4, backoff=0.1, respect_retry_after=False)
    stepper = Stepper([refusal(429, {"retry-after": "9"})] * 3 + [PONG])
    stepper.run(Ping(), with_retry(retry))
    assert pytest.approx([0.1, 0.2, 0.4]) == stepper.slept


def test_never_sleeps_past_the_deadline() -> None:
    """Tries and waits together end before the call's time does; the last failure is raised instead of a sleep."""
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
    """A deadline is a point in time for several calls together; the earlier of it and the timeout counts."""
    clock = Clock()
    settings = derived(base(), {"deadline": 1010.0})
    first, second = Stepper([PONG], clock), Stepper([PONG], clock)
    first.run(Ping(), settings)
    clock.now = 1008.0
    second.run(Ping(), settings)
    assert [1010.0, 1010.0] == [first.steps[0].deadline, second.steps[0].deadline]
    third = Stepper([PONG], Clock())
    third.run(Ping(), derived(settings, {"timeout": 2.0}))
    assert 1002.0 == third.steps[0].deadline


def test_deadline_that_has_passed() -> None:
    """Once the deadline has passed, no second try is made."""
    stepper = Stepper([TimedOut("no", sent=False)])
    failed(stepper, Ping(), derived(base(), {"deadline": 999.0}), TimedOut)
    assert (1, []) == (len(stepper.sent), stepper.slept)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_within_the_origin(status: int) -> None:
    """A GET is followed within its origin, relative or absolute, with the same headers."""
    for location, expected in {
        "/other?x=1": f"{HERE}/other?x=1",
        "other": f"{HERE}/api/v2/other",
        f"{HERE}/x": f"{HERE}/x",
        "HTTP://127.0.0.1:8190/y#top": f"{HERE}/y",
        "//127.0.0.1:8190/z": f"{HERE}/z",
        "?again": f"{HERE}/api/v2/ping?again",
    }.items():
        stepper = Stepper([moved(location, status), PONG])
        assert True is stepper.run(Ping(), base())
        assert ("GET", expected, WITH_TOKEN) == (
            stepper.sent[1].method,
            stepper.sent[1].url,
            stepper.sent[1].headers,
        )


def test_three_redirects_and_no_more() -> None:
    """Three redirects in a row are followed; the fourth is refused, and so is a loop."""
    stepper = Stepper([*[moved(f"/{hop}") for hop in range(3)], PONG])
    assert True is stepper.run(Ping(), base())
    loop = Stepper([moved("/api/v2/ping")] * 4)
    failed(loop, Ping(), base(), RedirectRefused)
    assert 4 == len(loop.sent)


ELSEWHERE = [
    "http://127.0.0.1:8191/",
    "https://127.0.0.1:8190/",
    "http://localhost:8190/",
    "http://127.0.0.1.:8190/",
    "//evil.example/",
    "http://127.0.0.1/",
    "https://plex.tv/",
    "http://[::1]:8190/",
    "http://2130706433:8190/",
]
NOWHERE = [
    None,
    "",
    "#top",
    "http://user@127.0.0.1:8190/",
    "http://127.0.0.1:8190@evil.example/",
    "http://:@127.0.0.1:8190/",
    "https:evil.example",
    "javascript:alert(1)",
    "ftp://127.0.0.1/",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:x/",
    "/with space",
    "/tab\there",
    "/ümlaut",
    "http://127.0.0.1:8190\t.evil.example/",
    "http://\u2102.example/",
    "/\x7f",
]


@pytest.mark.parametrize("location", ELSEWHERE)
@pytest.mark.parametrize("call", [Ping(), SIGN_IN], ids=["GET", "POST"])
def test_redirect_to_another_origin(call: Call[Any], location: str) -> None:
    """A redirect to another scheme, host or port is refused, whatever the method; nothing more is sent."""
    stepper = Stepper([moved(location)])
    error = failed(stepper, call, base(), CrossOriginRedirect)
    assert (1, 302) == (len(stepper.sent), error.status)
    assert "evil" not in str(error)


@pytest.mark.parametrize("location", ["http://plex.example/", "http://plex.example:443/", "//plex.example:80/"])
def test_redirect_from_https_to_http(location: str) -> None:
    """A redirect that would leave https, or its port, is refused."""
    settings = with_token(Settings(plex_tv="https://plex.example"), TOKEN)
    stepper = Stepper([moved(location)])
    failed(stepper, Ping(), settings, CrossOriginRedirect)
    assert 1 == len(stepper.sent)


@pytest.mark.parametrize("location", NOWHERE)
def test_redirect_to_no_address(location: str | None) -> None:
    """A redirect without a location, or to what is no plain address, is refused at once, without repeating it."""
    stepper = Stepper([moved(location)])
    error = failed(stepper, Ping(), base(), RedirectRefused)
    assert (1, "the answer redirects to no address") == (len(stepper.sent), error.message)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "call", [SIGN_IN, TRANSIENT, RawRequest(at="/", verb="DELETE")], ids=["form", "POST", "DELETE"]
)
def test_redirect_of_what_is_no_get(call: Call[Any], status: int) -> None:
    """What is neither GET nor HEAD is never sent twice, not even within its origin."""
    stepper = Stepper([moved("/other", status)])
    failed(stepper, call, base(), RedirectRefused)
    assert 1 == len(stepper.sent)


class Source:
    """A token source that hands out these, and notes what it is told."""

    def __init__(self, *tokens: str | Token | None) -> None:
        self.tokens = list(tokens)
        self.told: list[Token] = []

    def __call__(self) -> str | Token | None:
        return self.tokens.pop(0)

    def refused(self, token: Token) -> None:
        self.told.append(token)


def asked(step: Any) -> object:
    """Answer an `Ask` as a driver does."""
    assert type(step) is Ask
    if step.refused is not None:
        told: Any = step.source
        told.refused(step.refused)
    return step.source()


def sourced(source: Source) -> Settings:
    return with_token(Settings(plex_tv=HERE, server=ATTIC), source)


def test_source_is_asked_for_each_request() -> None:
    """A callable is asked before each try, and its text becomes the token."""
    source = Source("token-of-the-first-x", "token-of-the-second-")
    stepper = Stepper([asked, refusal(503), asked, PONG])
    stepper.run(Ping(), sourced(source))
    assert ["token-of-the-first-x", "token-of-the-second-"] == [sent.headers["X-Plex-Token"] for sent in stepper.sent]
    assert [] == source.told


def test_source_is_told_and_asked_once_more() -> None:
    """A refused token is told to its source, and a new one is tried once, without a wait."""
    source = Source("old", "new")
    stepper = Stepper([asked, refusal(401), asked, PONG])
    assert True is stepper.run(Ping(), sourced(source))
    assert [Token("old")] == source.told
    assert (["old", "new"], []) == ([sent.headers["X-Plex-Token"] for sent in stepper.sent], stepper.slept)


@pytest.mark.parametrize("second", ["old", None], ids=["the same", "none"])
def test_source_without_a_new_token(second: str | None) -> None:
    """Where the source has no other token, the refusal is raised and nothing more is sent."""
    source = Source("old", second)
    stepper = Stepper([asked, refusal(401), asked])
    failed(stepper, Ping(), sourced(source), Unauthorized)
    assert ([Token("old")], 1) == (source.told, len(stepper.sent))


def test_source_whose_new_token_is_refused_too() -> None:
    """A second refusal is the last."""
    stepper = Stepper([asked, refusal(401), asked, refusal(401)])
    failed(stepper, Ping(), sourced(Source("old", "new")), Unauthorized)
    assert 2 == len(stepper.sent)


def test_post_is_not_repeated_with_a_new_token() -> None:
    """A POST whose token was refused tells the source and is not sent again."""
    source = Source("old", "new")
    stepper = Stepper([asked, refusal(401), asked])
    failed(stepper, TRANSIENT, sourced(source), Unauthorized)
    assert ([Token("old")], 1) == (source.told, len(stepper.sent))


def test_forbidden_is_no_refused_token() -> None:
    """A 403 says nothing about the token: the source is not told."""
    source = Source("old")
    failed(Stepper([asked, refusal(403)]), Ping(), sourced(source), Forbidden)
    assert [] == source.told


def test_source_is_not_asked_where_no_token_goes() -> None:
    """A call that needs no token asks nobody for one."""
    stepper = Stepper([Response(200, {}, b'{"MediaContainer":{"machineIdentifier":"x"}}')])
    stepper.run(GetIdentity(), sourced(Source()))
    assert 1 == len(stepper.steps)


def test_source_without_token() -> None:
    """A source that has none is as no token: plex.tv is not asked, a media server may admit its own network."""
    stepper = Stepper([asked])
    failed(stepper, Ping(), sourced(Source(None)), CredentialsError)
    assert [] == stepper.sent
    open_one = Stepper([asked, Response(200, {}, b"x")])
    open_one.run(RawRequest(at="/"), sourced(Source(None)))
    assert "X-Plex-Token" not in open_one.sent[0].headers


@pytest.mark.parametrize(("given", "kind"), [(5, TypeError), ("mira@example.test", ValueError), ("a\r\nb", ValueError)])
def test_source_of_something_else(given: object, kind: type[Exception]) -> None:
    """What is no token from a source is the program's mistake, and nothing is sent."""
    stepper = Stepper([lambda _step: given])
    with pytest.raises(kind):
        stepper.run(Ping(), sourced(Source()))
    assert [] == stepper.sent


def test_hooks() -> None:
    """Hooks see each request, each response with its seconds, each failure that is tried again with the wait."""
    seen: list[tuple[Any, ...]] = []
    hooks = Hooks(
        on_request=lambda request: seen.append(("request", request.call)),
        on_response=lambda request, response, seconds: seen.append(("response", request.url, response.status, seconds)),
        on_retry=lambda error, wait: seen.append(("retry", type(error), wait)),
    )
    settings = with_token(Settings(plex_tv=HERE, hooks=hooks), TOKEN)
    Stepper([UNREACHABLE, moved("/x"), PONG]).run(Ping(), settings)
    assert [
        ("request", "ping"),
        ("retry", Unreachable, 0.5),
        ("request", "ping"),
        ("response", f"{HERE}/api/v2/ping", 302, 0.0),
        ("request", "ping"),
        ("response", f"{HERE}/x", 200, 0.0),
    ] == seen


def test_unpacks() -> None:
    """A compressed answer is unpacked; a coding of a body that is not there, as HEAD has it, is no fault."""
    packed = {"content-encoding": " GZIP "}
    assert True is Stepper([Response(200, packed, gzip.compress(PONG.body))]).run(Ping(), base())
    answer = Stepper([Response(200, packed, b"")]).run(RawRequest(at="/", verb="HEAD"), base())
    assert (200, b"") == (answer.status, answer.body)


def test_broken_packing() -> None:
    """What cannot be unpacked is a malformed reply, also where it was a refusal."""
    for status in (200, 401):
        failed(Stepper([Response(status, {"content-encoding": "gzip"}, b"no")]), Ping(), base(), MalformedReply)


def test_tokens_learn_their_origin() -> None:
    """The token in a reply knows who issued it."""
    account = Stepper([Response(201, {}, b'{"authToken":"Xk3mPz_9Q-vT7rLb2NfW"}')]).run(SIGN_IN, base())
    assert HERE == account.auth_token.origin
    body = b'{"MediaContainer":{"token":"transient-x"}}'
    transient = Stepper([Response(200, {}, body)]).run(TRANSIENT, base())
    assert ATTIC == transient.token.origin


UNSENDABLE = {
    "no token at all": (Ping(), Settings(plex_tv=HERE)),
    "a transient token for plex.tv": (Ping(), with_token(Settings(plex_tv=HERE), "transient-5b7e1c90")),
    "a token of another origin": (Ping(), with_token(Settings(plex_tv=HERE), Token("x", origin="https://plex.tv"))),
    "an address without its token": (Ping(), derived(base(), {"base_url": "http://127.0.0.1:9"})),
    "an account's token for a media server": (
        TRANSIENT,
        with_token(Settings(plex_tv=HERE, server=ATTIC), Token("x", origin=HERE)),
    ),
}


@pytest.mark.parametrize(("call", "settings"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_token_that_does_not_belong(call: Call[Any], settings: Settings) -> None:
    """A token that does not belong where the call goes is an error, and nothing is sent."""
    stepper = Stepper([])
    failed(stepper, call, settings, CredentialsError)
    assert [] == stepper.sent


def test_call_without_its_address() -> None:
    """A call whose address was not named is the program's mistake."""
    for call, settings in ((TRANSIENT, Settings(plex_tv=HERE)), (Ping(), placed(base(), ATTIC, TOKEN))):
        with pytest.raises(ValueError, match="this call goes to"):
            Stepper([]).run(call, settings)


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
    """Whatever ends a flow, Ctrl-C too, its generator is closed and the failure comes out."""
    flow: Any = exchange(Ping(), with_retry(Retry(attempts=1)), DEVICE, Clock())
    with pytest.raises(type(failure)) as caught:
        driver.run(flow, Transport(failure))
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

    flow: Any = exchange(Ping(), base(), DEVICE, Clock())

    async def cancelled() -> None:
        with pytest.raises(asyncio.CancelledError):
            await adriver.run(flow, Hanging())

    asyncio.run(cancelled())
    assert None is flow.gi_frame


def test_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """One DEBUG line a request: the call's name, the status or the error's kind, the milliseconds; nothing else."""
    with caplog.at_level("DEBUG", "ticketstub"):
        Stepper([UNREACHABLE, PONG]).run(Ping(), base())
    assert ["ping: Unreachable after 0 ms", "ping: 200 after 0 ms"] == [r.getMessage() for r in caplog.records]
