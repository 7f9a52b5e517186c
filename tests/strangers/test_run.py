"""Programs in several languages through `ticketstub run`, unmodified, with nothing pointed anywhere.

Each asks for Plex's own addresses, by the ways of its language; proxy and authority it finds in its environment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.strangers import asked
from tests.strangers.conftest import NODE, set_up
from tests.strangers.processes import WORLD
from tests.strangers.running import BY_PROXY, Unpointed, ran
from tests.strangers.test_plexapi import MIRA

pytestmark = [pytest.mark.strangers, pytest.mark.skipif(sys.platform == "win32", reason="the programs are POSIX's")]

PASSWORD = "paper boats sail on"
HEADERS = {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "unpointed", "Accept": "application/json"}
USER = "https://plex.tv/api/v2/user"
PROLOGUE = f"import json, sys\nheaders = {HEADERS!r}\nurl = {USER!r}\n"

PYTHON = {
    "urllib": """
import urllib.request
print(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).read().decode())
""",
    "http.client": """
import http.client, os, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["https_proxy"])
connection = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=10)
connection.set_tunnel("plex.tv", 443)
connection.request("GET", "/api/v2/user", headers=headers)
print(connection.getresponse().read().decode())
""",
    "requests": "import requests\nprint(requests.get(url, headers=headers).text)",
    "httpx": "import httpx\nprint(httpx.get(url, headers=headers).text)",
    "aiohttp": """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(url, headers=headers) as answer:
        print(await answer.text())
asyncio.run(main())
""",
    "ticketstub": """
from ticketstub import Plex
with Plex(token=headers["X-Plex-Token"]) as plex:
    print(json.dumps({"username": plex.authentication.get_token_details().username}))
""",
}


@pytest.mark.parametrize("library", PYTHON)
def test_python(tmp_path: Path, library: str) -> None:
    """urllib, http.client, requests, httpx, aiohttp where it trusts the environment, and our own client."""
    if library != "ticketstub":  # no stranger
        asked.note(library, "token_details", "run")
    said = ran(tmp_path, sys.executable, "-c", PROLOGUE + PYTHON[library])
    assert "mira_quill" == json.loads(said)["username"]


def test_curl(tmp_path: Path, require) -> None:
    """curl, by https and by http; what it asked is written down, without the token."""
    curl = require("curl", "install curl")
    asked.note("curl", "token_details", "run")
    fields = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    for url in (USER, "http://plex.tv/api/v2/user"):
        options = (*BY_PROXY, "--record", str(tmp_path / "asked.jsonl"))
        assert "mira_quill" == json.loads(ran(tmp_path, curl, "-sS", *fields, url, options=options))["username"]
        written = (tmp_path / "asked.jsonl").read_text("utf-8")
        assert "/api/v2/user" in written
        assert MIRA not in written


GO = """
package main

import (
	"fmt"
	"io"
	"net/http"
)

func main() {
	for _, url := range []string{"https://plex.tv/api/v2/user", "https://clients.plex.tv/api/v2/ping"} {
		request, _ := http.NewRequest("GET", url, nil)
		request.Header.Set("X-Plex-Token", "TOKEN")
		request.Header.Set("X-Plex-Client-Identifier", "unpointed")
		request.Header.Set("Accept", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, string(body))
	}
}
"""

JAVA = """
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Unpointed {
    public static void main(String[] arguments) throws Exception {
        for (String url : new String[] {"https://plex.tv/api/v2/user", "https://clients.plex.tv/api/v2/ping"}) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("X-Plex-Token", "TOKEN")
                .header("X-Plex-Client-Identifier", "unpointed").header("Accept", "application/json").build();
            HttpResponse<String> answer =
                HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""

RUBY = """
require "net/http"
puts Net::HTTP.get_response(URI("https://plex.tv/api/v2/user"), HEADERS).body
"""

# Node.js before 22.21 and 24 reads no proxy by itself: there, the tunnel is asked for by hand.
NODE_PROGRAM = """
const headers = HEADERS, http = require('http'), https = require('https'), tls = require('tls');
const [major, minor] = process.versions.node.split('.').map(Number);
if (major >= 24 || (major === 22 && minor >= 21)) {
  fetch('https://plex.tv/api/v2/user', {headers}).then((answer) => answer.text()).then(console.log);
} else {
  const proxy = new URL(process.env.HTTPS_PROXY);
  const asking = http.request({host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: 'plex.tv:443'});
  asking.on('connect', (_, socket) => {
    const createConnection = () => tls.connect({socket, servername: 'plex.tv'});
    https.get({host: 'plex.tv', path: '/api/v2/user', headers, createConnection},
      (answer) => answer.pipe(process.stdout));
  });
  asking.end();
}
"""


def assert_both_answered(said: str) -> None:
    user, ping = said.splitlines()
    assert user.startswith("200 ")
    assert "mira_quill" == json.loads(user[4:])["username"]
    assert '200 {"pong":true}' == ping


def test_ruby(tmp_path: Path, require) -> None:
    """net/http with its defaults."""
    ruby = require("ruby", "install Ruby (ruby-lang.org)")
    asked.note("Net::HTTP", "token_details", "run")
    said = ran(tmp_path, ruby, "-e", RUBY.replace("HEADERS", json.dumps(HEADERS)))
    assert "mira_quill" == json.loads(said)["username"]


def test_git(tmp_path: Path, require) -> None:
    """Git gets to the local Plex by https, and is told that there is no repository."""
    git = require("git", "install git")
    listing = f"{git} ls-remote https://plex.tv/none.git 2>&1 || echo ended with $?"
    assert "not found" in ran(tmp_path, "sh", "-c", listing)


def test_go(tmp_path: Path, require) -> None:
    """net/http with the default client; the standard library alone."""
    go = require("go", "install Go (go.dev)")
    for call in ("token_details", "ping"):
        asked.note("net/http", call, "run")
    (tmp_path / "main.go").write_text(GO.replace("TOKEN", MIRA))
    assert_both_answered(ran(tmp_path, go, "run", "main.go"))


def test_java(tmp_path: Path, require) -> None:
    """java.net.http with its defaults."""
    java = require("java", "install a JDK, 11 or newer")
    for call in ("token_details", "ping"):
        asked.note("java.net.http", call, "run")
    (tmp_path / "Unpointed.java").write_text(JAVA.replace("TOKEN", MIRA))
    assert_both_answered(ran(tmp_path, java, "Unpointed.java"))


def test_node(tmp_path: Path, require) -> None:
    """`fetch` where it reads the proxy, else a tunnel by hand; NODE_EXTRA_CA_CERTS in any case."""
    node = require("node", NODE)
    asked.note("fetch", "token_details", "run")
    said = ran(tmp_path, node, "-e", NODE_PROGRAM.replace("HEADERS", json.dumps(HEADERS)))
    assert "mira_quill" == json.loads(said)["username"]


def test_plexauth(tmp_path: Path, require, tell) -> None:
    """Home Assistant's flow: plexauth with a session that trusts the environment, then python-plexapi as it is."""
    stranger = Unpointed("plexauth_0_0_6", set_up("plexauth_0_0_6", require, tell), tmp_path)
    begun = stranger.result("begin", forward="http://homeassistant.example:8123/auth/plex/callback")
    given = parse_qs(urlsplit(begun["url"]).fragment.removeprefix("!?"))
    stranger.approve(given["code"][0])
    token = stranger.result("poll")["token"]
    stranger.result("close")
    found = stranger.result("set_up", token=token, server="Attic", ssl=None)
    assert ("mira_quill", True) == (found["username"], found["transient"].startswith("transient-"))
    stranger.end()


def test_the_world_is_the_strangers() -> None:
    """The password that is used here is the world's."""
    assert f'password = "{PASSWORD}"' in WORLD.read_text("utf-8")
