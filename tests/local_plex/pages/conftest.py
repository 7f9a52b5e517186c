"""Browsers, and apps that want to be approved."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.local_plex.asking import ask, get
from tests.local_plex.pages.browsing import Browser
from ticketstub.testing import LocalPlexController

MakePin = Callable[..., dict[str, Any]]


@pytest.fixture
def browser(plex: LocalPlexController) -> Browser:
    return Browser(plex)


@pytest.fixture
def signed_in(plex: LocalPlexController) -> Browser:
    return Browser(plex).signed_in()


@pytest.fixture
def make_pin(plex: LocalPlexController) -> MakePin:
    """Make a PIN over the API, as an app that calls itself this."""

    def make(*, strong: bool = True, client: str = "demo-client-7c1f", **said: str) -> dict[str, Any]:
        headers = {"Accept": "application/json", "X-Plex-Client-Identifier": client, "X-Plex-Product": "Demo App"}
        query = {f"X-Plex-{name.replace('_', '-')}": value for name, value in said.items()}
        answer = ask(plex.url, "POST", f"/api/v2/pins?{urlencode({'strong': str(strong).lower(), **query})}", headers)
        assert 201 == answer.status, answer
        made: dict[str, Any] = json.loads(answer.body)
        return made

    return make


@pytest.fixture
def token_of(plex: LocalPlexController) -> Callable[[dict[str, Any]], str | None]:
    """What the app of a PIN is told."""

    def ask_for(pin: dict[str, Any]) -> str | None:
        token: str | None = get(plex.url, f"/api/v2/pins/{pin['id']}").json["authToken"]
        return token

    return ask_for


def auth(pin: dict[str, Any], **more: str) -> str:
    """Write the Auth App's URL with its parameters in the query, as the script makes it."""
    return f"/auth?{urlencode({'clientID': pin['clientIdentifier'], 'code': pin['code'], **more})}"
