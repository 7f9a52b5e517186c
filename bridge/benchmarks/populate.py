"""Fills a bridge's SQLite file with sessions, each with a grant and an access token.

Rule: the rows are those of people who signed in; the token of row n is known, so that it can be asked for. The tokens
count for ten minutes.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from ticketstub_bridge.sealing import digest

PEOPLE = 500
ROLES = '{"attic": "friend"}'


def make_token(number: int) -> str:
    """Return the access token of a row."""
    return f"bench-token-{number:031d}"


def populate(path: Path, count: int, client_id: str) -> None:
    """Add sessions until there are this many.

    Args:
        path: the SQLite file, migrated.
        count: how many sessions there are afterwards.
        client_id: the application.
    """
    now, later, soon = time.time(), time.time() + 86400, time.time() + 600
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    start = connection.execute("SELECT count(*) FROM sessions WHERE sid LIKE 'bench-%'").fetchone()[0]
    numbers = range(start, count)
    with connection:
        connection.executemany(
            "INSERT OR IGNORE INTO people (sub, account_id, handle, name, email, email_verified, roles, checked_at,"
            " created_at, signed_in_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (
                (f"bench-{n}", 10**9 + n, f"bench-{n}", f"Person {n}", f"{n}@example.test", ROLES, now, now, now)
                for n in range(PEOPLE)
            ),
        )
        connection.executemany(
            "INSERT INTO sessions (sid, digest, sub, auth_time, created_at, seen_at, expires_at, browser)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'Firefox on Linux')",
            ((f"bench-{n}", digest(f"session {n}"), f"bench-{n % PEOPLE}", now, now, now, later) for n in numbers),
        )
        connection.executemany(
            "INSERT INTO grants (id, client_id, sub, sid, scope, is_offline, auth_time, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, 'openid profile email groups', 0, ?, ?, ?)",
            ((f"bench-{n}", client_id, f"bench-{n % PEOPLE}", f"bench-{n}", now, now, later) for n in numbers),
        )
        connection.executemany(
            "INSERT INTO access_tokens (digest, grant_id, scope, expires_at)"
            " VALUES (?, ?, 'openid profile email groups', ?)",
            ((digest(make_token(n)), f"bench-{n}", soon) for n in numbers),
        )
    connection.close()
