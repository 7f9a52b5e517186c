"""SQLite: the file, its durability, and grouped commits."""

from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from ticketstub.local_plex.storage import sqlite_file
from ticketstub.local_plex.storage.base import DeviceRow, NewSignIn, StoreError, StoreUnavailable
from ticketstub.local_plex.storage.database import ThreadWriter
from ticketstub.local_plex.storage.schema import SCHEMA_VERSION
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World

NOW, MIRA, TOKEN = 1_790_000_000, 10500123, "Xk3mPz_9Q-vT7rLb2NfW"


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "plex.db"


@pytest.fixture(name="opening")
async def _opening(path):
    """Return a function that opens the file; the stores that it opens are closed at the end."""
    stores = []

    def opening(**options):
        stores.append(SqliteStore(f"sqlite:///{path}", **options))
        return stores[-1]

    yield opening
    for store in stores:
        await store.close()


def signing_in(keys: InstanceKeys, token: str, step: int | None = None) -> NewSignIn:
    device = DeviceRow(client_identifier="demo-client-7c1f")
    sealed = keys.seal(token)
    return NewSignIn(
        account_id=MIRA, device=device, digest=keys.digest(token), sealed_token=sealed, now=NOW, verification_step=step
    )


async def test_no_secret_in_any_file(opening, path, keys, passwords):
    """S2: no token, password or verification secret is in the database, its log or its index, in any usual form."""
    store, world, fresh = opening(), World.demo(), keys.generate_token()
    await seed(store, world, keys, passwords.hash_or_remember, NOW)
    assert await store.sign_in(signing_in(keys, fresh, 1))
    accounts = world.accounts
    kept = [secret for a in accounts for secret in (a.password, a.verification_secret, a.token) if secret]
    kept += [share.token for server in world.media_servers for share in server.shares if share.token]
    assert 7 == len(kept)
    secrets = [secret.reveal() for secret in kept] + [fresh]
    files = [file for file in path.parent.iterdir() if file.name != "plex.db.key"]
    assert {"plex.db", "plex.db-wal", "plex.db-shm"} == {file.name for file in files}
    written = b"".join(file.read_bytes() for file in files)
    assert b"mira@example.test" in written
    for secret in secrets:
        for form in (secret.encode(), secret.encode("utf-16-le"), base64.b64encode(secret.encode()).rstrip(b"=")):
            assert form not in written


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
async def test_only_the_owner_reads_it(opening, path):
    """Only the owner can read the database and the files that SQLite adds to it."""
    store = opening()
    assert await store.find_account_by_login("x") is None
    assert {0o600} == {file.stat().st_mode & 0o777 for file in path.parent.iterdir()}


async def test_what_was_acknowledged_survives(opening, path, keys, passwords):
    """A committed write is there when the file is opened again, and at once for another connection."""
    first = opening()
    await seed(first, World.demo(), keys, passwords.hash_or_remember, NOW)
    token = keys.generate_token()
    assert await first.sign_in(signing_in(keys, token, 5))
    second = opening()
    assert MIRA == (await second.find_token(keys.digest(token), NOW)).account_id
    await first.close()
    third = opening()
    assert MIRA == (await third.find_token(keys.digest(token), NOW)).account_id
    assert not await third.sign_in(signing_in(keys, keys.generate_token(), 5))


async def test_commits_are_durable(path, real_syncs):
    """I1: the writer syncs at every commit, in WAL mode, with foreign keys; the reader cannot write."""
    sqlite_file.prepare_database(path)
    with closing(sqlite_file.open_writer(path, None)) as writer, closing(sqlite_file.open_reader(path)) as reader:
        asked = [
            writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode", "foreign_keys")
        ]
        assert [2, "wal", 1] == asked
        assert SCHEMA_VERSION == reader.execute("PRAGMA user_version").fetchone()[0]
        with pytest.raises(sqlite3.OperationalError):
            reader.execute("DELETE FROM account")


async def test_commits_are_grouped(opening, keys, passwords):
    """Sign-ins that wait for a write share one commit, and each gets its result."""
    statements: list[str] = []
    store = opening(trace=statements.append)
    await seed(store, World.demo(), keys, passwords.hash_or_remember, NOW)
    hold, held = threading.Event(), threading.Event()

    def wait(_connection):
        held.set()
        assert hold.wait(60)

    blocking = asyncio.create_task(store._writer.run(wait))
    assert await asyncio.to_thread(held.wait, 5)
    statements.clear()
    tokens = [keys.generate_token() for _ in range(20)]
    waiting = [asyncio.create_task(store.sign_in(signing_in(keys, token))) for token in tokens]
    await asyncio.sleep(0)
    hold.set()
    assert [True] * 20 == await asyncio.gather(*waiting)
    await blocking
    assert 2 == statements.count("COMMIT")
    assert 20 == statements.count("SAVEPOINT job")
    assert all([await store.find_token(keys.digest(token), NOW) for token in tokens])


async def test_one_failure_takes_no_other_with_it(opening, keys, passwords):
    """A failed job of a group is undone alone."""
    store = opening()
    await seed(store, World.demo(), keys, passwords.hash_or_remember, NOW)
    good = [keys.generate_token() for _ in range(4)]
    jobs = [store.sign_in(signing_in(keys, token)) for token in (*good[:2], TOKEN, *good[2:])]
    first, second, failed, third, fourth = await asyncio.gather(*jobs, return_exceptions=True)
    assert [True] * 4 == [first, second, third, fourth]
    assert isinstance(failed, StoreUnavailable)
    assert TOKEN not in str(failed)


def test_one_winner_among_threads(path, keys, passwords):
    """S5: of 32 threads with one code, over two openings of the file, exactly one signs in."""
    stores = [SqliteStore(f"sqlite:///{path}") for _ in range(2)]
    asyncio.run(seed(stores[0], World.demo(), keys, passwords.hash_or_remember, NOW))
    gate = threading.Barrier(32)

    def attempt(number):
        sign_in = signing_in(keys, keys.generate_token(), 7)
        gate.wait(60)
        return asyncio.run(stores[number % 2].sign_in(sign_in))

    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(attempt, range(32)))
    for store in stores:
        asyncio.run(store.close())
    assert 1 == sum(answers)


class Failing(sqlite3.Connection):
    """A connection whose commits fail, as on a broken disk."""

    def execute(self, statement, *values):
        if statement == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(statement, *values)


async def test_a_failed_commit_fails_all_in_it(path):
    """A failed commit acknowledges nothing; its connection is replaced, and the next write works."""
    kinds = [Failing, sqlite3.Connection]
    sqlite_file.prepare_database(path)

    def connect():
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=kinds.pop(0))

    writer = ThreadWriter(connect)
    insert = "INSERT INTO account (id, record, email_only_auth) VALUES (1, '{}', 0)"
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        await writer.run(lambda connection: connection.execute(insert).rowcount)
    assert 1 == await writer.run(lambda connection: connection.execute(insert).rowcount)
    assert [] == kinds
    writer.close()


async def test_a_lock_elsewhere_is_unavailable(opening, path, monkeypatch, keys):
    """F-SQ-8: while another process writes, our writes fail as unavailable and reads continue; then all works."""
    monkeypatch.setattr(sqlite_file, "_LOCK_TIMEOUT", 0.05)
    store = opening()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.revoke_token(b"x", NOW)
        assert await store.find_token(b"x", NOW) is None
        other.execute("ROLLBACK")
    assert not await store.revoke_token(b"x", NOW)


async def test_a_row_that_a_commit_overtakes_is_not_kept(opening, keys, passwords, monkeypatch):
    """S6: a token that is revoked while its row is read may count once more, but not after that."""
    store = opening()
    await seed(store, World.demo(), keys, passwords.hash_or_remember, NOW)
    digest, read = keys.digest(TOKEN), store._reader.fetch_one

    def read_and_revoke(statement, *values):
        row = read(statement, *values)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(asyncio.run, store.revoke_token(digest, NOW)).result(60)
        return row

    monkeypatch.setattr(store._reader, "fetch_one", read_and_revoke)
    assert await store.find_token(digest, NOW)
    monkeypatch.undo()
    assert await store.find_token(digest, NOW) is None


async def test_a_row_that_is_read_before_a_commit_is_not_kept(opening, keys, passwords):
    """S6: a token that is used while its revocation waits for its commit is refused once that is acknowledged."""
    store = opening()
    await seed(store, World.demo(), keys, passwords.hash_or_remember, NOW)
    digest, revoked, hold = keys.digest(TOKEN), threading.Event(), threading.Event()

    def revoke(transaction):
        transaction.execute("UPDATE token SET revoked_at = ?2 WHERE digest = ?1", digest, NOW)
        revoked.set()
        assert hold.wait(60)

    writing = asyncio.create_task(store.run_in_transaction(revoke))
    assert await asyncio.to_thread(revoked.wait, 60)
    assert [True, True] == [await store.find_token(digest, NOW) is not None for _ in range(2)]
    hold.set()
    await writing
    assert await store.find_token(digest, NOW) is None


async def test_a_waiter_that_left_is_no_matter(opening, keys, passwords):
    """A sign-in whose client disconnects is stored or not, and the next one works."""
    store = opening()
    await seed(store, World.demo(), keys, passwords.hash_or_remember, NOW)
    leaving = asyncio.create_task(store.sign_in(signing_in(keys, keys.generate_token())))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await store.sign_in(signing_in(keys, keys.generate_token()))


async def test_a_closed_store_is_unavailable(opening):
    """A closed store accepts no writes."""
    store = opening()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.revoke_token(b"x", NOW)
    with pytest.raises(StoreUnavailable):
        await store.find_token(b"x", NOW)


@pytest.mark.parametrize(
    "url", ["plex.db", "sqlite://plex.db", "sqlite:///", "postgresql://x/y", "sqlite:///x?mode=ro"]
)
def test_urls_that_are_none(url):
    """Only the two forms of a SQLite URL are accepted."""
    with pytest.raises(StoreError, match=r"sqlite:///relative\.db"):
        SqliteStore(url)


def test_urls():
    """Three slashes start a relative path, four an absolute one."""
    assert "local-plex.db" == str(sqlite_file.parse_database_url("sqlite:///local-plex.db"))
    assert "/srv/local-plex.db" == sqlite_file.parse_database_url("sqlite:////srv/local-plex.db").as_posix()
