"""Reading for many requests at once, and what a request must not notice of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection

import pytest
from sqlalchemy import text

from bridge_tests.bridges import MIRA, SECRET, BridgeUnderTest, basic
from bridge_tests.browsing import Application, Browser
from ticketstub_bridge.batching import BatchReader
from ticketstub_bridge.core import THREADS
from ticketstub_bridge.storage import Database


class Source:
    """Values that are read when the test lets them, and what was asked for."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.batches: list[set[str]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def read(self, keys: Collection[str]) -> dict[str, str]:
        self.batches.append(set(keys))
        found = {key: self.values[key] for key in keys if key in self.values}
        await self.go_on.wait()
        return found


async def begin(reader: BatchReader[str], *keys: str) -> list[asyncio.Task[str | None]]:
    """Begin to get these keys; returns when nothing goes on without the source."""
    tasks = [asyncio.create_task(reader.get(key)) for key in keys]
    for _ in range(20):
        await asyncio.sleep(0)
    return tasks


async def test_those_who_wait_at_once_share_a_read() -> None:
    """Everything that is asked for at the same moment is read at once; each gets its own value, or none."""
    source = Source(a="1", b="2")
    reader = BatchReader(source.read)
    assert ["1", "2", None, "1"] == await asyncio.gather(*(reader.get(key) for key in ("a", "b", "c", "a")))
    assert [{"a", "b", "c"}] == source.batches
    assert "2" == await reader.get("b")


async def test_no_answer_is_older_than_its_question() -> None:
    """A request that arrives while a read is running is answered by the next one, which sees what changed since."""
    source = Source(a="old")
    reader = BatchReader(source.read)
    source.go_on.clear()
    early = await begin(reader, "a")
    source.values["a"] = "new"
    late = await begin(reader, "a")
    source.go_on.set()
    assert ["old", "new"] == await asyncio.gather(*early, *late)


async def test_a_read_has_a_limit() -> None:
    """A read answers a bounded number of requests; the others follow in the order in which they came."""
    source = Source(**{str(number): "x" for number in range(25)})
    reader = BatchReader(source.read, limit=10)
    assert ["x"] * 25 == await asyncio.gather(*(reader.get(str(number)) for number in range(25)))
    assert [10, 10, 5] == [len(batch) for batch in source.batches]
    assert {"20", "21", "22", "23", "24"} == source.batches[-1]


async def test_a_cancelled_request_cancels_no_other() -> None:
    """Requests that are given up, before or during their read, change nothing for the others and for later ones."""
    source = Source(a="1", b="2", c="3")
    reader = BatchReader(source.read)
    source.go_on.clear()
    during = await begin(reader, "a", "b")
    before = await begin(reader, "b", "c")
    during[0].cancel()
    before[0].cancel()
    source.go_on.set()
    assert "2" == await during[1]
    assert "3" == await before[1]
    assert [{"a", "b"}, {"c"}] == source.batches
    assert "1" == await reader.get("a")
    assert during[0].cancelled()
    assert before[0].cancelled()


async def test_an_error_reaches_everybody_of_its_read_alone() -> None:
    """Each request of a failed read gets the error; those that wait for the next read are answered."""
    is_broken = True
    go_on = asyncio.Event()

    async def read(keys: Collection[str]) -> dict[str, str]:
        await go_on.wait()
        if is_broken:
            raise ConnectionError
        return dict.fromkeys(keys, "x")

    reader = BatchReader(read)
    failing = await begin(reader, "a", "b", "a")
    later = await begin(reader, "a")
    go_on.set()
    for task in failing:
        with pytest.raises(ConnectionError):
            await task
        is_broken = False
    assert "x" == await later[0]


async def test_one_bad_token_among_many(tested: BridgeUnderTest, browser: Browser) -> None:
    """Of requests at the same moment those with a bad token get 401, and each other one its own person."""
    tokens: dict[str, str] = {}
    for person in ("tom", MIRA):
        films = Application(tested)
        issued = await films.redeem(await Browser(tested).sign_in(films.make_url(), person))
        tokens[(await films.verify(issued["id_token"]))["sub"]] = issued["access_token"]
    first, second = tokens.values()
    films = Application(tested)
    revoked = (await films.redeem(await browser.sign_in(films.make_url())))["access_token"]
    async with tested.http() as http:
        await http.post("/revoke", data={"token": revoked}, headers=basic("films", SECRET))
        sent = [first, "unknown", second, revoked] * 10
        calls = [http.get("/userinfo", headers={"Authorization": f"Bearer {token}"}) for token in sent]
        answers = await asyncio.gather(*calls)
        assert [200, 401, 200, 401] * 10 == [answer.status_code for answer in answers]
        assert [*tokens] * 10 == [answer.json()["sub"] for answer in answers if answer.status_code == 200]


async def test_without_the_database_everybody_gets_503(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A failed read is 503 for each request that waits for it, and the next requests are answered again."""
    token = (await films.redeem(await browser.sign_in(films.make_url())))["access_token"]
    other = Database(tested.bridge.config.database)
    async with tested.http() as http:

        async def ask() -> set[int]:
            sent = [token, *(f"{token}{number}" for number in range(30))]
            calls = [http.get("/userinfo", headers={"Authorization": f"Bearer {each}"}) for each in sent]
            calls += [http.post("/userinfo", data={"access_token": token})]
            return {answer.status_code for answer in await asyncio.gather(*calls)}

        for old, new, statuses in (("access_tokens", "away", {503}), ("away", "access_tokens", {200, 401})):
            with other.write() as connection:
                connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
            assert statuses == await ask()
    other.close()


async def test_another_replicas_revocation_counts_at_once(
    tested: BridgeUnderTest, browser: Browser, films: Application
) -> None:
    """A token that nobody asked about in the last second is refused once another replica has revoked it."""
    token = (await films.redeem(await browser.sign_in(films.make_url())))["access_token"]
    other = Database(tested.bridge.config.database)
    with other.write() as connection:
        connection.execute(text("UPDATE grants SET ended_at = 1"))
    other.close()
    assert 401 == (await films.userinfo(token)).status_code


async def test_too_many_who_wait_for_a_thread_are_refused(tested: BridgeUnderTest, films: Application) -> None:
    """While all threads are busy and too many wait, requests get 503 at once; afterwards they are answered."""
    gate = threading.Event()
    waiting = [asyncio.create_task(tested.bridge.run(gate.wait, 30)) for _ in range(THREADS + 256)]
    await asyncio.sleep(0)
    try:
        assert {503} == {
            each.status_code for each in await asyncio.gather(*(films.userinfo(f"x{n}") for n in range(5)))
        }
        async with tested.http() as http:
            assert 503 == (await http.get("/readyz")).status_code
            assert "ticketstub_bridge_waiting_requests 256.0" in (await http.get("/metrics")).text
    finally:
        gate.set()
    assert all(await asyncio.gather(*waiting))
    assert 401 == (await films.userinfo("x")).status_code
