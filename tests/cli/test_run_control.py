"""`ticketstub run --control` and `--chaos`: the tester's commands for any language, and calls that fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, environment
from tests.cli.test_run_transparent import RUN, needed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")

PYTHON = sys.executable
TESTING = """
import json, os, urllib.error, urllib.request
address, key = os.environ["TICKETSTUB_CONTROL"], os.environ["TICKETSTUB_CONTROL_KEY"]

def asked(url, method="GET", body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, fields, method=method), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()

def verb(path, body=None, method="POST", key=key):
    return asked(address + path, method, body, Authorization=f"Bearer {key}", Content_Type="application/json")

print(verb("/refusals", {"call": "GET /api/v2/ping", "status": 503})[0])
ping = "https://plex.tv/api/v2/ping"
identity = {"X_Plex_Client_Identifier": "here", "X_Plex_Token": "Xk3mPz_9Q-vT7rLb2NfW"}
print(asked(ping, **identity)[0], asked(ping, **identity)[0])
print([each["status"] for each in json.loads(verb("/requests", method="GET")[1])["requests"]])
print(verb("/reset", key="k" * 43)[0])
print(address.rpartition(":")[0], address.partition("/control")[2], len(key))
"""
EXPECTED = ["204", "503 200", "[503, 200]", "401", "http://127.0.0.1 /v1 43"]
NAMES = "env | grep -c ^TICKETSTUB_CONTROL"


def test_the_program_has_the_verbs(process: Command) -> None:
    """URL and key are in its environment, loopback is not proxied, and no other key is accepted."""
    ran = process("run", "--offline", "--control", "--", PYTHON, "-c", TESTING)
    assert (EXPECTED, "") == (ran.out.splitlines(), ran.err)


@needed
def test_the_verbs_without_a_proxy(tmp_path: Path) -> None:
    """The same in the run's own network namespace."""
    import subprocess

    command = [*RUN[:-1], "--control", "--", PYTHON, "-c", TESTING]
    there = environment(tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
    done = subprocess.run(command, env=there, capture_output=True, text=True, timeout=20, check=False)
    assert (EXPECTED, "") == (done.stdout.splitlines(), done.stderr)


def test_unasked_for_there_is_none(process: Command) -> None:
    """Neither this run's variables are set, nor those of a run around it."""
    around = {"TICKETSTUB_CONTROL": "http://127.0.0.1:1/control/v1", "TICKETSTUB_CONTROL_KEY": "k" * 43}
    assert "0\n" == process("run", "--offline", "--", "sh", "-c", NAMES, env=around).out


def test_another_shell_gets_the_key_from_inside_the_run_alone(process: Command) -> None:
    """`ticketstub env` prints both inside the run; outside, with the run's proxy and authority, it knows neither."""
    own = f"'{PYTHON}' -m ticketstub env --format dotenv"
    outside = f'unset TICKETSTUB_PROXY; {own} --proxy "$HTTPS_PROXY" --ca "$TICKETSTUB_CA"'
    shown = process("run", "--offline", "--control", "--", "sh", "-c", f"{own}; echo; {outside}; env").out
    inside, _, rest = shown.partition("\n\n")
    printed = [line for line in inside.splitlines() if line.startswith("TICKETSTUB_CONTROL")]
    assert ["TICKETSTUB_CONTROL", "TICKETSTUB_CONTROL_KEY"] == [line.partition("=")[0] for line in printed]
    assert [1, 1] == [rest.count(line) for line in printed]  # by `env`, of which the program's own environment is


def test_neither_record_nor_journal_has_the_key(process: Command, tmp_path: Path) -> None:
    """The run's log and record name calls of the control API without its key."""
    file, showing = tmp_path / "seen.jsonl", TESTING + "\nprint(key)"
    ran = process(*("run", "--offline", "--control", "--verbose", "--record", str(file), "--", PYTHON, "-c", showing))
    key = ran.out.splitlines()[-1]
    assert 43 == len(key)
    assert [] == [text for text in (ran.err, file.read_text("utf-8")) if key in text]
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]


DISTURBED = """
import http.client, os, ssl
from urllib.parse import urlsplit
proxy = urlsplit(os.environ["HTTPS_PROXY"])
def asked():
    connection = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=60)
    connection.set_tunnel("plex.tv", 443)
    try:
        connection.request("GET", "/api/v2/ping", headers={"X-Plex-Token": "Xk3mPz_9Q-vT7rLb2NfW"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except http.client.IncompleteRead:
        return "cut off"
    except ConnectionError:
        return "no answer"
print([asked() for _ in range(40)])
"""


def test_chaos_by_its_seed(process: Command) -> None:
    """The same seed gives the same faults in another run, and another seed others; all kinds occur."""
    ran = [
        process("run", "--offline", "--chaos", "0.5", "--seed", seed, "--", PYTHON, "-c", DISTURBED)
        for seed in ("7", "7", "8")
    ]
    assert ["", "", ""] == [each.err for each in ran]
    assert ran[0].out == ran[1].out != ran[2].out
    assert [] == [kind for kind in ("200", "429", "503", "'cut off'", "'no answer'") if kind not in ran[0].out]
