"""plexauth 0.0.6, unmodified: the flow that Home Assistant signs in with, from its first request to a usable server."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.strangers.test_plexapi import MIRA, PlexApi
from tests.strangers.test_plexapi_signing_in import ATTIC, approve

pytestmark = pytest.mark.strangers


@pytest.fixture
def plexauth(start_stranger) -> PlexApi:
    return PlexApi(*start_stranger("plexauth_0_0_6"))


def test_the_whole_flow(plexauth: PlexApi) -> None:
    """All its facts stand in a form body; the fragment names code and client; the poll brings a token that works."""
    forward = "http://homeassistant.example:8123/auth/plex/callback?flow_id=1f2e"
    begun = plexauth.result("begin", forward=forward)
    address = urlsplit(begun["url"])
    assert ("app.plex.tv", "/auth") == (address.hostname, address.path)
    given = {name: values[0] for name, values in parse_qs(address.fragment.removeprefix("!?")).items()}
    assert (begun["client"], forward, 25) == (given["clientID"], given["forwardUrl"], len(given["code"]))
    assert {"token": None} == plexauth.result("poll"), "the key is there while nobody approved it"
    approve(plexauth, given["code"], MIRA)
    token = plexauth.result("token")["token"]
    assert 20 == len(token)
    assert {} == plexauth.result("close")
    found = plexauth.result("set_up", token=token, server="Attic")
    assert ("mira_quill", ["Attic", ATTIC]) == (found["username"], found["servers"][0])
    assert {"mira_quill", "tom"} <= set(found["accounts"])
    assert "tom" in found["users"]
    assert found["transient"].startswith("transient-")
