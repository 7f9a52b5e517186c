"""The bridge for others: the demonstration, the pytest fixture, and `ticketstub bridge run`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import httpx2 as httpx
import pytest

from bridge_tests.bridges import get_query
from bridge_tests.processes import COMMAND, run_bridge_command
from ticketstub import MemoryStore, Password, Plex
from ticketstub_bridge.robot import SignInRefused
from ticketstub_bridge.running import RunningBridge

PROGRAM = """
import json, os, urllib.request
url = os.environ["BRIDGE_ISSUER"] + "/.well-known/openid-configuration"
print(json.dumps([json.load(urllib.request.urlopen(url))["issuer"], dict(os.environ)]))
"""


def test_a_program_gets_a_bridge() -> None:
    """`ticketstub bridge run` starts a local Plex and a bridge, names both to a program, and returns its code."""
    result = run_bridge_command("run", "--", sys.executable, "-c", PROGRAM)
    assert 0 == result.returncode, result.stderr
    issuer, env = json.loads(result.stdout)
    assert issuer == env["BRIDGE_ISSUER"]
    assert {"BRIDGE_CLIENT_ID", "BRIDGE_CLIENT_SECRET", "BRIDGE_REDIRECT_URI", "BRIDGE_PUBLIC_CLIENT_ID"} <= set(env)
    assert 7 == run_bridge_command("run", "--", sys.executable, "-c", "raise SystemExit(7)").returncode


REDIRECT_URI = "http://127.0.0.1/callback"


def make_url(bridge: RunningBridge, **parameters: str) -> str:
    """Return the authorization URL of the application under test."""
    query = {"client_id": bridge.client_id, "redirect_uri": REDIRECT_URI, "response_type": "code"}
    return str(httpx.URL(f"{bridge.url}/authorize", params=query | {"scope": "openid profile"} | parameters))


def redeem(bridge: RunningBridge, answer: str) -> str:
    """Redeem the code of an answer, and return who signed in."""
    form = {"grant_type": "authorization_code", "code": get_query(answer)["code"], "redirect_uri": REDIRECT_URI}
    tokens = httpx.post(f"{bridge.url}/token", data=form, auth=(bridge.client_id, bridge.client_secret)).json()
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    return str(httpx.get(f"{bridge.url}/userinfo", headers=header).json()["preferred_username"])


def test_the_fixture_signs_people_in(bridge: RunningBridge) -> None:
    """A test names a person and gets the application's address with a code. A person without access is refused."""
    answer = bridge.sign_in(make_url(bridge, state="s"), "tom")
    assert (f"{REDIRECT_URI}?", "s") == (answer[: len(REDIRECT_URI) + 1], get_query(answer)["state"])
    assert "tom" == redeem(bridge, answer)
    assert "mira-quill" == redeem(bridge, bridge.sign_in(make_url(bridge), "mira_quill"))
    with pytest.raises(SignInRefused, match="No access"):
        bridge.sign_in(make_url(bridge), "juno_vale")
    with pytest.raises(ValueError, match="begins with"):
        bridge.sign_in("http://127.0.0.1/authorize?", "tom")


def test_a_person_is_signed_in_without_a_page(bridge: RunningBridge) -> None:
    """With a person set, a browser goes straight back to the application, and is signed in; otherwise it sees pages."""
    with httpx.Client() as browser:
        assert "Continue to Plex" in browser.get(make_url(bridge)).text
        bridge.person = "tom"
        answer = browser.get(make_url(bridge))
        assert 303 == answer.status_code
        assert "tom" == redeem(bridge, answer.headers["location"])
        silent = browser.get(make_url(bridge, prompt="none"))
        assert "tom" == redeem(bridge, silent.headers["location"])
    bridge.person = "juno_vale"
    assert "Continue to Plex" in httpx.get(make_url(bridge)).text


def test_the_control_address_signs_people_in(bridge: RunningBridge) -> None:
    """Programs in any language ask the control address, with its key."""
    address, key = bridge.env["BRIDGE_CONTROL"], {"Authorization": f"Bearer {bridge.env['BRIDGE_CONTROL_KEY']}"}
    wanted = {"url": make_url(bridge), "person": "tom"}
    assert 401 == httpx.post(f"{address}/sign-in", json=wanted).status_code
    answer = httpx.post(f"{address}/sign-in", json=wanted, headers=key)
    assert "tom" == redeem(bridge, answer.json()["location"])
    refused = httpx.post(f"{address}/sign-in", json=wanted | {"person": "juno_vale"}, headers=key)
    assert (409, 403) == (refused.status_code, refused.json()["status"])
    for faulty in ({}, wanted | {"person": "nobody"}, wanted | {"url": "x"}, wanted | {"person": None}):
        assert 400 == httpx.post(f"{address}/sign-in", json=faulty, headers=key).status_code
    assert 400 == httpx.post(f"{address}/sign-in", content=b"{", headers=key).status_code
    assert 204 == httpx.post(f"{address}/person", json={"person": "tom"}, headers=key).status_code
    assert 303 == httpx.get(make_url(bridge)).status_code


def test_a_program_signs_in_by_itself() -> None:
    """`ticketstub bridge run --person` signs the person in when the program's application sends its browser."""
    program = (
        "import os, urllib.request\n"
        "url = os.environ['BRIDGE_ISSUER'] + '/authorize?response_type=code&scope=openid&client_id='\n"
        "url += os.environ['BRIDGE_CLIENT_ID'] + '&redirect_uri=' + os.environ['BRIDGE_REDIRECT_URI']\n"
        "class Stay(urllib.request.HTTPRedirectHandler):\n"
        "    def redirect_request(self, *_): return None\n"
        "try: urllib.request.build_opener(Stay).open(url)\n"
        "except urllib.error.HTTPError as error: print(error.headers['Location'])\n"
    )
    options = ["run", "--person", "tom", "--redirect-uri", "http://127.0.0.1:9/back"]
    result = run_bridge_command(*options, "--", sys.executable, "-c", program)
    assert result.stdout.startswith("http://127.0.0.1:9/back?code="), result.stderr


def test_the_demonstration() -> None:
    """The demonstration starts everything, says what to open, and its application sends people to the bridge."""
    process = subprocess.Popen(
        [*COMMAND, "demo", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        command = re.search(r"verification code, too: (.+)", "".join(lines))
        assert command is not None
        code = subprocess.run(command[1].split(), capture_output=True, text=True, check=True).stdout
        assert re.match(r"\d{6}\b", code)
        passwords = dict(re.findall(r"^  (\w+) +password (\S+)$", "".join(lines), re.MULTILINE))
        assert {"mira_quill", "tom", "juno_vale"} <= set(passwords)
        addresses = dict(re.findall(r"^(Bridge|Application|Local Plex)\s+(\S+)", "".join(lines), re.MULTILINE))
        with httpx.Client(follow_redirects=True) as browser:
            assert "Sign in with Plex" in browser.get(addresses["Application"]).text
            page = browser.post(f"{addresses['Application']}/sign-in")
            assert str(page.url).startswith(f"{addresses['Bridge']}/authorize")
            assert "Sign in to Demo application" in page.text
        with Plex.sign_in(
            "A test",
            method=Password(login="tom", password=passwords["tom"]),
            plex_tv=addresses["Local Plex"],
            store=MemoryStore(),
        ) as plex:
            assert "tom" == plex.account().details.username
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
