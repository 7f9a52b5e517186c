"""The bridge for others: the demonstration, the pytest fixture, and `ticketstub bridge run`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import httpx2 as httpx

from bridge_tests.browsing import Form, find_form
from bridge_tests.processes import COMMAND, run_bridge_command
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


def test_the_fixture_is_an_openid_provider(bridge: RunningBridge) -> None:
    """A test in any language gets an issuer, two applications and people who can sign in."""
    metadata = httpx.get(f"{bridge.url}/.well-known/openid-configuration").json()
    parameters = {
        "client_id": bridge.client_id,
        "redirect_uri": "http://127.0.0.1/callback",
        "response_type": "code",
        "scope": "openid profile",
    }
    with httpx.Client(base_url=bridge.url) as browser:
        page = browser.get(metadata["authorization_endpoint"], params=parameters)
        to_plex = _submit(browser, find_form(page, "/sign-in"))
        bridge.local_plex.approve(re.search(r"code=(\w+)", to_plex)[1], "tom")
        transaction = re.search(r"transaction%3D([\w-]+)", to_plex)[1]
        answer = browser.get(f"/plex/return?transaction={transaction}", follow_redirects=True)
        answer_url = _submit(browser, find_form(answer, "/consent"), decision="allow")
    form = {"grant_type": "authorization_code", "code": re.search(r"code=([\w-]+)", answer_url)[1]}
    form["redirect_uri"] = "http://127.0.0.1/callback"
    tokens = httpx.post(metadata["token_endpoint"], data=form, auth=(bridge.client_id, bridge.client_secret)).json()
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert "tom" == httpx.get(metadata["userinfo_endpoint"], headers=header).json()["preferred_username"]


def _submit(browser: httpx.Client, form: Form, **fields: str) -> str:
    answer = browser.post(form.action, data=form.fields | fields)
    assert 303 == answer.status_code, answer.text
    return answer.headers["location"]


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
        addresses = dict(re.findall(r"^(Bridge|Application)\s+(\S+)", "".join(lines), re.MULTILINE))
        with httpx.Client(follow_redirects=True) as browser:
            assert "Sign in with Plex" in browser.get(addresses["Application"]).text
            page = browser.post(f"{addresses['Application']}/sign-in")
            assert str(page.url).startswith(f"{addresses['Bridge']}/authorize")
            assert "Sign in to Demo application" in page.text
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
