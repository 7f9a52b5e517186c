"""PINs over HTTP, as in the protocol reference: bodies, statuses and fields written out here, in JSON and XML."""

from __future__ import annotations

import random
import re
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.local_plex.asking import MIRA, START, TOM, Clock, ask, get
from tests.local_plex.conftest import Start
from tests.local_plex.pin_asking import CLIENT, FORM, JSON, XML, code_of, create, link, over, poll
from tests.tables import every
from ticketstub.local_plex.http.connections import MAX_QUEUED_REQUESTS
from ticketstub.testing import LocalPlexController

MADE, STRONG_ENDS, TYPED_ENDS = "2026-11-18T11:06:40Z", "2026-11-18T11:36:40Z", "2026-11-18T11:21:40Z"
# Ours: a place that is none, with every member.
NOWHERE = {
    "code": "ZZ",
    "european_union_member": False,
    "continent_code": "EU",
    "country": "Local Plex",
    "city": "Loopback",
    "time_zone": "Etc/UTC",
    "postal_code": "00000",
    "in_privacy_restricted_country": False,
    "in_privacy_restricted_region": False,
    "subdivisions": "Nowhere",
    "coordinates": "0.0, 0.0",
}
NOWHERE_XML = (
    '<location code="ZZ" european_union_member="0" continent_code="EU" country="Local Plex" city="Loopback"'
    ' time_zone="Etc/UTC" postal_code="00000" in_privacy_restricted_country="0" in_privacy_restricted_region="0"'
    ' subdivisions="Nowhere" coordinates="0.0, 0.0"/>'
)


def expected_json(url: str, found: dict[str, Any], **changes: object) -> dict[str, object]:
    """Write out a PIN's JSON; only the id and the code are random."""
    return {
        "id": found["id"],
        "code": found["code"],
        "product": "Demo App",
        "trusted": False,
        "qr": f"{url}/api/v2/pins/qr/{found['code']}",
        "clientIdentifier": "demo-client-7c1f",
        "location": NOWHERE,
        "expiresIn": 1800,
        "createdAt": MADE,
        "expiresAt": STRONG_ENDS,
        "authToken": None,
        "newRegistration": None,
        **changes,
    }


def test_a_strong_pin(fresh: LocalPlexController) -> None:
    """A strong PIN is 201 with twelve members in order: 25 lower-case letters and digits, 1800 seconds, no token."""
    made = ask(fresh.url, "POST", "/api/v2/pins?strong=true", JSON)
    assert (201, "application/json; charset=utf-8") == (made.status, made.headers["content-type"])
    expected = expected_json(fresh.url, made.json)
    assert list(expected.items()) == list(made.json.items())
    assert re.fullmatch("[a-z0-9]{25}", made.json["code"])
    assert 10**8 <= made.json["id"] < 2**31
    assert "max-age=0, private, must-revalidate" == made.headers["cache-control"]
    assert "*" == made.headers["access-control-allow-origin"]


def test_a_pin_to_be_typed(fresh: LocalPlexController) -> None:
    """A PIN that is not strong has 4 upper-case letters and digits, and 900 seconds."""
    made = create(fresh.url)
    assert expected_json(fresh.url, made, expiresIn=900, expiresAt=TYPED_ENDS) == made
    assert re.fullmatch("[A-Z0-9]{4}", made["code"])


def test_in_xml(fresh: LocalPlexController) -> None:
    """In XML the scalars are attributes, booleans 0 or 1, null empty, and the location a child."""
    made = ask(fresh.url, "POST", "/api/v2/pins?strong=1", XML)
    pin_id, code = made.xml.get("id"), made.xml.get("code")
    expected = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<pin id="{pin_id}" code="{code}" product="Demo App" trusted="0" qr="{fresh.url}/api/v2/pins/qr/{code}"'
        f' clientIdentifier="demo-client-7c1f" expiresIn="1800" createdAt="{MADE}" expiresAt="{STRONG_ENDS}"'
        f' authToken="" newRegistration="">{NOWHERE_XML}</pin>'
    )
    assert (201, "application/xml; charset=utf-8", expected) == (
        made.status,
        made.headers["content-type"],
        made.body.decode(),
    )
    polled = ask(fresh.url, "GET", f"/api/v2/pins/{pin_id}", XML)
    assert (200, expected) == (polled.status, polled.body.decode())


def test_xml_is_what_comes_unasked(plex: LocalPlexController) -> None:
    """Without Accept and with a wildcard, the reply is XML; the suffix of the path takes precedence over Accept."""
    for accept, path, kind in [
        ("*/*", "/api/v2/pins", "xml"),
        ("", "/api/v2/pins", "xml"),
        ("*/*", "/api/v2/pins.json", "json"),
        ("application/json", "/api/v2/pins.xml", "xml"),
    ]:
        made = ask(
            plex.url, "POST", path, {"X-Plex-Client-Identifier": CLIENT} | ({"Accept": accept} if accept else {})
        )
        assert (201, f"application/{kind}; charset=utf-8") == (made.status, made.headers["content-type"])


def test_the_suffix_of_a_poll_and_of_a_link(fresh: LocalPlexController) -> None:
    """`/pins/{id}.json` and `/pins/link.json` are the paths of Go and Rust clients."""
    made = create(fresh.url)
    bare = {"X-Plex-Client-Identifier": CLIENT}
    polled = ask(fresh.url, "GET", f"/api/v2/pins/{made['id']}.json", bare)
    assert (200, made["id"]) == (polled.status, polled.json["id"])
    polled = ask(fresh.url, "GET", f"/api/v2/pins/{made['id']}.xml", JSON)
    assert (200, str(made["id"])) == (polled.status, polled.xml.get("id"))
    linked = ask(
        fresh.url, "PUT", "/api/v2/pins/link.json", bare | FORM | {"X-Plex-Token": MIRA}, f"code={made['code']}"
    )
    assert 204 == linked.status


STRONG: list[tuple[str, dict[str, str], str | None, bool]] = [
    ("", {}, None, False),
    ("", {}, "", False),
    ("?strong=true", {}, None, True),
    ("?strong=True", {}, None, True),
    ("?strong=1", {}, None, True),
    ("?strong=false", {}, None, False),
    ("?strong=0", {}, None, False),
    ("?strong=", {}, None, False),
    ("", FORM, "strong=true", True),
    ("", FORM, "strong=True", True),
    ("", FORM, "strong=1", True),
    ("", FORM, "strong=false", False),
    ("", {"Content-Type": "application/json"}, '{"strong":true}', True),
    ("", {"Content-Type": "application/json"}, '{"strong":"True"}', True),
    ("", {"Content-Type": "application/json"}, '{"strong":1}', True),
    ("", {"Content-Type": "application/json"}, '{"strong":false}', False),
    ("", {"Content-Type": "application/json"}, '{"strong":null}', False),
    ("", {"Content-Type": "application/json"}, "{}", False),
    ("", {"Content-Type": "application/json"}, '""', False),
    ("?strong=true", {"Content-Type": "application/json"}, '""', True),
    ("", {"Content-Type": "text/plain"}, "strong=true", False),
]


@every(("query", "kind", "body", "strong"), STRONG)
def test_where_strong_stands(
    plex: LocalPlexController, query: str, kind: dict[str, str], body: str | None, strong: bool
) -> None:
    """`strong` is read from query, form and JSON, in every spelling of clients; one posts just a JSON string."""
    made = ask(plex.url, "POST", f"/api/v2/pins{query}", JSON | kind, body)
    assert (201, 25 if strong else 4) == (made.status, len(made.json["code"]))


@pytest.mark.parametrize(
    ("query", "kind", "body"),
    [
        ("?strong=banana", {}, None),
        ("", {"Content-Type": "application/json"}, '{"strong":'),
        ("", {"Content-Type": "application/json"}, "[]"),
        ("", FORM, "strong=%zz"),
    ],
)
def test_what_cannot_be_read(plex: LocalPlexController, query: str, kind: dict[str, str], body: str | None) -> None:
    """An unclear `strong`, and a body that is not of its declared type, are 400 with code 1004."""
    assert (400, 1004) == code_of(ask(plex.url, "POST", f"/api/v2/pins{query}", JSON | kind, body))


ENTITY = {
    "X-Plex-Product": "Demo App",
    "X-Plex-Version": "1.2.0",
    "X-Plex-Platform": "Linux",
    "X-Plex-Client-Identifier": "demo-client-7c1f",
}


@pytest.mark.parametrize("place", ["header", "query", "form"])
def test_who_asks_may_stand_anywhere(plex: LocalPlexController, place: str) -> None:
    """X-Plex-* are read from header, query or form: plexauth sends them all in the form, authentik in the query."""
    text = urlencode(ENTITY)
    asked: dict[str, tuple[str, dict[str, str], str | None]] = {
        "header": ("", ENTITY, None),
        "query": (f"?{text}", {}, None),
        "form": ("?strong=true", FORM, text),
    }
    query, headers, body = asked[place]
    made = ask(plex.url, "POST", f"/api/v2/pins.json{query}", {"Accept": "*/*"} | headers, body)
    assert (201, "demo-client-7c1f", "Demo App") == (
        made.status,
        made.json["clientIdentifier"],
        made.json["product"],
    )
    assert "application/json; charset=utf-8" == made.headers["content-type"]
    polled = ask(plex.url, "GET", f"/api/v2/pins/{made.json['id']}.json?{text}")
    assert (200, None) == (polled.status, polled.json["authToken"])


NOBODY = {"Accept": "application/json"}
MISSING = b'{"errors":[{"code":1000,"message":"X-Plex-Client-Identifier is missing","status":400}]}'
MISSING_XML = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<errors><error code="1000" message="X-Plex-Client-Identifier is missing" status="400"/></errors>'
)


def test_no_client_identifier(plex: LocalPlexController) -> None:
    """Creating, polling and linking without a client identifier are 400 with code 1000, in both formats."""
    for method, path in [("POST", "/api/v2/pins"), ("GET", "/api/v2/pins/1402233445"), ("PUT", "/api/v2/pins/link")]:
        answered = ask(plex.url, method, path, NOBODY | {"X-Plex-Token": MIRA})
        assert (400, MISSING) == (answered.status, answered.body)
        assert (400, MISSING_XML) == ((found := ask(plex.url, method, path)).status, found.body)


def test_no_product(plex: LocalPlexController) -> None:
    """Without a product it is "0", as observed."""
    made = ask(plex.url, "POST", "/api/v2/pins", NOBODY | {"X-Plex-Client-Identifier": CLIENT})
    assert "0" == made.json["product"]


def test_a_token_does_not_matter(plex: LocalPlexController) -> None:
    """A PIN is created and polled with any token or none: valid and dead ones are ignored."""
    for token in (MIRA, "dead" * 5, "junk"):
        made = create(plex.url, headers={"X-Plex-Token": token})
        assert 200 == poll(plex.url, made["id"], **{"X-Plex-Token": token}).status


@pytest.mark.parametrize("strong", [True, False])
def test_linked(start: Start, strong: bool) -> None:
    """An approved PIN gives its client a token of the approver's account, the same at each poll until it expires."""
    clock = Clock()
    plex = start(clock=clock)
    made = create(plex.url, "?strong=true" if strong else "")
    linked = link(plex.url, made["code"], TOM)
    assert (204, b"", None) == (linked.status, linked.body, linked.headers.get("content-type"))
    assert "content-length" not in linked.headers
    clock.now += 60
    found = poll(plex.url, made["id"])
    token = found.json["authToken"]
    life = 1800 if strong else 900
    changes = {"expiresIn": life - 60, "authToken": token, "newRegistration": False}
    ends = STRONG_ENDS if strong else TYPED_ENDS
    assert (200, expected_json(plex.url, made, expiresAt=ends, **changes)) == (found.status, found.json)
    assert re.fullmatch("[A-Za-z0-9_-]{20}", token)
    assert token != TOM
    assert "tom" == get(plex.url, "/api/v2/user", token).json["username"]
    clock.now = START + life - 1
    assert (token, 1) == ((last := poll(plex.url, made["id"]).json)["authToken"], last["expiresIn"])
    clock.now = START + life
    assert over(poll(plex.url, made["id"]))
    assert "tom" == get(plex.url, "/api/v2/user", token).json["username"]


def test_linked_in_xml(fresh: LocalPlexController) -> None:
    """In XML a linked PIN's token is an attribute, and `newRegistration` is 0."""
    made = create(fresh.url)
    link(fresh.url, made["code"])
    found = ask(fresh.url, "GET", f"/api/v2/pins/{made['id']}", XML)
    assert (200, 20, "0") == (found.status, len(found.xml.get("authToken")), found.xml.get("newRegistration"))


def test_it_counts_down(start: Start) -> None:
    """`expiresIn` is the remaining time; the dates stay. A code as a parameter is ignored."""
    clock = Clock()
    plex = start(clock=clock)
    made = create(plex.url)
    clock.now += 24
    found = poll(plex.url, made["id"], f"?code={made['code']}")
    assert (200, expected_json(plex.url, made, expiresIn=876, expiresAt=TYPED_ENDS)) == (found.status, found.json)
    assert 200 == poll(plex.url, made["id"], "?code=wrong").status


def test_over(start: Start) -> None:
    """An unlinked PIN expires after 900 seconds, a strong one after 1800; then it can be neither polled nor linked."""
    clock = Clock()
    plex = start(clock=clock)
    typed, strong = create(plex.url), create(plex.url, "?strong=true")
    clock.now = START + 899
    assert 1 == poll(plex.url, typed["id"]).json["expiresIn"]
    clock.now = START + 900
    assert over(poll(plex.url, typed["id"]))
    assert over(link(plex.url, typed["code"]))
    assert 900 == poll(plex.url, strong["id"]).json["expiresIn"]
    clock.now = START + 1800
    assert over(poll(plex.url, strong["id"]))
    assert over(link(plex.url, strong["code"]))


def test_only_its_own_client_is_told(fresh: LocalPlexController) -> None:
    """S11: for another client a PIN, pending or linked, does not exist: the reply is that of an unknown id."""
    made = create(fresh.url)
    unknown = poll(fresh.url, made["id"] ^ 1)
    assert over(unknown)
    for _ in range(2):
        for other in ("other-client", CLIENT.upper(), CLIENT + " ", "demo-approver"):
            found = poll(fresh.url, made["id"], **{"X-Plex-Client-Identifier": other})
            assert over(found) or (other.strip() == CLIENT and found.status == 200)
            assert unknown.headers.keys() == found.headers.keys() or found.status == 200
        link(fresh.url, made["code"])
    assert poll(fresh.url, made["id"]).json["authToken"]


ODD = ["0", "-1", "+5", "1.5", "abc", "9" * 18, "9" * 19, "9" * 400, "%00", "1%20", "%E2%91%A0", "1402233445.0", "1e3"]


@every("pin_id", ODD)
def test_odd_ids(plex: LocalPlexController, pin_id: str) -> None:
    """A malformed id is 404 with code 1020, never an error."""
    assert over(poll(plex.url, pin_id))


def pipelined(url: str, ids: list[int]) -> Iterator[tuple[bytes, bytes]]:
    """Poll many ids on one connection, pipelined; yield status line and body of each reply."""
    host = urlsplit(url).netloc
    fields = "".join(f"{name}: {value}\r\n" for name, value in (JSON | {"Host": host}).items())
    asked = [f"GET /api/v2/pins/{one} HTTP/1.1\r\n{fields}\r\n".encode() for one in ids]
    place = urlsplit(url).hostname, urlsplit(url).port
    with socket.create_connection(place, 60) as connection, connection.makefile("rb") as answers:
        for first in range(0, len(asked), MAX_QUEUED_REQUESTS):
            window = asked[first : first + MAX_QUEUED_REQUESTS]
            connection.sendall(b"".join(window))
            for _ in window:
                status, *head = iter(answers.readline, b"\r\n")
                length = next(line for line in head if line.lower().startswith(b"content-length:"))
                yield status, answers.read(int(length.partition(b":")[2]))


@pytest.mark.long
def test_ten_thousand_random_ids(plex: LocalPlexController) -> None:
    """S11: 10,000 random ids, in windows of 16 on one connection, are all 404 with code 1020 while PINs exist."""
    made = {create(plex.url)["id"] for _ in range(20)}
    ids = sorted(set(random.Random(20261124).sample(range(10**8, 2**31), 10_000)) - made)
    missing = b'{"errors":[{"code":1020,"message":"Code not found or expired"}]}'
    answers = Counter(pipelined(plex.url, ids))
    assert {(b"HTTP/1.1 404 Not Found\r\n", missing): len(ids)} == answers


def test_ids_and_codes_do_not_collide(plex: LocalPlexController) -> None:
    """Each of 300 PINs has its own id and code, in random order."""
    made = [create(plex.url, "?strong=1" if n % 2 else "") for n in range(300)]
    ids = [pin["id"] for pin in made]
    assert (300, 300) == (len(set(ids)), len({pin["code"] for pin in made}))
    assert sorted(ids) != ids


def test_xml_of_what_is_not_there(plex: LocalPlexController) -> None:
    """In XML the refusal has code and message, and no status either."""
    found = ask(plex.url, "GET", "/api/v2/pins/5", XML)
    expected = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<errors><error code="1020" message="Code not found or expired"/></errors>'
    )
    assert (404, expected) == (found.status, found.body)


# Strict decoders (a Rust client needs every member of the location, and dates as RFC 3339 has them).

SHAPE: dict[str, type | tuple[type, ...]] = {
    "id": int,
    "code": str,
    "product": str,
    "trusted": bool,
    "qr": str,
    "clientIdentifier": str,
    "location": dict,
    "expiresIn": int,
    "createdAt": str,
    "expiresAt": str,
    "authToken": (str, type(None)),
    "newRegistration": (bool, type(None)),
}
LOCATION_SHAPE: dict[str, type] = {
    "code": str,
    "european_union_member": bool,
    "continent_code": str,
    "country": str,
    "city": str,
    "time_zone": str,
    "postal_code": str,
    "in_privacy_restricted_country": bool,
    "in_privacy_restricted_region": bool,
    "subdivisions": str,
    "coordinates": str,
}


@pytest.mark.parametrize("linked", [False, True])
def test_strict_decoders(fresh: LocalPlexController, linked: bool) -> None:
    """Every member is present with its type, pending and linked; dates are RFC 3339 with `Z` and no fraction."""
    made = create(fresh.url, "?strong=true")
    if linked:
        link(fresh.url, made["code"])
    for body in (made, poll(fresh.url, made["id"]).json):
        assert SHAPE.keys() == body.keys()
        assert all(isinstance(body[name], kind) for name, kind in SHAPE.items())
        assert {name: type(value) for name, value in body["location"].items()} == LOCATION_SHAPE
        assert re.fullmatch(r"-?\d{1,2}\.\d+, -?\d{1,3}\.\d+", body["location"]["coordinates"])
        for moment in (body["createdAt"], body["expiresAt"]):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)


def test_browsers_may_poll(plex: LocalPlexController) -> None:
    """A page of any origin may create and poll PINs with any X-Plex-* fields: preflights are 200 and allow them."""
    wanted = "x-plex-client-identifier, x-plex-product, x-plex-device-name, accept, content-type"
    for path in ("/api/v2/pins", "/api/v2/pins/1402233445", "/api/v2/pins/link", "/pins.xml", "/pins/5.xml"):
        given = {"Origin": "https://app.example.test", "Access-Control-Request-Method": "POST"}
        answered = ask(plex.url, "OPTIONS", path, given | {"Access-Control-Request-Headers": wanted})
        assert (200, b"", "*", wanted) == (
            answered.status,
            answered.body,
            answered.headers["access-control-allow-origin"],
            answered.headers["access-control-allow-headers"],
        )
        assert {"GET", "POST", "PUT"} < set(answered.headers["access-control-allow-methods"].split(", "))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/v2/pins", "POST, OPTIONS"),
        ("DELETE", "/api/v2/pins/5", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v2/pins/link", "PUT, OPTIONS"),
        ("POST", "/api/v2/pins/qr/H7QK", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods(plex: LocalPlexController, method: str, path: str, allowed: str) -> None:
    """A known path with another method is 405 with code 1005, and lists the supported ones."""
    answered = ask(plex.url, method, path, JSON)
    assert (405, 1005) == code_of(answered)
    assert allowed == answered.headers["allow"]
