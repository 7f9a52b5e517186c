"""The library's client against a local Plex on which a share of the calls fails (F-CL-3)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ticketstub import Device, PlexError, Refusal
from ticketstub.client.transports.in_process import AsyncInProcessTransport, InProcessTransport
from ticketstub.local_plex.control.faults import FAULT_KINDS, Chaos, InjectedFault
from ticketstub.local_plex.settings import Settings
from ticketstub.messages import Request, Response
from ticketstub.testing import LocalPlexController, local_plex

WORLD = {"account": [{"username": "ana", "email": "ana@example.test"}]}
FREE = Settings(poll_burst=10**6, polls_per_second=10.0**6)
DEVICE = Device(client_identifier="chaos", product="Chaos")
RUNS = 1000


class Restless:
    """A transport that does not sleep: retries follow at once."""

    def __init__(self, plex: LocalPlexController) -> None:
        self._inner = InProcessTransport(plex.create_in_process_app())
        self.slept: list[float] = []

    def send(self, request: Request, *, deadline: float, connect_timeout: float) -> Response:
        return self._inner.send(request, deadline=deadline, connect_timeout=connect_timeout)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def close(self) -> None:
        pass


class AsyncRestless(AsyncInProcessTransport):
    """The async version."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def stage() -> Iterator[LocalPlexController]:
    with local_plex(WORLD, settings=FREE) as plex:
        yield plex


def sign_in(plex: LocalPlexController, transport: Any) -> str:
    """Sign in by PIN, and return the outcome: signed in, or the error's name."""
    try:
        client = plex.client(signed_in=False, transport=transport, device=DEVICE)
        begun = client.begin_sign_in()
        plex.approve(begun)
        name = begun.finish().authentication.get_token_details().username
    except PlexError as failure:
        return type(failure).__name__
    return f"signed in as {name}"


def test_a_sign_in_survives_one_call_of_twenty_going_wrong(stage: LocalPlexController) -> None:
    """Of 1,000 sign-ins by PIN with 5 % chaos, at least 999 succeed, and the others end in a typed error."""
    stage.reset()
    stage.chaos(0.05, seed=7, longest=0)
    transport = Restless(stage)
    outcomes = Counter(sign_in(stage, transport) for _ in range(RUNS))
    assert outcomes["signed in as ana"] >= 999, outcomes
    assert len(transport.slept) > RUNS / 20, "nothing went wrong"


def test_a_sign_in_under_heavy_chaos_ends_in_a_typed_error_or_succeeds(stage: LocalPlexController) -> None:
    """With chaos for half of the calls, every sign-in still ends, with success or one of the library's errors."""
    stage.reset()
    stage.chaos(0.5, seed=11, longest=0)
    outcomes = Counter(sign_in(stage, Restless(stage)) for _ in range(100))
    typed = {"RateLimited", "ServerError", "Unreachable", "MalformedReply"}
    assert set() == set(outcomes) - typed - {"signed in as ana"}
    assert outcomes["signed in as ana"] > 50


async def test_async_sign_ins_survive_too(stage: LocalPlexController) -> None:
    """The async façade behaves like the sync one."""
    stage.reset()
    stage.chaos(0.05, seed=7, longest=0)
    client = stage.async_client(signed_in=False, transport=AsyncRestless(stage.create_in_process_app()), device=DEVICE)
    for _ in range(50):
        begun = await client.begin_sign_in()
        stage.approve(begun)
        details = await (await begun.finish()).authentication.get_token_details()
        assert "ana" == details.username


def test_a_password_is_never_sent_twice_under_chaos(stage: LocalPlexController) -> None:
    """Whatever happens to its response, a sign-in by password reaches plex.tv once (see options.md, `retry`)."""
    stage.reset()
    stage.account("kim", password="quiet-anchor-12")
    stage.chaos(1.0, seed=5, longest=0)
    client = stage.client(signed_in=False, transport=Restless(stage), device=DEVICE)
    refused = 0
    for turn in range(1, 13):
        try:
            client.authentication.post_users_sign_in_data(login="kim", password="quiet-anchor-12")
        except PlexError as failure:
            refused += isinstance(failure, Refusal)
        assert turn == len(stage.requests.filter("POST /api/v2/users/signin"))
    assert refused


def test_the_same_seed_is_the_same_sequence() -> None:
    """A seed determines the sequence; `restart` starts it again; all kinds have about equal shares."""
    first, again, other = (Chaos(0.3, seed) for seed in (7, 7, 8))
    drawn = [first.draw_fault() for _ in range(4000)]
    assert drawn == [again.draw_fault() for _ in range(4000)]
    assert drawn != [other.draw_fault() for _ in range(4000)]
    first.restart()
    assert drawn[:50] == [first.draw_fault() for _ in range(50)]
    kinds = Counter(each.kind for each in drawn if each is not None)
    assert 0.25 < kinds.total() / 4000 < 0.35
    assert all(0.15 < kinds[kind] / kinds.total() < 0.25 for kind in FAULT_KINDS)
    assert all(0 <= each.seconds <= 0.5 for each in drawn if each is not None)
    assert [None] * 100 == [Chaos(0).draw_fault() for _ in range(100)]
    assert isinstance(Chaos(1).draw_fault(), InjectedFault)


@pytest.mark.parametrize(
    "wrong", [{"share": -0.1}, {"share": 1.1}, {"share": float("nan")}, {"share": 0.1, "longest": -1}]
)
def test_a_share_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    """A share outside 0 to 1 and a delay beyond a minute are refused."""
    with pytest.raises(ValueError, match="0 to"):
        Chaos(**wrong)
