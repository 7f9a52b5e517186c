"""The application of docs/how-to/members-only.md, unchanged, against a local Plex; tests/e2e has it in a browser.

Rule: each browser is an HTTP client with cookies of its own, and plays its user's approval on the local Plex.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any
from unittest.mock import ANY
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.docs import members_only
from tests.docs.members_only import SITE
from ticketstub import Retry
from ticketstub.testing import LocalPlexController

if not find_spec("fastapi") and os.environ.get("CI") != "true":
    pytest.skip("the application needs FastAPI: `make setup` installs it", allow_module_level=True)


class Browser:
    """A browser with its own cookies."""

    def __init__(self, members: Any, plex: LocalPlexController) -> None:
        self.plex = plex
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(members.app), base_url=SITE)

    async def begin(self) -> dict[str, str]:
        """Press "Sign in with Plex"; return what the browser takes to Plex."""
        response = await self.http.post("/sign-in")
        assert 303 == response.status_code
        return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).fragment).items()}

    async def sign_in(self, account: str) -> httpx2.Response:
        """Sign in as the user of an account, who approves; return what the browser gets when it is back."""
        begun = await self.begin()
        self.plex.approve(begun["code"], account=account)
        return await self.http.get(begun["forwardUrl"])

    async def see_home(self) -> tuple[int, str]:
        """Return the status and the sentence of the page for members."""
        return seen(await self.http.get("/"))


def seen(response: httpx2.Response) -> tuple[int, str]:
    found = re.search("<h1>(.*?)</h1>", response.text)
    assert found, response.text
    return response.status_code, found[1]


ADMITTED = (200, "Welcome, tom (friend)")
SIGNED_OUT = (401, "Please sign in.")
NO_MEMBER = (403, "This Plex account is not a member.")
NOT_CONFIRMED = (503, "Plex did not confirm your account. Please try again later.")


@pytest.fixture
def local_plex_world() -> dict[str, Any]:
    return members_only.WORLD


@pytest.fixture
async def members(local_plex: LocalPlexController, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """The application's module, as a process would import it; it waits for no second try of a call."""
    loaded = members_only.load(local_plex.url, monkeypatch)
    loaded.plex = loaded.plex.with_options(retry=Retry(attempts=1))
    async with loaded.plex:
        yield loaded


@pytest.fixture
def browser(members: Any, local_plex: LocalPlexController) -> Browser:
    return Browser(members, local_plex)


async def test_a_member_gets_in(browser: Browser) -> None:
    """A friend with whom the server is shared sees the page for members; before, nobody does."""
    assert SIGNED_OUT == await browser.see_home()
    returned = await browser.sign_in("tom")
    assert (303, "/") == (returned.status_code, returned.headers["location"])
    assert ADMITTED == await browser.see_home()


async def test_the_owner_gets_in(browser: Browser) -> None:
    """The server's owner is a member by its id, without a share."""
    await browser.sign_in("mira_quill")
    assert (200, "Welcome, mira_quill (owner)") == await browser.see_home()


async def test_a_stranger_does_not_get_in(browser: Browser) -> None:
    """An account that the server is not shared with is not a member."""
    assert NO_MEMBER == seen(await browser.sign_in("walt"))
    assert SIGNED_OUT == await browser.see_home()


@pytest.mark.parametrize("server", ["of the same name", "of the same identifier", "of both"])
async def test_a_stranger_with_a_server_that_looks_alike(
    server: str, browser: Browser, local_plex: LocalPlexController
) -> None:
    """A server of the same name, or of the same identifier under another owner, makes nobody a member."""
    resources = members_only.forge_resources(
        local_plex, name=server != "of the same identifier", identifier=server != "of the same name"
    )
    local_plex.answer_next("GET /api/v2/resources", body=resources, media_type="application/json")
    assert NO_MEMBER == seen(await browser.sign_in("walt"))
    assert 200 == local_plex.requests.filter("GET /api/v2/resources")[-1].status
    assert SIGNED_OUT == await browser.see_home()


async def test_a_return_in_another_browser(members: Any, browser: Browser, local_plex: LocalPlexController) -> None:
    """An address to return to is of no use in a browser that did not begin this sign-in, even if it began another."""
    other = Browser(members, local_plex)
    begun = await browser.begin()
    local_plex.approve(begun["code"], account="tom")
    for _ in range(2):
        assert (403, "This sign-in was not begun in this browser.") == seen(await other.http.get(begun["forwardUrl"]))
        assert SIGNED_OUT == await other.see_home()
        await other.begin()
    await browser.http.get(begun["forwardUrl"])
    assert ADMITTED == await browser.see_home()


async def test_a_return_without_approval(browser: Browser, local_plex: LocalPlexController) -> None:
    """A user who comes back without having approved is not admitted, and may still approve."""
    begun = await browser.begin()
    assert (403, "You have not approved the sign-in at Plex.") == seen(await browser.http.get(begun["forwardUrl"]))
    local_plex.approve(begun["code"], account="tom")
    await browser.http.get(begun["forwardUrl"])
    assert ADMITTED == await browser.see_home()


@pytest.mark.parametrize("end", ["declined", "expired"])
async def test_a_sign_in_that_is_over(end: str, browser: Browser, local_plex: LocalPlexController) -> None:
    """A sign-in that the user declined, or that took too long, admits nobody."""
    begun = await browser.begin()
    if end == "declined":
        local_plex.deny(begun["code"])
    else:
        local_plex.advance(minutes=31)
    refused = seen(await browser.http.get(begun["forwardUrl"]))
    assert 403 == refused[0]
    assert SIGNED_OUT == await browser.see_home()


@pytest.mark.parametrize(
    "call", ["POST /api/v2/pins", "GET /api/v2/pins/{id}", "GET /api/v2/user", "GET /api/v2/resources"]
)
async def test_plex_fails(call: str, members: Any, browser: Browser, local_plex: LocalPlexController) -> None:
    """Whichever call of a sign-in Plex does not answer, nobody new gets in, and members stay in."""
    await browser.sign_in("tom")
    local_plex.refuse_next(call, status=503)
    other = Browser(members, local_plex)
    refused = await (other.http.post("/sign-in") if call.startswith("POST") else other.sign_in("tom"))
    assert NOT_CONFIRMED == seen(refused)
    assert SIGNED_OUT == await other.see_home()
    assert ADMITTED == await browser.see_home()


async def test_plex_tv_is_down(members: Any, browser: Browser, local_plex: LocalPlexController) -> None:
    """While plex.tv refuses connections nobody new gets in, and members stay in; afterwards the sign-in goes on."""
    await browser.sign_in("tom")
    other = Browser(members, local_plex)
    begun = await other.begin()
    local_plex.approve(begun["code"], account="mira_quill")
    local_plex.take_down("plex.tv")
    assert NOT_CONFIRMED == seen(await other.http.get(begun["forwardUrl"]))
    assert NOT_CONFIRMED == seen(await Browser(members, local_plex).http.post("/sign-in"))
    assert SIGNED_OUT == await other.see_home()
    assert ADMITTED == await browser.see_home()
    local_plex.bring_up("plex.tv")
    await other.http.get(begun["forwardUrl"])
    assert (200, "Welcome, mira_quill (owner)") == await other.see_home()


async def test_the_session_cookie(members: Any, browser: Browser, local_plex: LocalPlexController) -> None:
    """The cookie is HttpOnly, SameSite=Lax and Secure, names only the member, and is refused when altered."""
    returned = await browser.sign_in("tom")
    cookie = returned.headers["set-cookie"].lower()
    assert {"httponly", "samesite=lax", "secure"} <= {part.strip() for part in cookie.split(";")}
    value = browser.http.cookies["session"]
    session = json.loads(b64decode(value.split(".")[0] + "=="))
    assert {"member": [ANY, "tom", "friend", ANY]} == session
    altered = Browser(members, local_plex)
    altered.http.cookies.set("session", "f" + value[1:])
    assert SIGNED_OUT == await altered.see_home()
    copied = Browser(members, local_plex)
    copied.http.cookies.set("session", value)
    assert ADMITTED == await copied.see_home()


async def test_no_token_stays_valid(browser: Browser, local_plex: LocalPlexController) -> None:
    """The token of a sign-in is revoked as soon as the membership is known, for members and strangers."""
    for account in ("tom", "walt"):
        local_plex.requests.clear()
        await browser.sign_in(account)
        assert [204] == [each.status for each in local_plex.requests if each.path.endswith("/signout")]


async def test_signing_out(browser: Browser) -> None:
    """Signing out ends the session in this browser."""
    await browser.sign_in("tom")
    response = await browser.http.post("/sign-out")
    assert 303 == response.status_code
    assert SIGNED_OUT == await browser.see_home()


async def test_a_membership_is_asked_for_again(members: Any, browser: Browser, local_plex: LocalPlexController) -> None:
    """After an hour a member signs in again. If the share was withdrawn in between, this is refused."""
    await browser.sign_in("tom")
    later = members.clock() + members.MAX_AGE + 1
    members.clock = lambda: later
    assert SIGNED_OUT == await browser.see_home()
    local_plex.unshare("Attic", "tom")
    assert NO_MEMBER == seen(await browser.sign_in("tom"))


async def test_names_are_text(members: Any, browser: Browser, local_plex: LocalPlexController) -> None:
    """A user name with the characters of HTML is shown as it is."""
    account = local_plex.add_account("<b>eve</b>")
    local_plex.share("Attic", account)
    await browser.sign_in("<b>eve</b>")
    assert (200, "Welcome, &lt;b&gt;eve&lt;/b&gt; (friend)") == await browser.see_home()
