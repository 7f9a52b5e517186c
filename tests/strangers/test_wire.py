"""What plexjs 0.35.1 and 0.39.0 are sent and throw away: the answers of a media server, seen by a relay before it.

Their two media-server calls return nothing but the status: the SDK reads the body and drops it. So the answer is taken
from the wire, together with what the SDK asked: GET, no identity, `Accept: application/json`.
"""

import json

import pytest

from tests.strangers.kinds import KINDS, Caller
from tests.strangers.wire import relay_to

pytestmark = pytest.mark.strangers

MIRA = "Xk3mPz_9Q-vT7rLb2NfW"
DROPPING = [kind for kind in KINDS if not kind.keeps_answers]
WAYS = [(kind, way) for kind in DROPPING for way in kind.ways]


@pytest.fixture(params=WAYS, ids=[f"{kind.folder}-{way}" for kind, way in WAYS])
def dropping(request: pytest.FixtureRequest, start_stranger) -> Caller:
    kind, way = request.param
    return Caller(kind, way, *start_stranger(kind.folder))


def test_transient_token_and_source_on_the_wire(dropping: Caller) -> None:
    """A transient token is on the wire, opens a source of either kind, and nothing of it reaches the SDK's user."""
    with relay_to(dropping.plex.servers["Attic"]) as relay:
        nothing = dropping.ask("transient_token", server=relay.url, token=MIRA)
        asked = relay.exchanges.pop()
        transient = json.loads(asked.body)["MediaContainer"]["token"]
        for source in dropping.plex.sources["Attic"]:
            dropping.ask("source", server=relay.url, token=transient, source=source["identifier"])
    devices = [json.loads(each.body)["MediaContainer"]["Device"] for each in relay.exchanges]
    assert transient.startswith("transient-")
    assert [source["name"] for source in dropping.plex.sources["Attic"]] == [device["name"] for device in devices]
    assert all(device["accessToken"].startswith("transient-") for device in devices)
    assert ["contentType", "rawResponse", "statusCode"] == nothing["result"]["keys"]
    assert transient not in nothing["result"]["text"]


def test_its_request_carries_no_identity(dropping: Caller) -> None:
    """It asks by GET and names no client: a media server answers all the same."""
    with relay_to(dropping.plex.servers["Attic"]) as relay:
        assert 200 == dropping.ask("transient_token", server=relay.url, token=MIRA)["status"]
    (asked,) = relay.exchanges
    assert ("GET", "/security/token?scope=all&type=delegation") == (asked.method, asked.path)
    assert ["x-plex-token"] == [name.lower() for name in asked.headers if name.lower().startswith("x-plex")]
    assert asked.content_type.startswith("application/json")
