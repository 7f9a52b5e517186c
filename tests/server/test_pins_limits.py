"""How many PINs, and how fast: from any address, with the clocks in the test's hand; and drawing ids and codes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.server.asking import MIRA, TOM, Answered
from tests.server.in_process import InProcess, in_process
from tests.server.pin_asking import CLIENT, FORM, JSON, XML
from ticketstub.refusals import PinNotFound, ServerError, Unauthorized
from ticketstub.server import pins
from ticketstub.server.handlers.pins import link_pin
from ticketstub.server.instance import Instance
from ticketstub.server.requests import Asked
from ticketstub.server.routes import Visit
from ticketstub.server.settings import Settings
from ticketstub.server.store.base import DeviceRow, TokenRow
from ticketstub.token import Secret
from ticketstub.wire.codec import Format
from ticketstub.wire.pins import LinkPin

THERE, ELSEWHERE = "203.0.113.7", "203.0.113.8"
TOO_MANY = (429, b'{"errors":[{"code":1003,"message":"API rate limit exceeded","status":429}]}')
BUSY = (503, b'{"errors":[{"code":1013,"message":"The server cannot handle the request","status":503}]}')


def said(answer: Answered) -> tuple[int, bytes]:
    return answer.status, answer.body


async def make(plex: InProcess, address: str = THERE, headers: dict[str, str] = JSON) -> Answered:
    return await plex.ask("POST", "/api/v2/pins", headers, address=address)


async def poll(plex: InProcess, pin_id: object, address: str = THERE, client: str = CLIENT) -> Answered:
    headers = JSON | {"X-Plex-Client-Identifier": client}
    return await plex.ask("GET", f"/api/v2/pins/{pin_id}", headers, address=address)


@pytest.mark.parametrize("says", [False, True])
async def test_pins_made_too_fast(says: bool) -> None:
    """The 31st PIN of an address in a moment is 429, code 1003, with Retry-After only where the world says so.

    A minute later it works again; other addresses, and loopback, are not held up; both kinds count together.
    """
    async with in_process(retry_after=says) as plex:
        made = [(await make(plex)).status for _ in range(29)]
        older = await plex.ask("POST", "/pins.xml", XML, address=THERE)
        assert [201] * 30 == [*made, older.status]
        refused = await make(plex)
        assert (*TOO_MANY, "2" if says else None) == (*said(refused), refused.headers.get("retry-after"))
        assert 201 == (await make(plex, ELSEWHERE)).status
        assert {201} == {(await make(plex, "127.0.0.1")).status for _ in range(60)}
        plex.ticks.now += 2
        assert [201, 429] == [(await make(plex)).status for _ in range(2)]


async def test_too_fast_in_each_dialect() -> None:
    """The refusal has the form of the call: v2's XML, and the older API's."""
    async with in_process(Settings(pins_a_minute=1)) as plex:
        await make(plex)
        prolog = b'<?xml version="1.0" encoding="UTF-8"?>\n<errors>'
        item = b'<error code="1003" message="API rate limit exceeded" status="429"/></errors>'
        assert (429, prolog + item) == said(await make(plex, headers=XML))
        older = await plex.ask("POST", "/pins.xml", XML, address=THERE)
        assert (429, prolog + b"<error>API rate limit exceeded</error></errors>") == said(older)


async def test_a_hundred_living_pins() -> None:
    """An address has at most 100 living PINs: the next is 429, until one ends; a network of IPv6 is one address."""
    async with in_process() as plex:
        for number in range(100):
            plex.ticks.now += 60
            assert 201 == (await make(plex, f"2001:db8:1:2::{number:x}")).status
        plex.ticks.now += 60
        assert TOO_MANY == said(await make(plex, "2001:db8:1:2:ffff::1"))
        assert 201 == (await make(plex, "2001:db8:1:3::1")).status
        plex.clock.now += 900
        assert 201 == (await make(plex, "2001:db8:1:2:ffff::1")).status


async def test_too_many_in_all() -> None:
    """Where too many live in all, from whatever address, the next is 503, code 1013, with Retry-After."""
    async with in_process(Settings(pins=3)) as plex:
        made = [await make(plex, "127.0.0.1") for _ in range(4)]
        assert [201, 201, 201] == [answer.status for answer in made[:3]]
        assert (*BUSY, "1") == (*said(made[3]), made[3].headers["retry-after"])
        plex.clock.now += 900
        assert 201 == (await make(plex)).status


@pytest.mark.parametrize("older", [False, True])
async def test_web_pages_leave_programs_their_pins(older: bool) -> None:
    """Pages of one origin have so many living PINs (429), all pages together half (503); programs get the others."""
    async with in_process(Settings(pins=10, pins_per_origin=3)) as plex:

        async def made(origin: str | None, times: int) -> list[int]:
            headers = JSON | ({"Origin": origin} if origin else {})
            path = "/pins.json" if older else "/api/v2/pins"
            return [(await plex.ask("POST", path, headers)).status for _ in range(times)]

        assert [201, 201, 201, 429] == await made("https://evil.example", 4)
        assert [201, 201, 503] == await made("http://localhost:3000", 3)
        assert [201] * 5 + [503] == await made(None, 6)
        plex.clock.now += 1800
        assert [201] == await made("https://evil.example", 1)


async def test_a_web_page_elsewhere_counts_for_its_address() -> None:
    """A browser that is not on loopback comes under its address's limits, whatever origin its pages name."""
    async with in_process(Settings(pins_per_address=2)) as plex:
        origins = [{"Origin": f"https://{n}.evil.example"} for n in range(3)]
        assert [201, 201, 429] == [(await make(plex, headers=JSON | origin)).status for origin in origins]


async def test_a_pin_polled_too_fast() -> None:
    """A PIN may be polled 20 times at once and then 5 times a second, on loopback too; another one by itself."""
    async with in_process() as plex:
        one, other = [(await make(plex)).json["id"] for _ in range(2)]
        assert [200] * 20 == [(await poll(plex, one, "127.0.0.1")).status for _ in range(20)]
        assert TOO_MANY == said(await poll(plex, one, "127.0.0.1"))
        assert 200 == (await poll(plex, other, "127.0.0.1")).status
        plex.ticks.now += 1
        assert [200] * 5 + [429] == [(await poll(plex, one, "127.0.0.1")).status for _ in range(6)]


async def test_polling_as_documented() -> None:
    """One poll a second is never too fast, for the whole life of a PIN; neither are two clients that do so."""
    async with in_process() as plex:
        ids = [(await plex.ask("POST", "/api/v2/pins?strong=1", JSON, address=THERE)).json["id"] for _ in range(2)]
        for _ in range(1799):
            plex.ticks.now += 1
            plex.clock.now += 1
            assert [200, 200] == [(await poll(plex, pin_id)).status for pin_id in ids]


async def test_others_cannot_use_up_a_pin_s_polls() -> None:
    """Polls by other clients, which find nothing, do not count for the PIN."""
    async with in_process() as plex:
        pin_id = (await make(plex)).json["id"]
        others = [(await poll(plex, pin_id, "127.0.0.1", "other-client")).status for _ in range(100)]
        assert {404} == set(others)
        assert 200 == (await poll(plex, pin_id)).status


async def test_an_address_that_polls_too_fast() -> None:
    """An address may poll 50 times a second, whether it finds something or guesses; pictures count with it."""
    async with in_process() as plex:
        made = (await make(plex)).json
        polls = [await poll(plex, 1_000_000_000 + n) for n in range(40)]
        paths = [f"/api/v2/pins/qr/{made['code']}"] * 10
        pictures = [await plex.ask("GET", path, JSON, address=THERE) for path in paths]
        assert ({404}, {200}) == ({one.status for one in polls}, {one.status for one in pictures})
        assert TOO_MANY == said(await poll(plex, made["id"]))
        assert TOO_MANY == said(await plex.ask("GET", f"/api/v2/pins/qr/{made['code']}", JSON, address=THERE))
        assert 200 == (await poll(plex, made["id"], ELSEWHERE)).status
        plex.ticks.now += 0.1
        assert [200] * 5 + [429] == [(await poll(plex, made["id"])).status for _ in range(6)]


async def test_codes_guessed_from_an_address() -> None:
    """S12: 20 wrong codes of an address in an hour stop it, whatever account they come from, and no other address."""
    async with in_process() as plex:

        async def link(code: str, token: str, address: str) -> Answered:
            headers = JSON | FORM | {"X-Plex-Token": token}
            return await plex.ask("PUT", "/api/v2/pins/link", headers, f"code={code}".encode(), address=address)

        for each in (4, 4, 2):
            for token in (MIRA, TOM):
                assert {404} == {(await link("!!!!", token, THERE)).status for _ in range(each)}
            plex.clock.now += 900
        code = (await make(plex)).json["code"]
        assert TOO_MANY == said(await link(code, MIRA, THERE))
        fresh = (await make(plex, ELSEWHERE)).json["code"]
        assert 204 == (await link(fresh, MIRA, ELSEWHERE)).status


# Drawing.


def drawing(*numbers: int) -> pins.Below:
    """Draw these numbers in turn, and the last one for ever."""
    left: Iterator[int] = iter(numbers)
    last = [0]

    def below(most: int) -> int:
        last[0] = next(left, last[0])
        return last[0] % most

    return below


def test_what_is_drawn() -> None:
    """The lowest and the highest ids have 9 and 10 digits and fit 31 bits; every letter and digit can be in a code."""
    assert (100_000_000, 2_147_483_647) == (pins.new_id(lambda _most: 0), pins.new_id(lambda most: most - 1))
    assert ("AAAA", "9999") == (
        pins.new_code(strong=False, below=lambda _most: 0),
        pins.new_code(strong=False, below=lambda most: most - 1),
    )
    typed = {pins.new_code(strong=False, below=lambda most, n=n: n % most)[0] for n in range(36)}  # type: ignore[misc]  # n is bound
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == typed
    assert 25 == len(pins.new_code(strong=True))


CLIENT_ROW = DeviceRow(client_identifier=CLIENT, product="Demo App")


async def test_a_draw_that_exists() -> None:
    """An id or a code that another living PIN has is drawn again."""
    async with in_process() as plex:
        first = await pins.make(plex.instance, CLIENT_ROW, below=drawing(7))
        # The same id; then another id with the same code; then both new.
        second = await pins.make(plex.instance, CLIENT_ROW, below=drawing(*[7] * 5, 8, *[7] * 4, 9, 1, 2, 3, 4))
        assert (100_000_007, "HHHH") == (first.id, first.code)
        assert (100_000_009, "BCDE") == (second.id, second.code)


async def test_a_draw_that_never_fits() -> None:
    """Where nothing new is drawn however often, it is 503 and nothing is made."""
    async with in_process() as plex:
        await pins.make(plex.instance, CLIENT_ROW, below=drawing(7))
        with pytest.raises(ServerError) as refused:
            await pins.make(plex.instance, CLIENT_ROW, below=drawing(7))
        assert 503 == refused.value.status


# In between.


def visit_of(plex: InProcess, account: TokenRow | None, token: str) -> Visit[Instance, TokenRow]:
    assert account is not None
    scope: dict[str, object] = {
        "method": "PUT",
        "path": "/",
        "client": None,
        "http_version": "1.1",
        "raw_path": b"",
        "query_string": b"",
    }
    visit: Visit[Instance, TokenRow] = Visit(plex.instance, Asked(scope, Format.JSON))
    visit.token = token
    visit.caller = account
    return visit


async def test_disabled_in_between() -> None:
    """An account that is disabled between the look at its token and the link is told 401, and the PIN stays free."""
    async with in_process() as plex:
        store = plex.instance.store
        made = (await make(plex)).json
        row = await store.find_token(plex.instance.keys.digest(TOM), int(plex.clock.now))
        off = "UPDATE account SET disabled_at = 1, version = version + 1 WHERE id = 10500321"
        await store._writer.run(lambda connection: connection.execute(off).rowcount)  # type: ignore[attr-defined]  # SQLite's
        with pytest.raises(Unauthorized):
            await link_pin(visit_of(plex, row, TOM), LinkPin(code=Secret(made["code"])))
        assert (await poll(plex, made["id"])).json["authToken"] is None
        mira = await store.find_token(plex.instance.keys.digest(MIRA), int(plex.clock.now))
        await link_pin(visit_of(plex, mira, MIRA), LinkPin(code=Secret(made["code"])))
        with pytest.raises(PinNotFound):
            await link_pin(visit_of(plex, mira, MIRA), LinkPin(code=Secret(made["code"])))


async def test_a_removed_device_gets_no_new_jwt() -> None:
    """S6: once the device of a PIN with a key was removed, a further poll gets no JWT for it."""
    from tests.server.test_pins_keys import KEY, device_jwt, jwk_of

    async with in_process() as plex:
        headers = JSON | {"Content-Type": "application/json"}
        body = json.dumps({"jwk": jwk_of(KEY)}).encode()
        made = (await plex.ask("POST", "/api/v2/pins", headers, body)).json
        given = JSON | FORM | {"X-Plex-Token": TOM}
        assert 204 == (await plex.ask("PUT", "/api/v2/pins/link", given, f"code={made['code']}".encode())).status
        target = f"/api/v2/pins/{made['id']}?deviceJWT={device_jwt()}"
        token = (await plex.ask("GET", target, JSON)).json["authToken"]
        listed = await plex.ask("GET", "/devices.xml", XML | {"X-Plex-Token": TOM})
        device = next(one for one in listed.xml if one.get("clientIdentifier") == CLIENT)
        removed = await plex.ask("DELETE", f"/devices/{device.get('id')}.xml", XML | {"X-Plex-Token": TOM})
        assert removed.status in {200, 204}
        assert 401 == (await plex.ask("GET", "/api/v2/user", JSON | {"X-Plex-Token": token})).status
        again = await plex.ask("GET", target, JSON)
        assert again.status in {404, 422}
