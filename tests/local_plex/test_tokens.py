"""Where in a request a token may be. Which kind is accepted on which route is in tests/security/test_matrix.py."""

from urllib.parse import urlencode

from tests.local_plex.asking import MIRA, MIRA_ON_TOMS, TOM, TOM_ON_ATTIC, ask, connect, get
from ticketstub.testing import LocalPlexController


def test_an_account_sees_its_own_things_only(plex: LocalPlexController) -> None:
    """S21: no account sees another's account, server or token."""
    mira, tom = (get(plex.url, "/api/v2/resources", token).json for token in (MIRA, TOM))
    assert {MIRA, MIRA_ON_TOMS} == {each["accessToken"] for each in mira}
    assert {TOM, TOM_ON_ATTIC} == {each["accessToken"] for each in tom}
    assert {"Toms": True, "Attic": False} == {each["name"]: each["owned"] for each in tom}
    assert MIRA.encode() not in get(plex.url, "/api/v2/resources", TOM).body
    assert 401 == get(plex.media_server("Attic").url, "/", TOM).status
    assert 401 == get(plex.media_server("Documented").url, "/", TOM_ON_ATTIC).status


FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
DEAD = "Dead_token_012345678"


def test_where_a_token_is_read_from(plex: LocalPlexController) -> None:
    """Header (in any case), else query (in exactly this case); an empty header leaves it to the query."""
    ok, path = (200, 401), "/api/v2/user"
    assert ok[0] == ask(plex.url, "GET", path, {"x-pLEX-token": MIRA}).status
    assert ok[0] == ask(plex.url, "GET", f"{path}?X-Plex-Token={MIRA}").status
    assert ok[0] == ask(plex.url, "GET", f"{path}?X-Plex-Token={MIRA}", {"X-Plex-Token": ""}).status
    assert ok[0] == ask(plex.url, "GET", f"{path}?X-Plex-Token={DEAD}", {"X-Plex-Token": MIRA}).status
    assert ok[1] == ask(plex.url, "GET", f"{path}?X-Plex-Token={MIRA}", {"X-Plex-Token": DEAD}).status
    assert ok[1] == ask(plex.url, "GET", f"{path}?x-plex-token={MIRA}").status


def test_a_token_is_read_from_nowhere_else(plex: LocalPlexController, attic: str) -> None:
    """Not in a cookie, an Authorization field, the path, a body on a media server, or other parameters."""
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


def test_parameters_are_read_from_header_query_and_form(plex: LocalPlexController) -> None:
    """The client identifier may be in any of the three; the name's case is free in the header only."""
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


def test_a_form_in_the_body_of_a_get(plex: LocalPlexController) -> None:
    """A form in a GET counts as parameters, as Plex's own guide sends them: token, client, and a call's own."""
    said = urlencode({"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "a", "X-Plex-Product": "Guide"})
    assert "mira_quill" == ask(plex.url, "GET", "/api/v2/user", FORM, said).json["username"]
    assert 200 == ask(plex.url, "HEAD", "/api/v2/user", FORM, said).status
    assert 401 == ask(plex.url, "GET", "/api/v2/user", FORM | {"X-Plex-Token": DEAD}, said).status
    assert 401 == ask(plex.url, "GET", f"/api/v2/user?X-Plex-Token={DEAD}", FORM, said).status
    made = ask(plex.url, "POST", "/api/v2/pins", FORM, f"strong=true&{said}").json
    polled = ask(plex.url, "GET", f"/api/v2/pins/{made['id']}", FORM, f"code={made['code']}&{said}")
    assert (200, made["code"]) == (polled.status, polled.json["code"])
    assert 404 == ask(plex.url, "GET", f"/api/v2/pins/{made['id']}", FORM, "X-Plex-Client-Identifier=b").status


def test_what_a_call_takes_in_the_form_of_a_get(plex: LocalPlexController, attic: str) -> None:
    """A call's own parameters may be there too, after those of the query, on plex.tv and on media servers."""
    headers = FORM | {"X-Plex-Token": MIRA, "X-Plex-Client-Identifier": "a"}
    both = "type=delegation&scope=all"
    assert 200 == ask(attic, "GET", "/security/token", headers, both).status
    assert 400 == ask(attic, "GET", "/security/token?type=x", headers, both).status
    assert 401 == ask(attic, "GET", "/security/token", FORM, f"{both}&X-Plex-Token={MIRA}").status
    assert 400 == ask(plex.url, "GET", "/api/v2/resources", headers, "includeHttps=maybe").status
    assert 200 == ask(plex.url, "GET", "/api/v2/resources", headers, "includeHttps=1").status


def test_the_form_of_a_get_is_bounded(plex: LocalPlexController) -> None:
    """It may be as long as any body, and the connection stays open."""
    headers = FORM | {"X-Plex-Token": MIRA}
    assert 413 == ask(plex.url, "GET", "/api/v2/user", headers, "x=" + "y" * 17_000).status
    assert 400 == ask(plex.url, "GET", "/api/v2/user", headers, "x=%zz").status
    connection = connect(plex.url)
    for _ in range(2):
        connection.request("GET", "/api/v2/user", "x=y", headers)
        assert 200 == (answer := connection.getresponse()).status
        assert answer.read()
    connection.close()


def test_a_slash_at_the_end(attic: str) -> None:
    """A trailing slash makes no difference on a media server, even without a token."""
    assert 200 == get(attic, "/identity/").status
    for path in ("/library/sections/", "/accounts/", "/security/token/?type=delegation&scope=all", "/clients/"):
        assert (401, 200) == (get(attic, path).status, get(attic, path, MIRA).status)
    assert 404 == get(attic, "/nowhere/", MIRA).status
