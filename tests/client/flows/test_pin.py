"""Signing in with a PIN, stepped by hand: how it begins, what ends the wait, and what does not."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import pytest

from tests.client.flows.stepping import DEVICE, HERE
from tests.client.flows.walking import NOW, OPAQUE, RESET, SLOW, Walker, error, ok
from tests.tables import every
from ticketstub.client.config import CallSettings
from ticketstub.client.flows.pin import create_pin, poll_once, wait_for_approval
from ticketstub.client.sign_ins import PendingPin, PendingState
from ticketstub.device import Device
from ticketstub.errors import Denied, GaveUp, MalformedReply, PinExpired, RedirectRefused
from ticketstub.refusals import BadRequest, Forbidden, RateLimited

MADE = ok(
    '{"id":1402233445,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","product":"Demo App","trusted":false,'
    '"clientIdentifier":"demo-client-7c1f","expiresIn":1800,"createdAt":"2026-11-03T09:15:00Z",'
    '"expiresAt":"2026-11-03T09:45:00Z","authToken":null,"newRegistration":null}',
    201,
    date="Tue, 03 Nov 2026 09:15:00 GMT",
)
PENDING = ok('{"id":1402233445,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","authToken":null}')
LINKED = ok(f'{{"id":1402233445,"code":"k3v9x0q7r2m5t8w1y4z6a0b3c","authToken":"{OPAQUE}","newRegistration":false}}')
GONE = ok('{"errors":[{"code":1020,"message":"Code not found or expired"}]}', 404)
PIN = PendingPin(
    plex_tv=HERE, device=DEVICE, pin_id=1402233445, code="k3v9x0q7r2m5t8w1y4z6a0b3c", strong=True, expires_at=NOW + 1800
)


def waiting(
    *answers: object, pin: PendingPin = PIN, max_wait: float | None = None, **walker: Any
) -> tuple[Walker, Any]:
    return Walker(answers, **walker), partial(wait_for_approval, pin, None, max_wait=max_wait)


def test_a_strong_pin_is_asked_for_without_any_token() -> None:
    """A PIN for the browser is strong and created by this device, without a token."""
    walker = Walker([MADE]).with_token()
    pin = walker.run(partial(create_pin, strong=True))
    (sent,) = walker.sent
    assert ("POST", f"{HERE}/api/v2/pins", b"strong=true") == (sent.method, sent.url, sent.body)
    assert "demo-client-7c1f" == sent.headers["X-Plex-Client-Identifier"]
    assert "X-Plex-Token" not in sent.headers
    assert (1402233445, "k3v9x0q7r2m5t8w1y4z6a0b3c", True) == (pin.pin_id, pin.code, pin.strong)


def test_the_end_is_by_plexs_clock() -> None:
    """A PIN's expiry is the response's Date plus `expiresIn`, even if this computer's clock is hours off."""
    pin = Walker([MADE], wall=NOW - 1000.0 - 7200.0).run(partial(create_pin, strong=True))
    assert (NOW + 1800, 7200) == (pin.expires_at, pin.ahead)


@pytest.mark.parametrize(("strong", "seconds"), [(True, 1800), (False, 900)])
def test_without_times_the_known_ones_count(strong: bool, seconds: int) -> None:
    """Without times from Plex, a strong PIN lasts 1800 s and a typed one 900 s."""
    pin = Walker([ok('{"id":1,"code":"H7QK"}', 201)]).run(partial(create_pin, strong=strong))
    assert NOW + seconds == pin.expires_at


def test_expires_at_is_read_where_seconds_are_missing() -> None:
    """`expiresAt` counts where `expiresIn` is missing."""
    made = ok('{"id":1,"code":"H7QK","expiresAt":"2026-11-03T09:30:00Z"}', 201)
    assert NOW + 900 == Walker([made]).run(partial(create_pin, strong=False)).expires_at


def test_a_pin_without_id_is_no_pin() -> None:
    """A PIN without an id cannot be polled."""
    Walker([ok('{"code":"H7QK"}', 201)]).fails(partial(create_pin, strong=False), MalformedReply)


@pytest.mark.parametrize("url", ["myapp://done", "javascript:alert(1)", "/done", "ftp://x.example/"])
def test_only_http_is_forwarded_to(url: str) -> None:
    """A forward URL that Plex would not honour is an error before anything is sent."""
    with pytest.raises(ValueError, match="http"):
        Walker().run(partial(create_pin, strong=True, forward_url=url))


AUTH_URL = (
    "https://app.plex.tv/auth#?clientID=demo-client-7c1f&code=k3v9x0q7r2m5t8w1y4z6a0b3c"
    "&context%5Bdevice%5D%5Bproduct%5D=Demo%20App"
    "&forwardUrl=https%3A%2F%2Fapp.example.test%2Fdone%3Fpin%3D1402233445"
)


def begun(**changes: Any) -> PendingState:
    given: dict[str, Any] = {
        "plex_tv": "https://plex.tv",
        "device": DEVICE,
        "pin_id": 1,
        "code": "k3v9x0q7r2m5t8w1y4z6a0b3c",
    }
    return PendingState(PendingPin(**(given | {"strong": True, "expires_at": NOW} | changes)))


def test_auth_app_address() -> None:
    """The Auth App's URL is the documented one, percent-encoded in the fragment."""
    assert AUTH_URL == begun(forward_url="https://app.example.test/done?pin=1402233445").url


def test_a_local_plex_has_its_own_auth_app() -> None:
    """A local Plex's pages are at its own address, and special characters in the product are encoded."""
    device = Device(client_identifier="a&b=c#d", product="Küche/1+1")
    assert (
        f"{HERE}/auth#?clientID=a%26b%3Dc%23d&code=k3v9x0q7r2m5t8w1y4z6a0b3c"
        "&context%5Bdevice%5D%5Bproduct%5D=K%C3%BCche%2F1%2B1"
    ) == begun(plex_tv=HERE, device=device).url


@pytest.mark.parametrize("plex_tv", ["https://plex.tv", "https://clients.plex.tv"])
def test_link_page(plex_tv: str) -> None:
    """A code is typed on plex.tv/link, and the URL to open has it filled in."""
    typed = begun(plex_tv=plex_tv, code="H7QK", strong=False)
    assert ("https://plex.tv/link", "https://plex.tv/link/?pin=H7QK") == (typed.link_page, typed.url)


def test_qr_code_is_text() -> None:
    """The QR code is lines of block characters of one width, and holds no escape sequence."""
    lines = begun(code="H7QK", strong=False).render_qr().splitlines()
    assert len(lines) > 10
    assert {len(lines[0])} == {len(line) for line in lines}
    assert set("".join(lines)) <= set(" █▀▄")


def test_c10_polls_until_linked_a_second_apart() -> None:
    """Until it is approved, the PIN is polled by its own device exactly once a second, without a token."""
    walker, flow = waiting(PENDING, PENDING, LINKED)
    kept = walker.run(flow)
    assert [1.0, 1.0] == walker.slept
    assert {("GET", f"{HERE}/api/v2/pins/1402233445")} == {(sent.method, sent.url) for sent in walker.sent}
    assert {"demo-client-7c1f"} == {sent.headers["X-Plex-Client-Identifier"] for sent in walker.sent}
    assert all("X-Plex-Token" not in sent.headers for sent in walker.sent)
    assert (OPAQUE, HERE) == (kept().reveal(), kept().origin)


def test_another_process_asks_as_the_device_that_began() -> None:
    """A PIN that another client finishes is polled with the client identifier of the one that began it."""
    pin = PendingPin(
        plex_tv=HERE,
        device=Device(client_identifier="began"),
        pin_id=7,
        code="H7QK",
        strong=False,
        expires_at=NOW + 900,
    )
    walker = Walker([LINKED], settings=CallSettings(plex_tv=HERE, client_identifier="finishes"))
    kept = walker.run(partial(wait_for_approval, pin, None))
    assert ["began"] == [sent.headers["X-Plex-Client-Identifier"] for sent in walker.sent]
    assert "began" == kept.credential.client_identifier


@every("trip", [0.01, 0.3, 0.9, 2.5])
@every("approved_after", [0.0, 0.001, 0.5, 0.999, 1.0, 7.42])
def test_from_approval_to_token(trip: float, approved_after: float) -> None:
    """From approval to token it takes at most one poll interval and a round trip, however long a round trip is."""
    walker = Walker()
    approved_at = walker.clock + approved_after

    def answer(_request: object) -> object:
        walker.clock += trip / 2
        linked = walker.clock >= approved_at
        walker.clock += trip / 2
        if not linked:
            walker.left.append(answer)
        return LINKED if linked else PENDING

    walker.left.append(answer)
    walker.run(partial(wait_for_approval, PIN, None))
    assert walker.clock - approved_at <= max(1.0, trip) + trip
    starts = [moment for step, moment in zip(walker.steps, walker.moments, strict=True) if hasattr(step, "request")]
    assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in itertools.pairwise(starts))


OUTAGES = {
    "429": error(429, 1003),
    "500": ok(b"<html>oops</html>", 500),
    "502": ok(b"", 502),
    "503": ok(b"still starting up", 503),
    "empty 404": ok(b"", 404),
    "404 page": ok(b"<html><h1>404 Not Found</h1></html>", 404),
    "408": ok(b"", 408),
    "reset": RESET,
    "time-out": SLOW,
    "garbage": MalformedReply("no HTTP"),
    "a page in place of the answer": ok(b"<html>Sign in to this network</html>"),
    "redirect to a portal": ok(b"", 302, location="https://portal.example/login"),
    "redirect to nowhere": RedirectRefused("nowhere"),
}


@every("outage", OUTAGES)
def test_an_outage_does_not_end_a_sign_in(outage: object) -> None:
    """Whatever an outage looks like, polling continues and gets the token."""
    walker, flow = waiting(PENDING, outage, outage, outage, LINKED)
    assert OPAQUE == walker.run(flow)().reveal()


def test_waits_grow_after_failures_and_chance_spreads_them() -> None:
    """Waits grow after failures in a row, with random spread; after a success they are a second again."""
    outages = [OUTAGES["502"]] * 6
    walker, flow = waiting(*outages, PENDING, OUTAGES["502"], LINKED, random=0.25)
    walker.run(flow)
    assert [1.25, 2.25, 4.25, 8.25, 15.25, 15.25, 1.0, 1.25] == walker.slept


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7.25), ("0", 1.25), ("86400", 59.25)])
def test_c10_retry_after_is_honoured_up_to_a_minute(asked: str, seconds: float) -> None:
    """Retry-After is honoured between 1 and 60 seconds."""
    walker, flow = waiting(error(429, 1003, retry_after=asked), LINKED, random=0.25)
    walker.run(flow)
    assert [seconds] == walker.slept


def test_denied() -> None:
    """404 with 1020 well before the PIN's expiry means that it was denied or deleted."""
    walker, flow = waiting(PENDING, GONE)
    walker.fails(flow, Denied)


def test_expired_when_plex_says_so() -> None:
    """404 with 1020 at the PIN's expiry means that it expired, even if this computer's clock is hours off."""
    late = ok(GONE.body, 404, date="Tue, 03 Nov 2026 09:44:59 GMT")
    walker, flow = waiting(PENDING, late, wall=NOW - 1000.0 - 7200.0)
    walker.fails(flow, PinExpired)


def test_a_wrong_clock_makes_no_expiry() -> None:
    """A computer clock that is hours ahead does not end polling, and 1020 is a denial."""
    early = ok(GONE.body, 404, date="Tue, 03 Nov 2026 09:16:00 GMT")
    pin = PendingPin(plex_tv=HERE, device=DEVICE, pin_id=1, code="x", strong=True, expires_at=NOW + 1800, ahead=-7200.0)
    walker, flow = waiting(PENDING, early, pin=pin, wall=NOW - 1000.0 + 7200.0)
    walker.fails(flow, Denied)


def test_expires_in_that_counts_down_moves_the_end() -> None:
    """The latest `expiresIn` counts: 1020 after that is an expiry."""
    soon = ok('{"id":1402233445,"code":"x","expiresIn":1,"authToken":null}')
    walker, flow = waiting(soon, GONE)
    walker.fails(flow, PinExpired)


@pytest.mark.parametrize("last", [PENDING, OUTAGES["502"], RESET], ids=["pending", "502", "reset"])
def test_c10_the_wait_ends_with_the_pin(last: object) -> None:
    """If Plex never answers 1020, polling ends at the PIN's expiry and not before."""
    pin = PendingPin(plex_tv=HERE, device=DEVICE, pin_id=1, code="x", strong=True, expires_at=NOW + 3)
    walker = Walker([last] * 6)
    with pytest.raises(PinExpired):
        walker.run(partial(wait_for_approval, pin, None))
    assert 3.0 <= walker.clock - 1000.0 <= 9.0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(error(400, 1004), BadRequest), (error(403, 1042), Forbidden)],
)
def test_a_question_that_plex_does_not_take_ends_the_wait(answer: object, kind: Any) -> None:
    """A refusal of the poll itself is raised at once."""
    walker, flow = waiting(answer)
    walker.fails(flow, kind)


@pytest.mark.parametrize(("max_wait", "polls"), [(0.0, 1), (0.5, 2), (2.0, 3), (2.5, 4)])
def test_gives_up_when_the_program_says(max_wait: float, polls: int) -> None:
    """After `max_wait` it polls a last time and gives up."""
    walker, flow = waiting(*[PENDING] * polls, max_wait=max_wait)
    walker.fails(flow, GaveUp)
    assert max_wait == walker.clock - 1000.0


def test_a_last_answer_counts() -> None:
    """An approval at the last moment counts."""
    walker, flow = waiting(PENDING, LINKED, max_wait=0.5)
    assert OPAQUE == walker.run(flow)().reveal()


WHOLE_WAITS = {"pending": (PENDING, 903), "502": (OUTAGES["502"], 70), "reset": (RESET, 70)}


@pytest.mark.parametrize(("answer", "most"), WHOLE_WAITS.values(), ids=WHOLE_WAITS)
def test_c10_requests_of_a_whole_wait(answer: object, most: int) -> None:
    """An unapproved PIN costs one request a second, far fewer in an outage, and none after its expiry."""
    pin = PendingPin(plex_tv=HERE, device=DEVICE, pin_id=1, code="H7QK", strong=False, expires_at=NOW + 900)
    walker = Walker([answer] * 2000)
    with pytest.raises(PinExpired):
        walker.run(partial(wait_for_approval, pin, None))
    starts = [moment for step, moment in zip(walker.steps, walker.moments, strict=True) if hasattr(step, "request")]
    assert 50 <= len(walker.sent) <= most
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(starts))
    assert starts[-1] <= 1000.0 + 900 + 3  # two seconds by which clocks may differ, and one of chance
    if answer is PENDING:
        assert {1.0} == {later - earlier for earlier, later in itertools.pairwise(starts)}


def test_c10_each_poll_is_sent_once() -> None:
    """A poll is not repeated by the client's retries: polling itself repeats it."""
    walker, flow = waiting(OUTAGES["500"], OUTAGES["500"], LINKED)
    walker.run(flow)
    assert 3 == len(walker.sent)


def test_asking_once() -> None:
    """One poll without waiting: pending, approved, denied, or an outage that is raised."""
    assert Walker([PENDING]).run(partial(poll_once, PIN, None)) is None
    assert OPAQUE == Walker([LINKED]).run(partial(poll_once, PIN, None))().reveal()
    Walker([GONE]).fails(partial(poll_once, PIN, None), Denied)
    late = Walker([PENDING], clock=1000.0 + 1803.0)
    late.fails(partial(poll_once, PIN, None), PinExpired)
    limited = Walker([error(429, 1003, retry_after="3600")])
    limited.fails(partial(poll_once, PIN, None), RateLimited)
