"""plex-oauth 2.2.0 (JavaScript), unmodified, through `ticketstub run`: it has Plex's addresses built in.

Its HTTP library goes by the proxy of the environment, with any Node.js; and in a run without a proxy it is led to the
local Plex all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.strangers.conftest import set_up
from tests.strangers.running import BY_PROXY, Unpointed, transparent

pytestmark = [pytest.mark.strangers, pytest.mark.skipif(sys.platform == "win32", reason="the programs are POSIX's")]

FOLDER = "plexoauth_2_2_0"
FORWARD = "http://127.0.0.1:3000/signed-in"
WAYS: dict[str, Callable[[], tuple[str, ...]]] = {"run": lambda: BY_PROXY, "run --transparent": transparent}


@pytest.fixture(scope="module", params=WAYS)
def stranger(request: pytest.FixtureRequest, tmp_path_factory, require, tell) -> Iterator[Unpointed]:
    options = WAYS[request.param]()
    started = Unpointed(FOLDER, set_up(FOLDER, require, tell), tmp_path_factory.mktemp(FOLDER), options)
    yield started
    assert started.end() in {0, 143}


def code_in(url: str) -> str:
    """The code in the address that a browser is to open."""
    (code,) = parse_qs(urlsplit(url).fragment.removeprefix("?"))["code"]
    return code


@pytest.mark.parametrize("encoded", [False, True], ids=["as it is", "encoded"])
def test_the_address_to_sign_in_at(stranger: Unpointed, encoded: bool) -> None:
    """`requestHostedLoginURL()`, a JSON string for a body, gives Plex's page with code, client and way back."""
    begun = stranger.result("login_url", client=f"oauth-{encoded}", forward=FORWARD, encoded=encoded)
    url = urlsplit(begun["url"])
    assert ("https", "app.plex.tv", "/auth") == (url.scheme, url.netloc, url.path)
    assert encoded is ("context%5Bdevice%5D%5Bproduct%5D=" in url.fragment)
    given = {name: values[0] for name, values in parse_qs(url.fragment.removeprefix("?")).items()}
    assert (f"oauth-{encoded}", FORWARD, "Stranger") == (
        given["clientID"],
        given["forwardUrl"],
        given["context[device][product]"],
    )
    assert 25 == len(given["code"])
    assert int is type(begun["pin"])


def test_a_pin_that_is_approved(stranger: Unpointed) -> None:
    """`checkForAuthToken()` gives nothing while nobody approved the PIN, and then a token, which is the approver's."""
    begun = stranger.result("login_url", client="approved")
    asked = {"client": "approved", "pin": begun["pin"]}
    assert {"token": None} == stranger.result("auth_token", **asked)
    stranger.approve(code_in(begun["url"]))
    token = stranger.result("auth_token", **asked)["token"]
    assert "mira_quill" == stranger.look("/api/v2/user", token)["username"]


def test_a_pin_that_is_waited_for(stranger: Unpointed) -> None:
    """With retries it asks again, a second later at the earliest, which is its own rule."""
    begun = stranger.result("login_url", client="waiting")
    assert {"token": None} == stranger.result("auth_token", client="waiting", pin=begun["pin"], retries=1)


def test_a_pin_that_expired(stranger: Unpointed) -> None:
    """It is not found any more: the library throws, and says with which status."""
    begun = stranger.result("login_url", client="expired")
    stranger.by_hand("pins/expire", pin=begun["pin"])
    outcome = stranger.ask("auth_token", client="expired", pin=begun["pin"])
    assert ("AxiosError", 404) == (outcome["raised"], outcome["status"])


def test_another_client_s_pin(stranger: Unpointed) -> None:
    """A PIN is of the client that began it: another one is not told its token."""
    begun = stranger.result("login_url", client="its own")
    stranger.approve(code_in(begun["url"]))
    assert 404 == stranger.ask("auth_token", client="another", pin=begun["pin"])["status"]
