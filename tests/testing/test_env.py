"""`local_plex.env`: programs that a test starts find the local Plex in Plex's place, without any configuration."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ticketstub import Plex
from ticketstub.testing import DEVICE, LocalPlexController, local_plex

USER = "https://plex.tv/api/v2/user"
BY_URLLIB = """
import sys, urllib.request
fields = {"X-Plex-Token": sys.argv[2], "Accept": "application/json"}
try:
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=fields), timeout=60).read().decode())
except OSError as error:
    print(error)
"""
BY_HTTPX = """
import sys, httpx
print(httpx.get(sys.argv[1], headers={"X-Plex-Token": sys.argv[2], "Accept": "application/json"}, timeout=60).text)
"""
BY_CURL = 'exec curl -s --max-time 10 -H "X-Plex-Token: $1" -H "Accept: application/json" "$0"'
MEDIA_SERVERS = """
import json, sys, urllib.request
fields = {"X-Plex-Token": sys.argv[2], "Accept": "application/json", "X-Plex-Client-Identifier": "here"}

def asked(url):
    return json.load(urllib.request.urlopen(urllib.request.Request(url, headers=fields), timeout=60))

for each in asked("https://clients.plex.tv/api/v2/resources?includeHttps=1"):
    uri = each["connections"][0]["uri"]
    print(uri, each["name"], asked(uri + "/identity")["MediaContainer"]["machineIdentifier"])
"""
WAITING = """
import sys, time
from ticketstub.testing import local_plex
with local_plex() as plex:
    print(plex.env["TICKETSTUB_CA"], flush=True)
    time.sleep(30)
"""


@pytest.fixture(scope="module", name="plex_in_hand")
def _plex_in_hand() -> Iterator[LocalPlexController]:
    with local_plex() as plex:
        yield plex


@pytest.fixture(name="stage")
def _stage(plex_in_hand: LocalPlexController) -> LocalPlexController:
    plex_in_hand.reset()
    return plex_in_hand


def ran(stage: LocalPlexController, program: str, url: str = USER) -> str:
    """Run a Python or shell program with a URL and a token, in an environment that had another proxy."""
    start = ["sh", "-c", program] if program is BY_CURL else [sys.executable, "-c", program]
    elsewhere = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "plex.tv", "no_proxy": "plex.tv"}
    given = {**os.environ, **elsewhere, **stage.env}
    done = subprocess.run(
        [*start, url, stage.token_for().reveal()], env=given, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(BY_URLLIB, id="urllib"),
        pytest.param(BY_HTTPX, id="httpx"),
        pytest.param(
            BY_CURL, id="curl", marks=pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
        ),
    ],
)
def test_programs_of_others_ask_plex_tv_and_are_answered_here(stage: LocalPlexController, program: str) -> None:
    """https://plex.tv is the local Plex, which logs the request, also after a reset."""
    for _ in range(2):
        assert '"username":"mira_quill"' in ran(stage, program).replace(" ", "")
        assert [("/api/v2/user", 200)] == [(each.path, each.status) for each in stage.requests]
        stage.reset()


def test_media_servers_are_found_by_https(stage: LocalPlexController) -> None:
    """Each is listed with its name below plex.direct, and answers there."""
    attic = stage.media_server("Attic")
    assert f"{attic.https_url} Attic {attic.machine_identifier}" in ran(stage, MEDIA_SERVERS, "-").splitlines()
    assert {"plex.tv", "Attic"} <= {each.place for each in stage.requests}


def test_clients_in_the_test_s_own_process_go_on_as_before(stage: LocalPlexController) -> None:
    """A client that uses the local Plex's own URL gets addresses that it can reach, in process and over sockets."""
    assert stage.env
    outside = Plex(plex_tv=stage.url, token=stage.token_for(), device=DEVICE)
    for client in (stage.client(), outside):
        with client:
            (attic, *_) = (each for each in client.resources() if each.name == "Attic")
            assert [stage.media_server("Attic").url] * 2 == [each.uri for each in attic.connections]
    attic_in_hand = stage.media_server("Attic")
    for url in (attic_in_hand.url, attic_in_hand.https_url):
        identity = stage.client().at(url).identity()
        assert attic_in_hand.machine_identifier == identity.machine_identifier


def test_the_test_s_own_process_may_be_led_too(stage: LocalPlexController, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variables set in the test's process, libraries that read them reach the local Plex by Plex's name."""
    for name, value in stage.env.items():
        monkeypatch.setenv(name, value)
    ping = "https://plex.tv/api/v2/ping"
    fields = {"X-Plex-Token": stage.token_for().reveal(), "X-Plex-Client-Identifier": "here"}
    opener = urllib.request.build_opener()  # `urlopen` goes by the proxies of its first use in this process
    with opener.open(urllib.request.Request(ping, headers=fields), timeout=60) as answer:
        assert b"pong" in answer.read()
    assert 200 == httpx.get(ping, headers=fields).status_code
    assert [200, 200] == [each.status for each in stage.requests]


def test_nothing_else_is_reached(stage: LocalPlexController) -> None:
    """Another host is refused by name; this machine's own addresses are reached."""
    assert "example.com:443 is not Plex's" in ran(stage, BY_URLLIB, "https://example.com/")
    assert "mira_quill" in ran(stage, BY_URLLIB, f"{stage.url}/api/v2/user")


def test_it_begins_with_the_first_use_and_ends_with_the_local_plex() -> None:
    """The files exist as long as the local Plex, readable by their owner only; afterwards `env` raises an error."""
    with local_plex() as plex:
        folder = Path(plex.env["TICKETSTUB_CA"]).parent
        assert plex.env == plex.env
        assert ["bundle.pem", "ca.pem", "proxy", "trust.p12"] == sorted(each.name for each in folder.iterdir())
        assert sys.platform == "win32" or 0o700 == folder.stat().st_mode & 0o777
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="has stopped"):
        _ = plex.env


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
def test_nothing_is_left_where_the_tests_are_killed() -> None:
    """A separate process removes the folder."""
    with subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        folder = Path(tests.stdout.readline().strip()).parent
        assert folder.exists()
        tests.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it has no fork")
def test_a_process_that_was_forked_is_not_waited_for() -> None:
    """A forked worker that outlives the local Plex does not delay its end."""
    with local_plex() as plex:
        folder = Path(plex.env["TICKETSTUB_CA"]).parent
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
        child.start()
    assert child.is_alive()
    assert not folder.exists()
    child.kill()
    child.join()
