"""Opening the browser: the program that BROWSER names, and when none counts as opened."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from pathlib import Path

import pytest

from tests.tables import every
from ticketstub.client.flows.sign_in import open_browser

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
URL = "http://127.0.0.1:8190/auth#?clientID=a%20b&code=k3v9"
VARIABLES = {
    "a script": "{}",
    "with a mark": "{} %s",
    "spaces in its name": "{}",
    "spaces and a mark": "'{}' %s",
    "one that is not there, then a mark": "{} --new-window %s",
}


def script(folder: Path, body: str, name: str = "browser") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
    path.chmod(0o755)
    return path


def run(variable: str) -> bool:
    """Open a URL with this BROWSER in a fresh `webbrowser` module, and return the result."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            patch.delenv(name, raising=False)
        patch.setenv("BROWSER", variable)
        patch.setattr("webbrowser._tryorder", None)
        patch.setattr("webbrowser._browsers", {})
        return open_browser(opener=True, url=URL)


@every("variable", VARIABLES)
def test_the_program_that_browser_names_is_used(tmp_path: Path, variable: str) -> None:
    """BROWSER names a script, with spaces, with or without `%s`: it gets the URL."""
    spaced = tmp_path / ("with spaces" if "'" in variable or variable == "{}" else "plain")
    path = script(spaced, f'for last; do :; done; printf %s "$last" >"{tmp_path}/seen"')
    assert run(variable.format(path))
    assert URL == (tmp_path / "seen").read_text("utf-8")
    (tmp_path / "seen").unlink()


def test_a_program_that_fails_has_not_opened_it(tmp_path: Path) -> None:
    """A script that fails or does not exist counts as no browser."""
    assert not run(str(script(tmp_path, "exit 3")))
    assert not run(f"{script(tmp_path, 'exit 3')} %s")
    assert not run(str(tmp_path / "nothing-here"))


def test_a_browser_of_the_terminal_counts_as_none(tmp_path: Path) -> None:
    """A text-mode browser, which would take over the terminal, is not opened."""
    path = script(tmp_path, f'touch "{tmp_path}/seen"', "w3m")
    assert not run(str(path))
    assert not (tmp_path / "seen").exists()


def test_a_browser_that_stays_has_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that runs until its window is closed does not block."""
    path = script(tmp_path, f'exec 3<"{tmp_path}/closing"; touch "{tmp_path}/closed"')
    os.mkfifo(tmp_path / "closing")
    monkeypatch.setattr("webbrowser.get", lambda: webbrowser.GenericBrowser(str(path)))
    assert open_browser(opener=True, url=URL, timeout=0.2)
    assert not (tmp_path / "closed").exists()
    (tmp_path / "closing").write_bytes(b"")
    deadline = time.monotonic() + 60
    while not (tmp_path / "closed").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "closed").exists()


def test_not_at_all() -> None:
    """A program may forbid it or open the URL itself; only `False` means that this failed."""
    assert [False, True, False] == [open_browser(how, URL) for how in (False, lambda _url: None, lambda _url: False)]
