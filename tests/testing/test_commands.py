"""Each command has its effect on every program, whether the test runs it in Python or over HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from tests.local_plex.asking import ATTIC, MIRA, PASSWORDS, TOM_ON_ATTIC, get, world
from tests.tables import every
from tests.testing.commands import KEY, Commands, InPython, Ours, OverHttp, Program, Raw, client_of
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.control.faults import Chaos, InjectedFault
from ticketstub.local_plex.listeners import ControlConfig
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController
from ticketstub.testing.programs import Interceptor
from ticketstub.tokens import Secret


@pytest.fixture(scope="module", name="running")
def _running() -> Iterator[tuple[LocalPlexController, LocalPlex]]:
    controller = Controller()
    described = World.from_dict(world(denied_pin="not_found"))
    with (
        LocalPlex(described, controller=controller, control=ControlConfig(Secret(KEY))).run_in_thread() as local,
        Interceptor(local) as interceptor,
    ):
        yield LocalPlexController(local, controller, interceptor), local


@pytest.fixture(name="stage")
def _stage(running: tuple[LocalPlexController, LocalPlex]) -> LocalPlexController:
    running[0].reset()
    return running[0]


@pytest.fixture(name="commands", params=["python", "http"])
def _commands(
    request: pytest.FixtureRequest, running: tuple[LocalPlexController, LocalPlex], stage: LocalPlexController
) -> Commands:
    return InPython(stage) if request.param == "python" else OverHttp(running[1].control_url or "")


@pytest.fixture(name="program", params=["in process", "our sockets", "raw sockets"])
def _program(request: pytest.FixtureRequest, stage: LocalPlexController) -> Iterator[Program]:
    if request.param == "raw sockets":
        yield Raw(stage)
        return
    with client_of(stage, sockets=request.param == "our sockets") as client:
        yield Ours(client)


def test_approve(commands: Commands, program: Program) -> None:
    """A PIN that is approved by its id or its code has a token from then on."""
    for which in (0, 1):
        pin = program.new_pin()
        assert "waits" == program.poll(pin[0])
        commands.do("pins/approve", pin=pin[which], account="tom")
        assert "approved" == program.poll(pin[0])
    with pytest.raises(LookupError):
        commands.do("pins/approve", pin=1)


def test_deny(commands: Commands, program: Program) -> None:
    """A denied PIN is gone, if the world says so."""
    pin, _ = program.new_pin()
    commands.do("pins/deny", pin=pin)
    assert 404 == program.poll(pin)


def test_expire_a_pin(commands: Commands, program: Program) -> None:
    """An expired PIN is gone."""
    pin, code = program.new_pin()
    commands.do("pins/expire", pin=code)
    assert 404 == program.poll(pin)


@pytest.mark.parametrize("command", ["tokens/revoke", "tokens/expire"])
def test_tokens(commands: Commands, program: Program, command: str) -> None:
    """A new token works until it is revoked or expires, and others go on working."""
    token = commands.do("tokens", account="tom")["token"]
    assert 200 == program.who(token)
    commands.do(command, token=token)
    assert 401 == program.who(token)
    assert 200 == program.who(MIRA)
    with pytest.raises(LookupError):
        commands.do(command, token=token)


def test_accounts(commands: Commands, program: Program) -> None:
    """An added account signs in with its password."""
    assert 401 == program.sign_in("nora", "silver-thimble-3")
    commands.do("accounts", username="nora", password="silver-thimble-3")
    assert 201 == program.sign_in("nora", "silver-thimble-3")
    with pytest.raises(ValueError, match="email"):
        commands.do("accounts", username="eva", email="no address")


def test_codes(commands: Commands, program: Program) -> None:
    """The current code signs in, once."""
    code = commands.do("codes", account="vera")["code"]
    assert 401 == program.sign_in("vera", PASSWORDS["vera"])
    assert [201, 401] == [program.sign_in("vera", PASSWORDS["vera"], code) for _ in range(2)]


def test_advance(commands: Commands, program: Program) -> None:
    """Eight days later a PIN has expired; an account's tokens are still valid."""
    pin, _ = program.new_pin()
    commands.do("clock/advance", days=8)
    assert (404, 200) == (program.poll(pin), program.who(MIRA))
    with pytest.raises(ValueError, match=r"forwards|Expected"):
        commands.do("clock/advance", days=-1)


def test_refuse_next(commands: Commands, program: Program) -> None:
    """The next matching calls are refused with the given status, and no others."""
    commands.do("refusals", call="POST /api/v2/users/signin", status=429, times=2)
    seen = [program.sign_in("tom", PASSWORDS["tom"]) for _ in range(3)]
    assert [429, 429, 201] == seen
    assert 200 == program.who(MIRA)


@pytest.mark.parametrize("status", [400, 418, 451, 498, 499, 520, 599])
def test_any_status_on_a_media_server(stage: LocalPlexController, status: int) -> None:
    """A media server refuses with any given status, also with one that has no name in HTTP."""
    attic = stage.media_server("Attic").url
    for path in ("/", "/identity", "/security/token"):
        stage.refuse_next(f"GET {path}", status=status, at="Attic")
        refused = get(attic, path, MIRA)
        assert (status, "text/html") == (refused.status, refused.headers["content-type"])
        assert str(status).encode() in refused.body
    assert 200 == get(attic, "/identity").status


@pytest.mark.parametrize("kind", ["delay", "chaos"])
def test_a_call_that_waits_at_a_reset(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A delayed call is refused (503) at once at a reset or the end; nothing is logged as an error."""
    controller = Controller()
    plex = LocalPlex(World.from_dict(world()), controller=controller)
    late = 3600.0
    with ThreadPoolExecutor(1) as pool, ExitStack() as running:
        running.enter_context(plex.run_in_thread())
        stage = LocalPlexController(plex, controller, running.enter_context(Interceptor(plex)))
        for end in (stage.reset, running.close):
            asleep = threading.Event()

            async def sleep(seconds: float, asleep: threading.Event = asleep) -> None:
                asleep.set()
                await asyncio.sleep(seconds)

            controller.sleep = sleep
            if kind == "delay":
                stage.delay("GET /api/v2/user", late)
            else:
                controller.chaos = Late(late)
            waiting = pool.submit(get, plex.url, "/api/v2/user", MIRA)
            assert asleep.wait(60)
            end()
            assert 503 == waiting.result(60).status
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]


class Late(Chaos):
    """Delays every call by so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(1.0)
        self.seconds = seconds

    def draw_fault(self) -> InjectedFault:
        return InjectedFault("late", self.seconds)


def test_answer_next(commands: Commands, stage: LocalPlexController, program: Program) -> None:
    """A captive portal's page is not mistaken for Plex's response; later calls succeed."""
    page = "<html><title>Hotel</title>Please accept our terms</html>"
    commands.do("answers", call="GET /api/v2/user", body=page)
    assert ["malformed", 200] == [program.who(MIRA) for _ in range(2)]
    commands.do("answers", call="GET /identity", status=302, location="http://127.0.0.1:9/portal", at="Attic")
    toms, attic = stage.media_server("Toms").url, stage.media_server("Attic").url
    assert 200 == program.identity(toms)
    assert 200 != program.identity(attic)
    assert 200 == program.identity(attic)
    for wrong in ({"status": 100}, {"status": 204, "body": "x"}, {"location": "a\r\nb"}, {"media_type": "é"}):
        with pytest.raises(ValueError, match=r"answer|printable|Expected"):
            commands.do("answers", call="GET /identity", **wrong)


def test_delay(commands: Commands, program: Program) -> None:
    """The next matching call takes longer than its client waits; the one after it is in time."""
    commands.do("delays", call="GET /api/v2/user", seconds=0.4)
    assert "late" == program.who(MIRA, within=0.05)
    assert 200 == program.who(MIRA)


def test_chaos(commands: Commands, program: Program) -> None:
    """With chaos for all calls something fails, and without chaos nothing does."""
    commands.do("chaos", share=1.0, seed=3, longest=0)
    assert {200} < {program.who(MIRA) for _ in range(12)}
    commands.do("chaos", share=0)
    assert {200} == {program.who(MIRA) for _ in range(12)}


@pytest.mark.parametrize(("hangs", "seen"), [(False, "refused"), (True, "silent")])
def test_a_place_is_down_and_up_again(
    commands: Commands, stage: LocalPlexController, program: Program, hangs: bool, seen: str
) -> None:
    """A media server that is down refuses connections or stays silent; others answer; then it is back."""
    attic, toms = stage.media_server("Attic").url, stage.media_server("Toms").url
    assert 200 == program.identity(attic)
    commands.do("places/down", place="Attic", hangs=hangs)
    assert seen == program.identity(attic)
    assert (200, 200) == (program.identity(toms), program.who(MIRA))
    commands.do("places/up", place="Attic")
    commands.do("places/up", place="Attic")
    assert 200 == program.identity(attic)
    with pytest.raises(LookupError, match=r"plex\.tv, Attic"):
        commands.do("places/down", place="Cellar")


def test_plex_tv_is_down_until_a_reset(commands: Commands, program: Program) -> None:
    """plex.tv can be down, too, first in one way and then in the other; a reset brings it up."""
    for hangs, seen in ((True, "silent"), (False, "refused"), (True, "silent")):
        commands.do("places/down", place="plex.tv", hangs=hangs)
        assert seen == program.who(MIRA)
    commands.do("reset")
    assert 200 == program.who(MIRA)


def test_shares(commands: Commands, program: Program) -> None:
    """A share adds a server to an account's resources, and its end removes it."""
    elsa = commands.do("tokens", account="elsa")["token"]
    assert "Attic" not in program.servers(elsa)
    commands.do("shares", media_server="Attic", account="elsa")
    assert "Attic" in program.servers(elsa)
    commands.do("shares/end", media_server=ATTIC, account="elsa")
    assert "Attic" not in program.servers(elsa)
    with pytest.raises(LookupError, match="not shared"):
        commands.do("shares/end", media_server="Attic", account="elsa")
    with pytest.raises(LookupError, match="no media server"):
        commands.do("shares", media_server="Cellar", account="elsa")
    with pytest.raises(ValueError, match="somebody else"):
        commands.do("shares", media_server="Attic", account="mira_quill")


def test_the_token_of_a_share_dies_with_it(commands: Commands, stage: LocalPlexController) -> None:
    """The share's token no longer opens the server; a new share has another token."""
    attic = stage.media_server("Attic").url
    assert 200 == get(attic, "/library/sections", TOM_ON_ATTIC).status
    commands.do("shares", media_server="Attic", account="tom")
    assert 401 == get(attic, "/library/sections", TOM_ON_ATTIC).status
    (listed,) = [
        each
        for each in get(stage.url, "/api/v2/resources", stage.token_for("tom").reveal()).json
        if each["name"] == "Attic"
    ]
    assert 200 == get(attic, "/library/sections", listed["accessToken"]).status
    commands.do("shares/end", media_server="Attic", account="tom")
    assert 401 == get(attic, "/library/sections", listed["accessToken"]).status


def test_requests(commands: Commands, program: Program) -> None:
    """The log lists requests, and can be cleared."""
    program.who(MIRA)
    program.poll(1)
    told = [(each["path"], each["status"]) for each in commands.do("GET requests")["requests"]]
    assert [("/api/v2/user", 200), ("/api/v2/pins/1", 404)] == told
    commands.do("DELETE requests")
    assert {"requests": []} == commands.do("GET requests")


def test_reset(commands: Commands, program: Program) -> None:
    """Afterwards a revoked token of the world works again, and an issued one does not."""
    made = commands.do("tokens")["token"]
    commands.do("tokens/revoke", token=MIRA)
    assert 401 == program.who(MIRA)
    commands.do("reset")
    assert (200, 401) == (program.who(MIRA), program.who(made))


@every("number", [-1, 2**63, 10**30, "9" * 30])
def test_numbers_that_nothing_has(commands: Commands, number: int | str) -> None:
    """An unused number finds no PIN and no account, however great it is."""
    with pytest.raises(LookupError):
        commands.do("pins/approve", pin=number)
    with pytest.raises(LookupError):
        commands.do("tokens", account=number)


def test_a_place_that_several_take_down_at_once(
    running: tuple[LocalPlexController, LocalPlex], stage: LocalPlexController
) -> None:
    """Each call succeeds, and the place comes up again at the same address."""
    down = [partial(stage.take_down, "Attic", hangs=hangs) for hangs in (True, False, True, False)]
    for _ in range(5):
        with ThreadPoolExecutor(len(down)) as threads:
            assert [None] * len(down) == [each.result() for each in [threads.submit(one) for one in down]]
        stage.bring_up("Attic")
        assert 200 == get(running[1].media_server("Attic").url, "/identity").status
