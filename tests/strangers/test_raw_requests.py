"""Requests as plexjava 0.16.0 and plexcsharp 0.2.0 send them, where the SDKs themselves cannot be had.

What plexjava has in common with the other SDKs runs in test_generated_sdks.py. Here is plexcsharp, which
sends no `Accept`: a real server answers it in XML, which it cannot read, and so does the local Plex by default. Every
answer is read by the SDK's own rule, see raw_requests/program.py.
"""

import re
import sys
from collections.abc import Iterator

import pytest

from tests.strangers.environments import HERE
from tests.strangers.processes import LocalPlex, Outcome, Stranger

pytestmark = pytest.mark.strangers

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
DEAD = "Dd0-xX9_zZ8yWw7VvU6t"
SOURCE = "provider://tv.example.movies"
ROKU = {"clientName": "Plex for Roku", "deviceNickname": "Roku 3", "clientVersion": "2.4.1", "platform": "Roku"}
CALLS = ["transient_token", "source"]
JSON_BY_DEFAULT = 'default_format = "json"\n'  # the world's last table is [answers]


class Raw:
    """The program that sends raw requests, beside a local Plex."""

    def __init__(self, stranger: Stranger, plex: LocalPlex) -> None:
        self.stranger = stranger
        self.plex = plex

    def ask(self, sdk: str, call: str, **arguments: str | dict[str, str]) -> Outcome:
        server = self.plex.servers[str(arguments.pop("server", "Attic"))]
        facts = {"plex_tv": self.plex.plex_tv, "server": server, "source": SOURCE, "token": MIRA}
        return self.stranger.ask(call, how=sdk, **facts | arguments)


@pytest.fixture
def by_default(start_stranger) -> Raw:
    """The local Plex as it comes: XML where nothing is asked for, as real servers do."""
    return Raw(*start_stranger("raw_requests"))


@pytest.fixture(scope="module")
def in_json(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    """A local Plex whose world says `default_format = "json"`."""
    place = tmp_path_factory.mktemp("json-by-default")
    plex = LocalPlex(place, JSON_BY_DEFAULT)
    stranger = Stranger("raw_requests", [sys.executable, str(HERE / "raw_requests" / "program.py")], place)
    try:
        yield Raw(stranger, plex)
    finally:
        stranger.end()
        plex.end()


@pytest.mark.parametrize("token_in", ["header", "query"])
@pytest.mark.parametrize("server", ["Attic", "Cellar"])
@pytest.mark.parametrize("call", CALLS)
def test_plexcsharp_is_answered_in_xml_and_cannot_read_it(by_default: Raw, call, server, token_in) -> None:
    """Without `Accept` comes XML, with the answer in it, which a reader of JSON alone has no use for."""
    outcome = by_default.ask("plexcsharp", call, server=server, token_in=token_in)
    assert (200, "text/xml") == (outcome["status"], outcome["content_type"])
    assert "unreadable" in outcome
    assert re.search(' (token|accessToken)="transient-', outcome["body"])


@pytest.mark.parametrize("token_in", ["header", "query"])
@pytest.mark.parametrize("server", ["Attic", "Cellar"])
@pytest.mark.parametrize("call", CALLS)
def test_plexcsharp_works_where_json_is_the_default(in_json: Raw, call, server, token_in) -> None:
    """With `default_format = "json"` both its operations give what their caller is after."""
    outcome = in_json.ask("plexcsharp", call, server=server, token_in=token_in)
    assert (200, "application/json") == (outcome["status"], outcome["content_type"])
    assert outcome["result"]["token"].startswith("transient-")


def test_plexcsharp_s_transient_token_opens_a_source(in_json: Raw) -> None:
    """A transient token that it was given asks for a source, whose prefix it does not percent-encode."""
    transient = in_json.ask("plexcsharp", "transient_token")["result"]["token"]
    source = "server://5e80c2a7149db36f20e5d8417ba0936cf21d4e88"
    found = in_json.ask("plexcsharp", "source", token=transient, source=source)["result"]
    assert ("Friend Box", "http://192.0.2.50:32400") == (found["name"], found["connections"][0])


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("world", ["by_default", "in_json"])
def test_plexcsharp_types_a_401_only_in_json(request: pytest.FixtureRequest, world: str, call: str) -> None:
    """As observed a refusal is a page and gives it no object, as documented it is JSON and does, in either world."""
    raw: Raw = request.getfixturevalue(world)
    observed = raw.ask("plexcsharp", call, server="Attic", token=DEAD)
    assert (401, "text/html", None) == (observed["status"], observed["content_type"], observed["object"])
    documented = raw.ask("plexcsharp", call, server="Cellar", token=DEAD)
    assert (401, [1001]) == (documented["status"], [error["code"] for error in documented["object"]["errors"]])


@pytest.mark.parametrize("server", ["Attic", "Cellar"])
def test_plexcsharp_gets_a_400_and_a_404_as_a_status_alone(in_json: Raw, server: str) -> None:
    """Neither is an error to it: its caller sees the status, and no object."""
    for source, status in (("attic", 400), ("provider://tv.example.nothing", 404)):
        outcome = in_json.ask("plexcsharp", "source", server=server, source=source)
        assert (status, None) == (outcome["status"], outcome["object"])


def test_plexjava_signs_in_while_it_offers_http_2(by_default: Raw) -> None:
    """Its sign-in has a form and an offer of HTTP/2: the offer is not taken, and the form is read."""
    password = by_default.plex.accounts["pip"]["password"]
    signed_in = by_default.ask("plexjava", "sign_in", login="pip", password=password, device=ROKU)
    assert (201, "pip") == (signed_in["status"], signed_in["result"]["username"])


def test_plexjava_s_offer_of_http_2_is_not_taken(by_default: Raw) -> None:
    """A request without a body is answered in HTTP/1.1, as every server may."""
    assert "mira_quill" == by_default.ask("plexjava", "token_details")["result"]["username"]
