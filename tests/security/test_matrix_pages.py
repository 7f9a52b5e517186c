"""S15 for the pages: who is signed in at a browser, and what each page and form does for who is not.

Rule: as in test_matrix.py. A page is never opened by a token of the API, nor a route of the API by a browser's cookie.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.local_plex.whole import PASSWORD, Browser
from tests.security.stage import Stage, household
from ticketstub.local_plex.domain.overview import Overview
from ticketstub.local_plex.pages.site import PAGES
from ticketstub.local_plex.world.schema import World

COLUMNS = ("nobody", "planted", "signed out", "token", "signed in", "foreign form")
FORMS = {
    "/": {"account": "{mira}"},
    "/auth": {"decision": "approve", "code": "k3v9x0q7r2m5t8w1y4z6a0b3c"},
    "/auth/": {"decision": "approve", "code": "k3v9x0q7r2m5t8w1y4z6a0b3c"},
    "/link": {"pin": "ZZZ9"},
    "/link/": {"pin": "ZZZ9"},
    "/pin": {"pin": "ZZZ9"},
    "/pin/": {"pin": "ZZZ9"},
    "/sign-in": {"login": "tom", "password": PASSWORD},
    "/account/devices": {"id": "{device}"},
    "/account/home": {"user": "{pip}"},
}
"""What the form of a page holds beside its own token."""

# The statuses of a browser whose cookie is nobody's, planted by somebody, of a session that ended, an API token; of one
# that is signed in; and of the same with a form that another site made. "in" leads to the sign-in.
TABLE = """
                        nobody  planted  signed-out  token  signed-in  foreign-form
GET  /                     200      200         200    200        200           200
GET  /auth                 200      200         200    200        200           200
GET  /auth/                200      200         200    200        200           200
GET  /auth/done             in       in          in     in        303           303
GET  /link                  in       in          in     in        200           200
GET  /link/                 in       in          in     in        200           200
GET  /pin                   in       in          in     in        200           200
GET  /pin/                  in       in          in     in        200           200
GET  /claim                 in       in          in     in        200           200
GET  /claim/                in       in          in     in        200           200
GET  /sign-in              200      200         200    200        303           303
GET  /sign-out             405      405         405    405        405           405
GET  /account               in       in          in     in        200           200
GET  /account/devices       in       in          in     in        200           200
GET  /account/home          in       in          in     in        200           200
POST /                     303      303         303    303        303           403
POST /auth                  in       in          in     in        403           403
POST /auth/                 in       in          in     in        403           403
POST /auth/done            405      405         405    405        405           405
POST /link                  in       in          in     in        404           403
POST /link/                 in       in          in     in        404           403
POST /pin                   in       in          in     in        404           403
POST /pin/                  in       in          in     in        404           403
POST /claim                 in       in          in     in        200           403
POST /claim/                in       in          in     in        200           403
POST /sign-in              303      303         303    303        303           403
POST /sign-out              in       in          in     in         in           403
POST /account              405      405         405    405        405           405
POST /account/devices       in       in          in     in        303           403
POST /account/home          in       in          in     in        303           403
"""
EXPECTED = {
    f"{method} {path}": dict(zip(COLUMNS, cells, strict=True))
    for method, path, *cells in (line.split() for line in TABLE.strip().splitlines()[1:])
}


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[Stage]:
    stage = Stage()
    stage.plex.instance.overview = Overview(World.from_dict(household()), show_secrets=True, is_demo=True)
    yield stage
    stage.close()


def cookies(stage: Stage) -> dict[str, str]:
    """The cookie of each column's browser."""
    name, _, value = stage.browser.cookie.partition("=")
    left = stage.plex.browser().signed_in("mira_quill")
    ended = left.cookie
    assert 303 == left.send("/account", "/sign-out").status
    return {
        "nobody": "",
        "planted": f"{name}={'A' * 43}",
        "signed out": ended,
        "token": f"{name}={stage.tokens['account']}; X-Plex-Token={stage.tokens['account']}",
        "signed in": f"{name}={value}",
        "foreign form": f"{name}={value}",
    }


def test_every_page_is_in_the_table() -> None:
    """A page that is not in the table fails here."""
    assert {f"{method} {path}" for path in PAGES for method in ("GET", "POST")} == EXPECTED.keys()


@pytest.mark.parametrize("column", COLUMNS)
def test_each_browser_on_each_page(stage: Stage, column: str) -> None:
    """A page is for the account of this browser; a form only works if it is this browser's own."""
    cookie = cookies(stage)[column]
    found, changed = {}, []
    for route in EXPECTED:
        stage.again()
        before = stage.plex.rows("attempt")
        found[route] = asked(stage, route, cookie, foreign=column == "foreign form")
        if found[route] in {"in", "403", "404", "405"} and before != stage.plex.rows("attempt"):
            changed.append(route)
    assert {route: row[column] for route, row in EXPECTED.items()} == found
    assert ["POST /sign-out"] * (column == "signed in") == changed


def asked(stage: Stage, route: str, cookie: str, *, foreign: bool) -> str:
    """Ask a page, with the form token that this browser is shown unless the form is another site's."""
    method, path = route.split()
    browser = Browser(stage.plex)
    browser.cookie = cookie
    if method == "GET":
        answer = browser.get(path, token=stage.tokens["account"])
    else:
        held = (
            "f" * 64
            if foreign
            else browser.fields("/link" if "form_token" in browser.fields("/link") else "/sign-in")["form_token"]
        )
        form = {name: text.format_map(stage.names) for name, text in FORMS.get(path, {}).items()}
        answer = browser.post(path, form | {"form_token": held})
    leads_to = urlsplit(answer.headers.get("location", "")).path
    return "in" if answer.status == 303 and leads_to == "/sign-in" else str(answer.status)


def test_a_cookie_opens_no_route_of_the_api(stage: Stage) -> None:
    """A browser's session means nothing to the API, whatever the cookie's name."""
    value = stage.tokens["cookie"]
    for cookie in (stage.browser.cookie, f"X-Plex-Token={value}", f"X-Plex-Token={stage.tokens['account']}"):
        assert 401 == stage.plex.ask("GET", "/api/v2/user", headers={"Cookie": cookie}).status
        assert 401 == stage.plex.ask("GET", "/", at="Attic", headers={"Cookie": cookie}).status
