"""`ticketstub code`: the current verification code of a local Plex account."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MIRA, Command
from tests.local_plex.asking import SECRET, Clock, code_at
from ticketstub.local_plex.control.controller import Controller
from ticketstub.local_plex.listeners import ControlConfig
from ticketstub.local_plex.local_plex import LocalPlex
from ticketstub.local_plex.world.schema import World
from ticketstub.testing import LocalPlexController
from ticketstub.testing.programs import Interceptor
from ticketstub.tokens import Secret

WORLD = f'[[account]]\nusername = "ana"\nemail = "ana@example.test"\nverification_secret = "{SECRET}"\n'
MADE = World.parse(WORLD)
KEY = "control-key-of-forty-characters-and-more"


def test_the_demonstration_s_code_is_printed_alone(command: Command) -> None:
    """The command prints the code that the account's authenticator app shows, and nothing else."""
    before, done, after = MIRA.code(), command("code", "mira_quill", "--demo"), MIRA.code()
    assert (0, "") == (done.code, done.err)
    assert done.out in {f"{before}\n", f"{after}\n"}


def test_a_world_of_one_s_own_gives_its_code(command: Command, tmp_path: Path) -> None:
    """An account of a world file is also found by its e-mail address."""
    (tmp_path / "world.toml").write_text(WORLD)
    done = command("code", "ana@example.test", "--world", str(tmp_path / "world.toml"))
    assert 0 == done.code
    assert done.out.strip().isdigit()
    assert 7 == len(done.out)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["tom", "--demo"], 1, "has no verification secret"),
        (["nobody", "--demo"], 1, "there is no such account; the world has mira_quill, tom, juno_vale"),
        (["mira_quill"], 2, "no world is named"),
        (["mira_quill", "--control", "http://127.0.0.1:9"], 2, "set TICKETSTUB_CONTROL_KEY"),
    ],
)
def test_what_is_wrong_is_said(command: Command, arguments: list[str], code: int, said: str) -> None:
    """An account without codes, an unknown account, a missing world and a missing key each have their own error."""
    done = command("code", *arguments)
    assert (code, "") == (done.code, done.out)
    assert said in done.err


def test_a_running_one_answers_by_its_own_clock(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --control, the code follows the clock of that local Plex, also for an account that was added later."""
    clock, controller = Clock(), Controller()
    with (
        LocalPlex(
            MADE, clock=clock, controller=controller, control=ControlConfig(Secret(KEY))
        ).run_in_thread() as local,
        Interceptor(local) as interceptor,
    ):
        plex = LocalPlexController(local, controller, interceptor)
        plex.advance(minutes=5)
        plex.add_account("cleo", verification_secret=SECRET)
        monkeypatch.setenv("TICKETSTUB_CONTROL_KEY", KEY)
        for path in ("", "/", "/control/v1"):
            monkeypatch.setenv("TICKETSTUB_CONTROL", f"{local.control_url}{path}")
            done = command("code", "cleo")
            assert (0, f"{code_at(clock.now + 300)}\n", "") == (done.code, done.out, done.err), path
        refused = command("code", "nobody")
        assert 1 == refused.code
        assert "the control API refused: there is no such account" in refused.err
        monkeypatch.setenv("TICKETSTUB_CONTROL_KEY", "wrong")
        assert "the key is missing or wrong" in command("code", "cleo").err
    assert 5 == command("code", "cleo").code
    assert 2 == command("code", "cleo", "--control", "nowhere").code


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "the control API refused: 200"),
        (b'HTTP/1.1 500 No\r\nContent-Length: 17\r\n\r\n{"code":"123456"}', "the control API refused: 500"),
    ],
    ids=["no code", "a failure"],
)
def test_an_answer_that_is_no_code(
    command: Command, canned: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch, answer: bytes, said: str
) -> None:
    """Only a successful response with a code is printed."""
    monkeypatch.setenv("TICKETSTUB_CONTROL_KEY", KEY)
    done = command("code", "cleo", "--control", canned(answer))
    assert (1, "") == (done.code, done.out)
    assert said in done.err
