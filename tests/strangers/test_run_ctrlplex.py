"""@ctrl/plex 3.12.1 (TypeScript), unmodified, through `ticketstub run`: it has Plex's addresses built in."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.strangers.conftest import set_up
from tests.strangers.running import Unpointed
from tests.strangers.test_generated_sdks import DEAD, MIRA, TOM_ON_ATTIC
from tests.strangers.test_plexapi_signing_in import ATTIC

pytestmark = [pytest.mark.strangers, pytest.mark.skipif(sys.platform == "win32", reason="the programs are POSIX's")]

FOLDER = "ctrlplex_3_12_1"


@pytest.fixture(scope="module")
def ctrlplex(tmp_path_factory: pytest.TempPathFactory, require, tell) -> Iterator[Unpointed]:
    stranger = Unpointed(FOLDER, set_up(FOLDER, require, tell), tmp_path_factory.mktemp(FOLDER))
    yield stranger
    assert stranger.end() in {0, 143}


def test_password_signs_in(ctrlplex: Unpointed) -> None:
    """`new MyPlexAccount(…).connect()` with a password, at the legacy address; a wrong one is 401."""
    signed_in = ctrlplex.result("sign_in", login="pip", password="paper boats sail on")
    assert ("pip", 20) == (signed_in["username"], len(signed_in["token"]))
    assert "pip" == ctrlplex.result("token_details", token=signed_in["token"])["username"]
    assert 401 == ctrlplex.ask("sign_in", login="pip", password="not this one")["status"]


def test_token(ctrlplex: Unpointed) -> None:
    """With a token it reads the account, and keeps the token; a dead one is 401."""
    account = ctrlplex.result("token_details", token=MIRA)
    assert ("mira_quill", "mira@example.test", MIRA) == (account["username"], account["email"], account["token"])
    assert 401 == ctrlplex.ask("token_details", token=DEAD)["status"]


def test_signing_in_through_the_browser(ctrlplex: Unpointed) -> None:
    """`getWebLogin()` gives Plex's page with code and way back, `webLoginCheck()` the account of who approved."""
    begun = ctrlplex.result("pin_begin", name="web", forward="http://127.0.0.1:3000/signed-in")
    url = urlsplit(begun["url"])
    assert ("app.plex.tv", "/auth") == (url.netloc, url.path)
    given = parse_qs(url.fragment.removeprefix("?"))
    assert ([begun["code"]], ["http://127.0.0.1:3000/signed-in"]) == (given["code"], given["forwardUrl"])
    ctrlplex.approve(begun["code"])
    assert "mira_quill" == ctrlplex.result("pin_wait", name="web")["username"]


def test_resources(ctrlplex: Unpointed) -> None:
    """An owner's servers come with the token that was presented, a shared one with the share's own."""
    assert {"Attic": MIRA, "Cellar": MIRA} == ctrlplex.result("resources", token=MIRA)["servers"]
    assert {"Attic": TOM_ON_ATTIC} == ctrlplex.result("resources", token="Tm7_bV3xQ-k9LwSz5RcJ")["servers"]


@pytest.mark.parametrize("ssl", [True, False], ids=["https", "http"])
def test_connects(ctrlplex: Unpointed, ssl: bool) -> None:
    """`resource.connect()`, by https and a name below plex.direct, and by http where asked."""
    found = ctrlplex.result("connect", token=MIRA, name="Attic", ssl=ssl)
    assert ("Attic", ATTIC) == (found["name"], found["identifier"])
    https = r"https://127-0-0-1\.[0-9a-f]{32}\.plex\.direct:\d+"
    assert re.fullmatch(https if ssl else r"http://127\.0\.0\.1:\d+", found["url"])


def test_devices_and_claims(ctrlplex: Unpointed) -> None:
    """The account's devices, from XML, and a claim token."""
    assert ATTIC in ctrlplex.result("devices", token=MIRA)["devices"]
    assert ctrlplex.result("claim_token", token=MIRA)["token"].startswith("claim-")


def test_server(ctrlplex: Unpointed) -> None:
    """`PlexServer` at an address reads who it is; a dead token is 401."""
    address = ctrlplex.address("Attic", MIRA, https=True)
    assert ATTIC == ctrlplex.result("server", server=address, token=MIRA)["identifier"]
    assert 401 == ctrlplex.ask("server", server=address, token=DEAD)["status"]
