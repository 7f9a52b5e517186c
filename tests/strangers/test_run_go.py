"""plexgo through `ticketstub run`, unmodified: its documentation's calls, with no address but those built into it.

Go's net/http finds proxy and authority in the environment. The media servers' addresses are those that the resources
tell. What is pointed to the local Plex by an option is in test_generated_sdks.py and test_plexgo.py.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator

import pytest

from tests.strangers.conftest import set_up
from tests.strangers.kinds import KINDS
from tests.strangers.running import Unpointed
from tests.strangers.test_generated_sdks import DEAD, MIRA, SOURCES, TOM_ON_ATTIC

pytestmark = [pytest.mark.strangers, pytest.mark.skipif(sys.platform == "win32", reason="the programs are POSIX's")]

FOLDERS = [kind.folder for kind in KINDS if kind.folder.startswith("plexgo")]
TYPED = {kind.folder for kind in KINDS if "transient_token" in kind.typed_errors}
OLDER = pytest.mark.parametrize("plexgo", ["plexgo_0_20_0"], indirect=True)
"""The release whose program passes a call's options and contexts on."""
WAYS = ["security", "security_source"]
PASSWORD = "paper boats sail on"
ADDRESS = {
    "https": r"https://127-0-0-1\.[0-9a-f]{32}\.plex\.direct:\d+",
    "http": r"http://127\.0\.0\.1:\d+",
}
SLOW = {"call": "GET /api/v2/user", "seconds": 20, "at": "plex.tv"}
SOON = 5.0
"""Seconds: less than the delay, more than any machine needs for a call that ends after 50 ms."""
RETRIES = {
    "Strategy": "backoff",
    "Backoff": {"InitialInterval": 1, "MaxInterval": 5, "Exponent": 1.1, "MaxElapsedTime": 5000},
    "RetryConnectionErrors": False,
}


@pytest.fixture(scope="module", params=FOLDERS)
def plexgo(request: pytest.FixtureRequest, tmp_path_factory, require, tell) -> Iterator[Unpointed]:
    """A release within its run, which has to end well."""
    program = set_up(request.param, require, tell)
    stranger = Unpointed(request.param, program, tmp_path_factory.mktemp(request.param))
    yield stranger
    assert stranger.end() in {0, 143}


@pytest.mark.parametrize("how", WAYS)
def test_password_signs_in(plexgo: Unpointed, how: str) -> None:
    """`PostUsersSignInData` gives a new token, and `GetTokenDetails` that token's account."""
    signed_in = plexgo.result("sign_in", how=how, login="pip", password=PASSWORD)
    assert ("pip", 20) == (signed_in["username"], len(signed_in["token"]))
    assert signed_in == plexgo.result("token_details", how=how, token=signed_in["token"])


def test_verification_code(plexgo: Unpointed) -> None:
    """With two-factor authentication the code is asked for, and accepted."""
    credentials = {"how": "security", "login": "mira_quill", "password": "attic stairs creak twice"}
    assert [1029] == codes_of(plexgo.ask("sign_in", **credentials))
    code = plexgo.by_hand("codes", account="mira_quill")["code"]
    assert "mira_quill" == plexgo.result("sign_in", **credentials, verification_code=code)["username"]


def codes_of(refused: dict[str, object]) -> list[int]:
    """The codes in a refusal's text, whichever class it came in."""
    return [int(code) for code in re.findall(r'"code":\s*(\d+)', str(refused["body"]))]


@pytest.mark.parametrize("how", WAYS)
def test_refusals_are_typed_errors(plexgo: Unpointed, how: str) -> None:
    """A wrong password and a dead token are 401 and 1001, in the types that the SDK has for them."""
    password = plexgo.ask("sign_in", how=how, login="pip", password="not this one")
    token = plexgo.ask("token_details", how=how, token=DEAD)
    for refused in (password, token):
        assert refused["raised"].endswith("Unauthorized")
        assert (401, [1001]) == (refused["status"], refused["codes"])


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_resources(plexgo: Unpointed, scheme: str) -> None:
    """The servers come with tokens and with addresses: by https where `IncludeHTTPS` asks for it."""
    found = plexgo.result("resources", how="security", token=MIRA, https=scheme == "https")
    assert {"Attic": MIRA, "Cellar": MIRA} == found["servers"]
    assert re.fullmatch(ADDRESS[scheme], found["addresses"]["Attic"][0])


def server(plexgo: Unpointed, name: str, scheme: str) -> str:
    """A media server's address, as the SDK's own listing has it."""
    return plexgo.result("resources", how="security", token=MIRA, https=scheme == "https")["addresses"][name][0]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_transient_token_and_source(plexgo: Unpointed, scheme: str, how: str) -> None:
    """A transient token that a media server gave, at the address that Plex told, opens a source there."""
    attic = server(plexgo, "Attic", scheme)
    transient = plexgo.result("transient_token", how=how, server=attic, token=MIRA)["token"]
    assert transient.startswith("transient-")
    found = plexgo.result("source", how=how, server=attic, token=transient, source=max(SOURCES))
    assert ("Friend Box", True) == (found["name"], found["token"].startswith("transient-"))


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_media_server_refuses(plexgo: Unpointed, scheme: str) -> None:
    """As observed a refusal is a page, as documented JSON, in a type of its own if the release has one."""
    attic, cellar = server(plexgo, "Attic", scheme), server(plexgo, "Cellar", scheme)
    observed = plexgo.ask("transient_token", how="security", server=attic, token=DEAD)
    assert ("SDKError", 401) == (observed["raised"], observed["status"])
    documented = plexgo.ask("transient_token", how="security", server=cellar, token=DEAD)
    typed = "GetTransientTokenUnauthorized" if plexgo.name in TYPED else "SDKError"
    assert (typed, 401, [1001]) == (documented["raised"], documented["status"], codes_of(documented))
    asked = {"how": "security", "server": attic}
    assert 403 == plexgo.ask("source", **asked, token=TOM_ON_ATTIC, source=max(SOURCES))["status"]
    assert 404 == plexgo.ask("source", **asked, token=MIRA, source="server://nobody-s")["status"]


@OLDER
@pytest.mark.parametrize("ended", ["deadline", "cancelled"])
def test_context_ends_a_call(plexgo: Unpointed, ended: str) -> None:
    """A context's deadline or its cancellation ends a call that plex.tv lets wait, and the next one is answered."""
    plexgo.by_hand("delays", **SLOW)
    begun = time.monotonic()
    outcome = plexgo.ask("token_details", how="security", token=MIRA, context=ended)
    assert (True, True) == (outcome["context_ended"], time.monotonic() - begun < SOON)
    assert "mira_quill" == plexgo.result("token_details", how="security", token=MIRA)["username"]


@OLDER
def test_operation_timeout(plexgo: Unpointed) -> None:
    """`WithOperationTimeout` does the same for one call."""
    plexgo.by_hand("delays", **SLOW)
    begun = time.monotonic()
    fifty_milliseconds = 50_000_000  # Go counts nanoseconds
    outcome = plexgo.ask("token_details", how="security", token=MIRA, options={"timeout": fifty_milliseconds})
    assert (True, True) == (outcome["context_ended"], time.monotonic() - begun < SOON)


@OLDER
def test_retries(plexgo: Unpointed) -> None:
    """With `WithRetries` a call outlasts two 503; without it the first is its error."""
    refusal = {"call": "GET /api/v2/user", "status": 503, "at": "plex.tv"}
    plexgo.by_hand("refusals", **refusal, times=2)
    asked = {"how": "security", "token": MIRA}
    assert "mira_quill" == plexgo.result("token_details", **asked, options={"retries": RETRIES})["username"]
    plexgo.by_hand("refusals", **refusal)
    refused = plexgo.ask("token_details", **asked)
    assert ("SDKError", 503) == (refused["raised"], refused["status"])
