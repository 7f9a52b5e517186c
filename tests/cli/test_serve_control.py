"""`serve` with a control API and with chaos: when it answers, to which clients, and with which key (S19)."""

from __future__ import annotations

import re
import stat
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Start
from tests.cli.test_serve import status_of
from ticketstub.cli.local_plex import create_controller

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send, and no modes of this kind")


def verb(url: str, path: str, key: str, method: str = "POST") -> int:
    request = urllib.request.Request(
        url + path, method=method, headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return int(refused.code)


@posix
def test_control_answers_where_it_says_with_the_key_of_its_file(start: Start, tmp_path: Path) -> None:
    """The key file is created with mode 0600; the banner names address and file, and no line contains the key."""
    file = tmp_path / "control.key"
    serving = start("serve", "--demo", "--port", "0", "--log", "--control", str(file), "--control-port", "0")
    serving.wait_for("ready")
    line = next(line for line in serving.lines if line.startswith("Control: "))
    found = re.fullmatch(r"Control: (http://127\.0\.0\.1:\d+)/control/v1, with the key in (.*)", line)
    assert found is not None
    assert str(file) == found[2]
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    key = file.read_text("utf-8").strip()
    assert 204 == verb(found[1], "/control/v1/reset", key)
    assert 401 == verb(found[1], "/control/v1/reset", key + "x")
    assert 404 == verb(serving.address("plex.tv"), "/control/v1/reset", key)
    assert 0 == serving.end()
    assert [] == [line for line in serving.lines if key in line]


@posix
def test_without_the_option_nothing_of_it_answers(start: Start) -> None:
    """Without the option, no port answers the control API."""
    serving = start("serve", "--demo", "--port", "0")
    serving.wait_for("ready")
    assert [] == [line for line in serving.lines if "ontrol" in line]
    assert 404 == verb(serving.address("plex.tv"), "/control/v1/reset", "k" * 40)
    assert 0 == serving.end()


@posix
@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("k" * 43, 0o644, "can be read or written by others"),
        ("short", 0o600, "holds no key of 32 or more"),
        (None, 0o600, "cannot be read or created"),
    ],
)
def test_a_key_file_that_is_not_safe_stops_the_start(
    command: Command, tmp_path: Path, content: str | None, mode: int, said: str
) -> None:
    """Nothing listens where the key could be read or guessed, or where its file cannot be read or created."""
    file = tmp_path / ("control.key" if content else "no/folder.key")
    if content:
        file.write_text(content, "utf-8")
        file.chmod(mode)
    done = command("serve", "--demo", "--port", "0", "--control", str(file))
    assert done.code != 0
    assert said in done.err
    assert content is None or content not in done.err


@pytest.mark.parametrize("host", ["8.8.8.8", "2001:4860:4860::8888"])
def test_no_public_address_is_listened_on_for_it(command: Command, tmp_path: Path, host: str) -> None:
    """The control API listens only on loopback and private addresses, as everything else does."""
    done = command("serve", "--demo", "--port", "0", "--host", host, "--control", str(tmp_path / "control.key"))
    assert done.code != 0
    assert not (tmp_path / "control.key").exists()


@posix
def test_chaos_goes_wrong_by_its_seed(start: Start) -> None:
    """With `--chaos` a share of the calls fails, the same ones with the same seed."""
    runs = []
    for _ in range(2):
        serving = start("serve", "--demo", "--port", "0", "--chaos", "0.5", "--seed", "7")
        serving.wait_for("ready")
        runs.append([_seen(serving.address("plex.tv") + "/api/v2/auth/keys") for _ in range(12)])
        assert 0 == serving.end()
    assert runs[0] == runs[1]
    assert 2 <= len(set(runs[0]))


def _seen(url: str) -> str:
    try:
        return str(status_of(url))
    except (OSError, ValueError) as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001  # http.client's own kinds, for a body that is cut off
        return type(error).__name__


def test_a_controller_is_made_only_where_it_has_something_to_do() -> None:
    """Without a key and without chaos there is none; with chaos alone, there is one without an API."""
    assert (None, None) == create_controller(None, 0.0, 7)
    controller, api = create_controller(None, 0.5, 7)
    assert (True, None) == (controller is not None, api)
