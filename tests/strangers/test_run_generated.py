"""The generated SDKs through `ticketstub run`, unmodified: of plex.tv they have no address but the one built into them.

A media server's address their user must name: it is one that Plex told, by https with a name below plex.direct, or by
http. Each release, and each way to call it, as in test_generated_sdks.py, which has what is refused, and why.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.strangers.conftest import NODE, set_up
from tests.strangers.kinds import KINDS, Kind
from tests.strangers.processes import Outcome
from tests.strangers.running import BY_PROXY, Unpointed, options_for_node
from tests.strangers.test_generated_sdks import DEAD, MIRA, SOURCES, TOM_ON_ATTIC, errors_in

pytestmark = [pytest.mark.strangers, pytest.mark.skipif(sys.platform == "win32", reason="the programs are POSIX's")]

CALLED = [
    (kind, way) for kind in KINDS if kind.folder.startswith(("plexpy", "plexjs", "raw_requests")) for way in kind.ways
]
"""plexgo and plexjava go this way with all their pages show: see their own tests."""
TWO_FACTOR = (("mira_quill", "attic stairs creak twice"), ("nora_field", "seven kites over dunes"))
CERTIFI_ALONE = {"plexpy_0_6_6", "plexpy_0_9_0"}
"""They hand requests a request that is ready to be sent, for which it reads no REQUESTS_CA_BUNDLE: by https they trust
certifi's authorities and no other."""
ADDRESS = {
    "https": r"https://127-0-0-1\.[0-9a-f]{32}\.plex\.direct:\d+",
    "http": r"http://127\.0\.0\.1:\d+",
}


class Called:
    """One release, called one way, in its run."""

    def __init__(self, kind: Kind, way: str, stranger: Unpointed) -> None:
        self.kind = kind
        self.nth = kind.ways.index(way)
        self._way = way
        self._stranger = stranger

    def ask(self, call: str, **arguments: object) -> Outcome:
        return self._stranger.ask(call, how=self._way, **arguments)

    def result(self, call: str, **arguments: object) -> Outcome:
        return self._stranger.result(call, how=self._way, **arguments)

    def code_for(self, username: str) -> str:
        """The verification code that this account's device would show now."""
        return self._stranger.by_hand("codes", account=username)["code"]

    def server(self, name: str, scheme: str) -> str:
        """A media server's address: from the resources that the SDK itself lists, if it does."""
        https = scheme == "https"
        if "resources" not in self.kind.offers:
            return self._stranger.address(name, MIRA, https=https)
        return self.result("resources", token=MIRA, https=https)["addresses"][name][0]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, require, tell) -> Iterator[Callable[[str], Unpointed]]:
    """Start each release's run once; none may end badly."""
    runs: dict[str, Unpointed] = {}

    def start(folder: str) -> Unpointed:
        if folder not in runs:
            program = set_up(folder, require, tell)
            options = options_for_node(require("node", NODE)) if folder.startswith("plexjs") else BY_PROXY
            runs[folder] = Unpointed(folder, program, tmp_path_factory.mktemp(folder), options)
        return runs[folder]

    yield start
    assert {0, 143}.issuperset([one.end() for one in runs.values()])


@pytest.fixture
def called(request: pytest.FixtureRequest, started: Callable[[str], Unpointed], record_property) -> Called:
    kind, way = request.param
    stranger = started(kind.folder)
    record_property("ticketstub run", " ".join(stranger.options))  # told in the report: it is the Node.js at hand's
    return Called(kind, way, stranger)


def offering(call: str) -> pytest.MarkDecorator:
    """Run a test once for every release that offers this call, and every way to make it."""
    found = [(kind, way) for kind, way in CALLED if call in kind.offers]
    names = [f"{kind.folder}-{way}" for kind, way in found]
    return pytest.mark.parametrize("called", found, ids=names, indirect=True)


@offering("sign_in")
def test_password_signs_in(called: Called) -> None:
    """A password gives a new token, and that one its account: both of https://plex.tv, as far as the SDK knows."""
    signed_in = called.result("sign_in", login="pip", password="paper boats sail on")
    assert ("pip", 20) == (signed_in["username"], len(signed_in["token"]))
    assert signed_in == called.result("token_details", token=signed_in["token"])


@offering("sign_in")
def test_verification_code_is_asked_for_and_accepted(called: Called) -> None:
    """Without the code a sign-in is refused as 1029, with it it succeeds; once, so each way has its own account."""
    name, password = TWO_FACTOR[called.nth]
    assert [1029] == errors_in(called.ask("sign_in", login=name, password=password))
    code = called.code_for(name)
    assert name == called.result("sign_in", login=name, password=password, verification_code=code)["username"]


@offering("sign_in")
def test_refusals_are_the_sdk_s_typed_errors(called: Called) -> None:
    """A wrong password and a dead token are 401 and 1001, in the classes that the SDK has for them."""
    password = called.ask("sign_in", login="pip", password="not this one")
    token = called.ask("token_details", token=DEAD)
    for refused in (password, token):
        assert refused["raised"].endswith("Unauthorized")
        assert (401, [1001]) == (refused["status"], refused["codes"])


@pytest.mark.parametrize("scheme", ["https", "http"])
@offering("resources")
def test_resources(called: Called, scheme: str) -> None:
    """The servers come with tokens and with addresses: by https where that is wished for."""
    found = called.result("resources", token=MIRA, https=scheme == "https")
    assert {"Attic": MIRA, "Cellar": MIRA} == found["servers"]
    assert re.fullmatch(ADDRESS[scheme], found["addresses"]["Attic"][0])


@pytest.mark.parametrize("scheme", ["https", "http"])
@offering("transient_token")
def test_transient_token(called: Called, scheme: str) -> None:
    """A media server at the address that Plex told gives a transient token; a dead one is refused."""
    server = called.server("Attic", scheme)
    assert re.fullmatch(ADDRESS[scheme], server)
    if scheme == "https" and called.kind.folder in CERTIFI_ALONE:
        assert "SSLError" == called.ask("transient_token", server=server, token=TOM_ON_ATTIC)["raised"]
        return
    found = called.result("transient_token", server=server, token=TOM_ON_ATTIC)
    if called.kind.keeps_answers:
        assert found["token"].startswith("transient-")
    assert 401 == called.ask("transient_token", server=server, token=DEAD)["status"]


@pytest.mark.parametrize("scheme", ["https", "http"])
@offering("source")
def test_source(called: Called, scheme: str) -> None:
    """The other media server tells a source's name and addresses, and refuses as documented."""
    server = called.server("Cellar", scheme)
    if scheme == "https" and called.kind.folder in CERTIFI_ALONE:
        assert "SSLError" == called.ask("source", server=server, token=MIRA, source=max(SOURCES))["raised"]
        return
    found = called.result("source", server=server, token=MIRA, source=max(SOURCES))
    if called.kind.keeps_answers:
        assert "Friend Box" == found["name"]
        assert found["token"].startswith("transient-")
    assert 401 == called.ask("source", server=server, token=DEAD, source=max(SOURCES))["status"]


@pytest.fixture(scope="module")
def csharp(tmp_path_factory: pytest.TempPathFactory, require, tell) -> Iterator[dict[str, Unpointed]]:
    """What plexcsharp sends, in a run as it is, and in one of a world in which JSON is the default."""
    program = set_up("raw_requests", require, tell)
    worlds = {"xml": "", "json": 'default_format = "json"\n'}  # the world's last table is [answers]
    with ExitStack() as endings:
        runs = {}
        for name, more in worlds.items():
            runs[name] = Unpointed("raw_requests", program, tmp_path_factory.mktemp("csharp"), more=more)
            endings.callback(runs[name].end)
        yield runs


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("token_in", ["header", "query"])
@pytest.mark.parametrize("call", ["transient_token", "source"])
def test_plexcsharp(csharp: dict[str, Unpointed], call: str, token_in: str, scheme: str) -> None:
    """It sends no `Accept`: in the one world comes XML, with the answer in it; in the other, JSON that it can read."""
    outcomes = {}
    for name, run in csharp.items():
        server = run.address("Attic", MIRA, https=scheme == "https")
        asked = {"server": server, "token": MIRA, "token_in": token_in, "source": "provider://tv.example.movies"}
        outcomes[name] = run.ask(call, how="plexcsharp", **asked)
    assert (200, "text/xml") == (outcomes["xml"]["status"], outcomes["xml"]["content_type"])
    assert re.search(' (token|accessToken)="transient-', outcomes["xml"]["body"])
    assert outcomes["json"]["result"]["token"].startswith("transient-")
