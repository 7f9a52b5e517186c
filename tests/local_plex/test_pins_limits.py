"""Limits on PINs, in number and speed, with clocks that the test moves; and drawing ids and codes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.local_plex.asking import MIRA, TOM, Answered, world
from tests.local_plex.pin_asking import CLIENT, FORM, JSON, XML
from tests.local_plex.whole import Whole
from ticketstub.local_plex.api.pins import link_pin
from ticketstub.local_plex.domain import pins
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.http.request import IncomingRequest
from ticketstub.local_plex.http.router import RequestContext
from ticketstub.local_plex.settings import Settings
from ticketstub.local_plex.storage.base import DeviceRow, TokenRow
from ticketstub.protocol.codec import Format
from ticketstub.protocol.pin import LinkPin
from ticketstub.refusals import PinNotFound, ServerError, Unauthorized
from ticketstub.tokens import Secret

TOO_MANY = (429, b'{"errors":[{"code":1003,"message":"API rate limit exceeded","status":429}]}')
BUSY = (503, b'{"errors":[{"code":1013,"message":"The server cannot handle the request","status":503}]}')


def said(answer: Answered) -> tuple[int, bytes]:
    return answer.status, answer.body


def make(plex: Whole) -> Answered:
    return plex.ask("POST", "/api/v2/pins", headers=JSON)


def poll(plex: Whole, pin_id: object, client: str = CLIENT, headers: dict[str, str] = JSON) -> Answered:
    return plex.ask("GET", f"/api/v2/pins/{pin_id}", headers=headers | {"X-Plex-Client-Identifier": client})


def test_too_fast_in_each_dialect() -> None:
    """The refusal has the form of the call: v2's XML, and the older API's."""
    with Whole(world(), settings=Settings(poll_burst=1)) as plex:
        pin_id = make(plex).json["id"]
        older = plex.ask("POST", "/pins.json", headers=JSON).json["pin"]["id"]
        assert [200, 200] == [poll(plex, pin_id).status, plex.ask("GET", f"/pins/{older}", headers=XML).status]
        prolog = b'<?xml version="1.0" encoding="UTF-8"?>\n<errors>'
        item = b'<error code="1003" message="API rate limit exceeded" status="429"/></errors>'
        assert (429, prolog + item) == said(poll(plex, pin_id, headers=XML))
        refused = plex.ask("GET", f"/pins/{older}.xml", headers=XML)
        assert (429, prolog + b"<error>API rate limit exceeded</error></errors>") == said(refused)


def test_too_many_in_all() -> None:
    """If there are too many, from any address, the next is 503, code 1013, with Retry-After."""
    with Whole(world(), settings=Settings(max_pins=3)) as plex:
        made = [make(plex) for _ in range(4)]
        assert [201, 201, 201] == [answer.status for answer in made[:3]]
        assert (*BUSY, "1") == (*said(made[3]), made[3].headers["retry-after"])
        plex.clock.now += 900
        assert 201 == make(plex).status


def test_a_pin_polled_too_fast() -> None:
    """A PIN may be polled 20 times at once and then 5 times a second, each PIN by itself; there is no Retry-After."""
    with Whole(world(), settings=Settings()) as plex:
        one, other = [make(plex).json["id"] for _ in range(2)]
        assert [200] * 20 == [poll(plex, one).status for _ in range(20)]
        refused = poll(plex, one)
        assert (*TOO_MANY, None) == (*said(refused), refused.headers.get("retry-after"))
        assert 200 == poll(plex, other).status
        plex.ticks.now += 1
        assert [200] * 5 + [429] == [poll(plex, one).status for _ in range(6)]


def test_polling_as_documented() -> None:
    """One poll a second is never too fast, for the whole life of a PIN, even for two clients."""
    with Whole(world(), settings=Settings()) as plex:
        ids = [plex.ask("POST", "/api/v2/pins?strong=1", headers=JSON).json["id"] for _ in range(2)]
        for _ in range(1799):
            plex.ticks.now += 1
            plex.clock.now += 1
            assert [200, 200] == [poll(plex, pin_id).status for pin_id in ids]


def test_others_cannot_use_up_a_pin_s_polls() -> None:
    """Polls by other clients, which find nothing, do not count."""
    with Whole(world(), settings=Settings()) as plex:
        pin_id = make(plex).json["id"]
        others = [poll(plex, pin_id, "other-client").status for _ in range(100)]
        assert {404} == set(others)
        assert 200 == poll(plex, pin_id).status


# Drawing.


def drawing(*numbers: int) -> pins.RandomBelow:
    """Draw these numbers in order, and then the last one for ever."""
    left: Iterator[int] = iter(numbers)
    last = [0]

    def below(most: int) -> int:
        last[0] = next(left, last[0])
        return last[0] % most

    return below


def test_what_is_drawn() -> None:
    """The lowest and the highest ids have 9 and 10 digits and fit 31 bits; every letter and digit can be in a code."""
    assert (100_000_000, 2_147_483_647) == (
        pins.generate_pin_id(lambda _most: 0),
        pins.generate_pin_id(lambda most: most - 1),
    )
    assert ("AAAA", "9999") == (
        pins.generate_pin_code(strong=False, randbelow=lambda _most: 0),
        pins.generate_pin_code(strong=False, randbelow=lambda most: most - 1),
    )
    typed = {pins.generate_pin_code(strong=False, randbelow=lambda most, n=n: n % most)[0] for n in range(36)}  # type: ignore[misc]  # n is bound
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == typed
    assert 25 == len(pins.generate_pin_code(strong=True))


CLIENT_ROW = DeviceRow(client_identifier=CLIENT, product="Demo App")


def test_a_draw_that_exists() -> None:
    """An id or a code of another valid PIN is drawn again."""
    with Whole(world(), settings=Settings()) as plex:
        first = plex.run(pins.create_pin(plex.instance, CLIENT_ROW, randbelow=drawing(7)))
        # The same id; then another id with the same code; then both new.
        second = plex.run(
            pins.create_pin(plex.instance, CLIENT_ROW, randbelow=drawing(*[7] * 5, 8, *[7] * 4, 9, 1, 2, 3, 4))
        )
        assert (100_000_007, "HHHH") == (first.id, first.code)
        assert (100_000_009, "BCDE") == (second.id, second.code)


def test_a_draw_that_never_fits() -> None:
    """If no new one is drawn, it is 503 and nothing is created."""
    with Whole(world(), settings=Settings()) as plex:
        plex.run(pins.create_pin(plex.instance, CLIENT_ROW, randbelow=drawing(7)))
        with pytest.raises(ServerError) as refused:
            plex.run(pins.create_pin(plex.instance, CLIENT_ROW, randbelow=drawing(7)))
        assert 503 == refused.value.status


# In between.


def visit_of(plex: Whole, account: TokenRow | None, token: str) -> RequestContext[Instance, TokenRow]:
    assert account is not None
    scope: dict[str, object] = {
        "method": "PUT",
        "path": "/",
        "client": None,
        "http_version": "1.1",
        "raw_path": b"",
        "query_string": b"",
    }
    visit: RequestContext[Instance, TokenRow] = RequestContext(plex.instance, IncomingRequest(scope, Format.JSON))
    visit.token = token
    visit.caller = account
    return visit


def test_disabled_in_between() -> None:
    """An account that is disabled between the check of its token and the link gets 401, and the PIN stays free."""
    with Whole(world(), settings=Settings()) as plex:
        store = plex.instance.store
        made = make(plex).json
        row = plex.run(store.find_token(plex.instance.keys.digest(TOM), int(plex.clock.now)))
        off = "UPDATE account SET disabled_at = 1 WHERE id = 10500321"
        plex.run(store._writer.run(lambda connection: connection.execute(off).rowcount))
        with pytest.raises(Unauthorized):
            plex.run(link_pin(visit_of(plex, row, TOM), LinkPin(code=Secret(made["code"]))))
        assert poll(plex, made["id"]).json["authToken"] is None
        mira = plex.run(store.find_token(plex.instance.keys.digest(MIRA), int(plex.clock.now)))
        plex.run(link_pin(visit_of(plex, mira, MIRA), LinkPin(code=Secret(made["code"]))))
        with pytest.raises(PinNotFound):
            plex.run(link_pin(visit_of(plex, mira, MIRA), LinkPin(code=Secret(made["code"]))))


def test_a_removed_device_gets_no_new_jwt() -> None:
    """S6: once the device of a PIN with a key was removed, a further poll gets no JWT for it."""
    from tests.local_plex.test_pins_keys import KEY, device_jwt, jwk_of

    with Whole(world(), settings=Settings()) as plex:
        headers = JSON | {"Content-Type": "application/json"}
        body = json.dumps({"jwk": jwk_of(KEY)}).encode()
        made = plex.ask("POST", "/api/v2/pins", headers=headers, body=body).json
        given = JSON | FORM | {"X-Plex-Token": TOM}
        assert 204 == plex.ask("PUT", "/api/v2/pins/link", headers=given, body=f"code={made['code']}".encode()).status
        target = f"/api/v2/pins/{made['id']}?deviceJWT={device_jwt()}"
        token = plex.ask("GET", target, headers=JSON).json["authToken"]
        listed = plex.ask("GET", "/devices.xml", headers=XML | {"X-Plex-Token": TOM})
        device = next(one for one in listed.xml if one.get("clientIdentifier") == CLIENT)
        removed = plex.ask("DELETE", f"/devices/{device.get('id')}.xml", headers=XML | {"X-Plex-Token": TOM})
        assert removed.status in {200, 204}
        assert 401 == plex.ask("GET", "/api/v2/user", headers=JSON | {"X-Plex-Token": token}).status
        again = plex.ask("GET", target, headers=JSON)
        assert again.status in {404, 422}
