"""Database files: which are accepted, which are refused, and how one replaces another."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from ticketstub.local_plex.storage import sqlite_file
from ticketstub.local_plex.storage.base import StoreDamaged, StoreError
from ticketstub.local_plex.storage.schema import SCHEMA_VERSION, TABLES
from ticketstub.local_plex.storage.seal import InstanceKeys
from ticketstub.local_plex.storage.seed import seed
from ticketstub.local_plex.storage.sqlite import SqliteStore
from ticketstub.local_plex.world.schema import World

NOW = 1_790_000_000


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "plex.db"


async def make(path, keys, passwords, **options):
    """Create a database with the demonstration world."""
    store = SqliteStore(f"sqlite:///{path}", **options)
    await seed(store, World.demo(), keys, passwords.hash_or_remember, NOW)
    await store.close()


def run(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
    return found


def make_version_2(path):
    """Remove what later versions have added."""
    run(path, "DROP TABLE instance")
    run(path, "DROP INDEX account_of_uuid")
    run(path, "ALTER TABLE pin ADD COLUMN counted_for TEXT")
    run(path, "CREATE INDEX pin_counted_for ON pin (counted_for, expires_at)")
    run(path, "ALTER TABLE account ADD COLUMN version INTEGER NOT NULL DEFAULT 1")
    run(path, "PRAGMA user_version = 2")


def replace(path):
    with sqlite_file.replace_database(path) as draft:
        sqlite_file.prepare_database(draft)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"This is a text, and certainly no database."), "not a database"),
        (lambda path: run(path, "CREATE TABLE theirs (x)"), "another program"),
        (lambda path: run(path, "PRAGMA application_id = 5"), "another program"),
    ],
)
def test_f_sq_9_files_that_are_not_ours(path, make, reason):
    """F-SQ-9: another program's file is refused by name, unchanged, and never replaced."""
    make(path)
    before = path.read_bytes()
    for use in (sqlite_file.prepare_database, replace):
        with pytest.raises(StoreError, match=reason) as caught:
            use(path)
        assert str(path) in str(caught.value)
    assert before == path.read_bytes()


def test_a_folder_is_no_database(tmp_path):
    """A folder in place of a database is refused as a folder."""
    with pytest.raises(StoreError, match="is a folder"):
        sqlite_file.parse_database_url(f"sqlite:///{tmp_path}")


def test_f_sq_9_a_newer_file(path):
    """F-SQ-9: a file with tables of another version is refused, and can be replaced."""
    sqlite_file.prepare_database(path)
    run(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="another version"):
        sqlite_file.prepare_database(path)
    replace(path)
    sqlite_file.prepare_database(path)


async def test_f_sq_9_a_damaged_file(path, keys, passwords):
    """F-SQ-9: a database with an overwritten page is refused as damaged and not changed; it can be replaced."""
    await make(path, keys, passwords)
    (size,), *_ = run(path, "PRAGMA page_size")
    healthy = path.read_bytes()
    pages = len(healthy) // size
    assert pages > 20, "no power: hardly any page to damage"
    for page in range(1, pages):
        damaged = healthy[: page * size] + b"\x5a" * size + healthy[(page + 1) * size :]
        path.write_bytes(damaged)
        with pytest.raises(StoreDamaged, match=rf"{re.escape(str(path))} is damaged: ."):
            sqlite_file.prepare_database(path)
        assert damaged == path.read_bytes()
    replace(path)
    sqlite_file.prepare_database(path)


async def test_a_truncated_file(path, keys, passwords):
    """F-SQ-9: a truncated database is refused as damaged and not changed."""
    await make(path, keys, passwords)
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    with pytest.raises(StoreDamaged):
        sqlite_file.prepare_database(path)
    assert half == path.read_bytes()


async def test_another_instances_keys(path, keys, passwords):
    """A database is refused with keys that it was not created with, by name, and not changed."""
    await make(path, keys, passwords, instance=keys.id)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"plex\.db\.key belongs to another database"):
        sqlite_file.prepare_database(path, InstanceKeys.create_ephemeral().id)
    assert before == path.read_bytes()
    sqlite_file.prepare_database(path, keys.id)


@pytest.mark.parametrize("left", ["all", "nothing"])
async def test_a_database_without_an_instance_id(path, keys, passwords, left):
    """A database of version 2 records the id of its keys, but only if they are those that its data was sealed with."""
    await make(path, keys, passwords)
    make_version_2(path)
    if left == "nothing":
        run(path, "DELETE FROM token")
    before = path.read_bytes()
    other = InstanceKeys.create_ephemeral()
    if left != "nothing":
        with pytest.raises(StoreError, match="another database"):
            sqlite_file.prepare_database(path, other.id)
        assert before == path.read_bytes()
    sqlite_file.prepare_database(path, keys.id)
    assert [(keys.id,)] == run(path, "SELECT id FROM instance")
    assert [(SCHEMA_VERSION,)] == run(path, "PRAGMA user_version")
    with pytest.raises(StoreError, match="another database"):
        sqlite_file.prepare_database(path, other.id)


@pytest.mark.parametrize("statement", ["UPDATE account SET password_hash", "UPDATE passcode SET hash"])
async def test_a_database_with_a_pepper(path, keys, passwords, statement):
    """A database whose passwords an earlier version hashed with a pepper is refused by name, and can be replaced."""
    await make(path, keys, passwords)
    make_version_2(path)
    run(path, f"{statement} = 'pepper:00000000:' || '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA'")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=rf"{re.escape(str(path))} contains passwords .* pepper.* --reset"):
        sqlite_file.prepare_database(path, keys.id)
    assert before == path.read_bytes()
    replace(path)
    sqlite_file.prepare_database(path, keys.id)


def test_a_migrated_database_has_the_tables_of_a_new_one(tmp_path):
    """Version 2, once migrated, has exactly the tables of a new database."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    for path in (old, new):
        sqlite_file.prepare_database(path)
    make_version_2(old)
    sqlite_file.prepare_database(old)
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert run(new, schema) == run(old, schema)
    assert len(TABLES) > 10


async def test_replacing(path, keys, passwords):
    """A new database replaces the old one completely, also if the old one has a log."""
    await make(path, keys, passwords)
    with closing(sqlite_file.open_writer(path, None)) as writer, closing(sqlite_file.open_reader(path)) as _:
        writer.execute("PRAGMA user_version")
        run(path, "UPDATE account SET disabled_at = 1")
        log = path.with_name("plex.db-wal").read_bytes()
    path.with_name("plex.db-wal").write_bytes(log)
    replace(path)
    assert [(0,)] == run(path, "SELECT count(*) FROM account")
    assert ["plex.db"] == [file.name for file in path.parent.iterdir() if not file.name.endswith(("-wal", "-shm"))]


async def test_a_replacement_that_fails(path, keys, passwords):
    """An error before the new database is complete leaves the old one unchanged, and no draft."""
    await make(path, keys, passwords)
    before = path.read_bytes()
    path.with_name("plex.db.draft").write_bytes(b"of a start that was killed")
    with pytest.raises(ZeroDivisionError), sqlite_file.replace_database(path) as draft:
        draft.write_bytes(b"x" * (1 // 0))
    with pytest.raises(StoreError, match="could not be written"), sqlite_file.replace_database(path) as draft:
        draft.with_name("plex.db.draft-wal").touch()
    assert {"plex.db": before} == {file.name: file.read_bytes() for file in path.parent.iterdir()}
