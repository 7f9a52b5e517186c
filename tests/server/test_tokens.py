"""Which token is taken where, and from where in a request."""

import string
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.asking import MIRA, MIRA_ON_TOMS, TOM, TOM_ON_ATTIC, ask, connect, get, transient
from ticketstub.server.local_plex import LocalPlex
from ticketstub.server.media_server import routes as media_server_routes
from ticketstub.server.plex_tv import routes as plex_tv_routes

JWT = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJwbGV4LnR2In0.c2lnbmF0dXJl"
KINDS = [
    "owner",
    "other account",
    "share here",
    "share elsewhere",
    "owner's transient",
    "share's transient",
    "transient elsewhere",
    "claim",
    "JWT",
    "none",
]
OWN_PLEX_TV = {"owner": 200, "other account": 200}
WITH_ACCESS = {"owner": 200, "share here": 200, "owner's transient": 200, "share's transient": 200}
OWNERS = {"owner": 200, "owner's transient": 200, "share here": 403, "share's transient": 403}
EVERYBODY = dict.fromkeys(KINDS, 200)

# What each kind of token gets on each route; what is not listed is 401.
MATRIX: dict[tuple[str, str], dict[str, int]] = {
    ("plex.tv", "/api/v2/user"): OWN_PLEX_TV,
    ("plex.tv", "/api/v2/ping"): OWN_PLEX_TV,
    ("plex.tv", "/api/v2/resources"): OWN_PLEX_TV,
    ("plex.tv", "/api/v2/users/signin"): dict.fromkeys(KINDS, 405),  # it asks for no token; GET is not its method
    ("server", "/"): WITH_ACCESS,
    ("server", "/identity"): EVERYBODY,
    ("server", "/library/sections"): WITH_ACCESS,
    ("server", "/security/token"): WITH_ACCESS,
    ("server", "/security/resources"): OWNERS,
}
PARAMETERS = {
    "/security/token": "?type=delegation&scope=all",
    "/security/resources": "?source=provider://tv.example.movies",
}


@pytest.fixture(scope="module")
def tokens(plex: LocalPlex) -> dict[str, str | None]:
    """One token of each kind there is, as seen from mira's media server."""
    attic, toms = plex.media_server("Attic").url, plex.media_server("Toms").url
    return {
        "owner": MIRA,
        "other account": TOM,
        "share here": TOM_ON_ATTIC,
        "share elsewhere": MIRA_ON_TOMS,
        "owner's transient": transient(attic, MIRA),
        "share's transient": transient(attic, TOM_ON_ATTIC),
        "transient elsewhere": transient(toms, TOM),
        "claim": "claim-Xk3mPz_9Q-vT7rLb2NfW",
        "JWT": JWT,
        "none": None,
    }


def test_every_route_is_in_the_matrix() -> None:
    """S15: a route that is not in the table of expectations above fails here."""
    routes = {("plex.tv", route.template) for route in plex_tv_routes().all()}
    routes |= {("server", route.template) for route in media_server_routes().all()}
    assert routes == MATRIX.keys()


@pytest.mark.parametrize("place_and_path", MATRIX, ids=lambda pair: f"{pair[0]} {pair[1]}")
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_token_on_each_route(
    plex: LocalPlex, attic: str, tokens: dict[str, str | None], place_and_path: tuple[str, str], kind: str
) -> None:
    """S15: a token is taken where its kind belongs, and nowhere else; what a token may not do is 403, not 401."""
    place, path = place_and_path
    url = plex.url if place == "plex.tv" else attic
    answer = get(url, path + PARAMETERS.get(path, ""), tokens[kind])
    assert MATRIX[place_and_path].get(kind, 401) == answer.status


def test_an_account_sees_its_own_things_only(plex: LocalPlex) -> None:
    """S21: nobody is told another's account, server or token."""
    mira, tom = (get(plex.url, "/api/v2/resources", token).json for token in (MIRA, TOM))
    assert {MIRA, MIRA_ON_TOMS} == {each["accessToken"] for each in mira}
    assert {TOM, TOM_ON_ATTIC} == {each["accessToken"] for each in tom}
    assert {"Toms": True, "Attic": False} == {each["name"]: each["owned"] for each in tom}
    assert MIRA.encode() not in get(plex.url, "/api/v2/resources", TOM).body
    assert 401 == get(plex.media_server("Attic").url, "/", TOM).status
    assert 401 == get(plex.media_server("Documented").url, "/", TOM_ON_ATTIC).status


ALPHABET = string.ascii_letters + string.digits + "_-"
EDITS = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 19), st.just("")),
    st.tuples(st.just("insert"), st.integers(0, 20), st.text(ALPHABET + "%. ~\u00e9\u017f\n", min_size=1, max_size=3)),
    st.tuples(st.just("change"), st.integers(0, 19), st.sampled_from(ALPHABET + ".~%\u212a\u00e9")),
    st.tuples(st.just("swap case"), st.integers(0, 19), st.just("")),
    st.tuples(st.just("double"), st.integers(0, 19), st.just("")),
)


def edited(token: str, edit: tuple[str, int, str]) -> str:
    kind, at, text = edit
    if kind == "cut":
        return token[:at]
    if kind == "insert":
        return token[:at] + text + token[at:]
    if kind == "change":
        return token[:at] + text + token[at + 1 :]
    if kind == "swap case":
        return token[:at] + token[at].swapcase() + token[at + 1 :]
    return token[: at + 1] + token[at:]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edit=EDITS)
def test_an_edited_token_is_no_token(plex: LocalPlex, edit: tuple[str, int, str]) -> None:
    """S17: any edit of a valid token is 401, on plex.tv and on a media server."""
    wrong = edited(MIRA, edit)
    expected = 200 if wrong == MIRA else 401
    for url, path in ((plex.url, "/api/v2/user"), (plex.media_server("Attic").url, "/library/sections")):
        connection = connect(url)
        connection.request("GET", f"{path}?X-Plex-Token={quote(wrong, safe='')}")
        assert expected == connection.getresponse().status
        connection.close()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 45), letter=st.sampled_from("0123456789abcdefABCDEF-gT_"))
def test_an_edited_transient_token_is_no_token(
    plex: LocalPlex, tokens: dict[str, str | None], at: int, letter: str
) -> None:
    """S17: so is any edit of a transient token."""
    right = tokens["owner's transient"] or ""
    wrong = right[:at] + letter + right[at + 1 :]
    answer = get(plex.media_server("Attic").url, "/library/sections", wrong)
    assert (200 if wrong == right else 401) == answer.status


FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
DEAD = "Dead_token_012345678"


def test_where_a_token_is_read_from(plex: LocalPlex) -> None:
    """Header (in any case), else query (in exactly this case); an empty header leaves it to the query."""
    ok, path = (200, 401), "/api/v2/user"
    assert ok[0] == ask(plex.url, "GET", path, {"x-pLEX-token": MIRA}).status
    assert ok[0] == ask(plex.url, "GET", f"{path}?X-Plex-Token={MIRA}").status
    assert ok[0] == ask(plex.url, "GET", f"{path}?X-Plex-Token={MIRA}", {"X-Plex-Token": ""}).status
    assert ok[0] == ask(plex.url, "GET", f"{path}?X-Plex-Token={DEAD}", {"X-Plex-Token": MIRA}).status
    assert ok[1] == ask(plex.url, "GET", f"{path}?X-Plex-Token={MIRA}", {"X-Plex-Token": DEAD}).status
    assert ok[1] == ask(plex.url, "GET", f"{path}?x-plex-token={MIRA}").status


def test_a_token_is_read_from_nowhere_else(plex: LocalPlex, attic: str) -> None:
    """Not from a cookie, an Authorization header, the path, a body on a media server, or other parameters."""
    for headers in (
        {"Cookie": f"X-Plex-Token={MIRA}; authToken={MIRA}"},
        {"Authorization": f"Bearer {MIRA}"},
        {"X_Plex_Token": MIRA},
        {"X-Forwarded-X-Plex-Token": MIRA},
    ):
        assert 401 == ask(plex.url, "GET", "/api/v2/user", headers).status
        assert 401 == ask(attic, "GET", "/", headers).status
    assert 401 == ask(plex.url, "GET", f"/api/v2/user?auth_token={MIRA}&token={MIRA}").status
    path = "/security/token?type=delegation&scope=all"
    assert 401 == ask(attic, "POST", path, FORM, f"X-Plex-Token={MIRA}").status
    assert 200 == ask(attic, "POST", f"{path}&X-Plex-Token={MIRA}", FORM, "").status


def test_parameters_are_read_from_header_query_and_form(plex: LocalPlex) -> None:
    """The client identifier may stand in any of the three, with the names' case free in the header alone."""
    form, path = "login=tom&password=rainy-harbour-17", "/api/v2/users/signin"
    identifier = "X-Plex-Client-Identifier"
    assert 201 == ask(plex.url, "POST", path, FORM | {identifier.lower(): "x"}, form).status
    assert 201 == ask(plex.url, "POST", f"{path}?{identifier}=x", FORM, form).status
    assert 201 == ask(plex.url, "POST", path, FORM, f"{form}&{identifier}=x").status
    for wrong in (
        ask(plex.url, "POST", path, FORM, f"{form}&{identifier.lower()}=x"),
        ask(plex.url, "POST", f"{path}?{identifier.lower()}=x", FORM, form),
        ask(plex.url, "POST", path, FORM | {identifier: ""}, form),
    ):
        assert (400, 1000) == (wrong.status, wrong.json["errors"][0]["code"])
