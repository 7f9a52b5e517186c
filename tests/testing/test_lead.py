"""`local_plex.intercept()`: unmodified libraries in the test's process reach the local Plex by Plex's names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator

import aiohttp
import httpx
import httpx2
import pytest
import requests

from ticketstub import AsyncPlex, Plex
from ticketstub.testing import DEVICE, LocalPlexController, local_plex

USER = "https://plex.tv/api/v2/user"


@pytest.fixture(scope="module", name="plex_in_hand")
def _plex_in_hand() -> Iterator[LocalPlexController]:
    with local_plex() as plex:
        yield plex


def fields(token: str) -> dict[str, str]:
    return {"X-Plex-Token": token, "Accept": "application/json"}


def by_requests(token: str) -> str:
    name: str = requests.get(USER, headers=fields(token), timeout=30).json()["username"]
    return name


def by_urllib(token: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(USER, headers=fields(token)), timeout=30) as answer:
        name: str = json.load(answer)["username"]
        return name


def by_httpx(token: str) -> str:
    name: str = httpx.get(USER, headers=fields(token), timeout=30).json()["username"]
    return name


def by_httpx2(token: str) -> str:
    name: str = httpx2.get(USER, headers=fields(token), timeout=30).json()["username"]
    return name


def by_aiohttp(token: str) -> str:
    async def ask() -> str:
        async with aiohttp.ClientSession(trust_env=True) as session, session.get(USER, headers=fields(token)) as answer:
            name: str = (await answer.json())["username"]
            return name

    return asyncio.run(ask())


def by_plex(token: str) -> str:
    with Plex(token=token, device=DEVICE, plex_tv="https://plex.tv") as plex:
        return plex.authentication.get_token_details().username or ""


def by_async_plex(token: str) -> str:
    async def ask() -> str:
        async with AsyncPlex(token=token, device=DEVICE, plex_tv="https://plex.tv") as plex:
            return (await plex.authentication.get_token_details()).username or ""

    return asyncio.run(ask())


LIBRARIES = [by_requests, by_urllib, by_httpx, by_httpx2, by_aiohttp, by_plex, by_async_plex]


@pytest.mark.parametrize("ask", LIBRARIES, ids=lambda ask: ask.__name__.removeprefix("by_"))
def test_a_library_finds_it_at_plex_tv(plex_in_hand: LocalPlexController, ask: Callable[[str], str]) -> None:
    """Within `intercept()` a library that knows only https://plex.tv reaches the local Plex, also twice in a row."""
    token = plex_in_hand.token_for("tom").reveal()
    for _ in range(2):
        plex_in_hand.requests.clear()
        with plex_in_hand.intercept():
            assert "tom" == ask(token)
        assert ["/api/v2/user"] == [each.path for each in plex_in_hand.requests]


def test_everything_is_put_back(plex_in_hand: LocalPlexController, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards the environment, urllib's opener and aiohttp's certificates are restored, also after an error."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", opener := urllib.request.build_opener())
    environment, context = dict(os.environ), aiohttp.connector._SSL_CONTEXT_VERIFIED
    with contextlib.suppress(KeyError), plex_in_hand.intercept():
        assert "proxy.example" not in os.environ["HTTPS_PROXY"]
        assert os.environ["SSL_CERT_FILE"]
        assert context is not aiohttp.connector._SSL_CONTEXT_VERIFIED
        raise KeyError
    assert environment == dict(os.environ)
    assert opener is urllib.request._opener  # type: ignore[attr-defined]  # urllib's own
    assert context is aiohttp.connector._SSL_CONTEXT_VERIFIED


def test_media_servers_are_found_by_their_names(plex_in_hand: LocalPlexController) -> None:
    """The addresses that plex.tv lists lead to the media servers, by HTTPS and their names below plex.direct."""
    token = plex_in_hand.token_for().reveal()
    with plex_in_hand.intercept():
        listed = requests.get(
            "https://clients.plex.tv/api/v2/resources?includeHttps=1",
            headers=fields(token) | {"X-Plex-Client-Identifier": "here"},
            timeout=30,
        ).json()
        uri = next(each["connections"][0]["uri"] for each in listed if each["name"] == "Attic")
        assert ".plex.direct:" in uri
        found = requests.get(f"{uri}/identity", headers={"Accept": "application/json"}, timeout=30).json()
    assert plex_in_hand.media_server("Attic").machine_identifier == found["MediaContainer"]["machineIdentifier"]


def test_a_picture_is_found_at_its_address(plex_in_hand: LocalPlexController) -> None:
    """An account's `thumb`, a URL at plex.tv, is a picture for a program that just opens it."""
    token = plex_in_hand.token_for().reveal()
    with plex_in_hand.intercept():
        thumb = requests.get(USER, headers=fields(token), timeout=30).json()["thumb"]
        found = requests.get(thumb, timeout=30)
    assert thumb.startswith("https://plex.tv/users/")
    assert (200, "image/png") == (found.status_code, found.headers["Content-Type"])


def test_nobody_else_is_reached(plex_in_hand: LocalPlexController) -> None:
    """Other hosts are refused, so that a test cannot reach the network by mistake."""
    with plex_in_hand.intercept(), pytest.raises(requests.exceptions.ProxyError):
        requests.get("https://somebody.example/", timeout=30)


def test_threads_of_the_test_are_led_too(plex_in_hand: LocalPlexController) -> None:
    """The variables belong to the process: a thread that the test starts reaches the local Plex, too."""
    token, found = plex_in_hand.token_for("tom").reveal(), list[str]()
    with plex_in_hand.intercept():
        thread = threading.Thread(target=lambda: found.append(by_requests(token)))
        thread.start()
        thread.join()
    assert ["tom"] == found
