"""Keeps a few idle connections for the next request.

Rule: a connection is in the pool or in one exchange, never both. Only one that is young, open and silent comes out
again; what the other side closed meanwhile is thrown away before anything is sent on it. A forked child starts with
none, for two processes must not talk on one connection.
"""

from __future__ import annotations

import os
from threading import Lock
from time import monotonic
from typing import NamedTuple

from ticketstub.transports.connection import Connection
from ticketstub.wire.http import Place


class _Idle(NamedTuple):
    connection: Connection
    since: float


class _Shelf:
    """One process's idle connections, the oldest first, and their lock."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = Lock()
        self.idle: list[_Idle] = []


class Pool:
    """Idle connections to all places; safe to share between threads.

    Args:
        most: how many are kept, of all places together.
        seconds: how long each is kept. Servers close theirs from 5 s on (uvicorn), and firewalls forget them.
    """

    def __init__(self, most: int = 16, seconds: float = 15.0) -> None:
        self._most = most
        self._seconds = seconds
        self._own = _Shelf()

    @property
    def _shelf(self) -> _Shelf:
        if (shelf := self._own).process != os.getpid():  # a child: the lock may be held by a thread that is not here
            self._own = _Shelf()
            for entry in shelf.idle:  # closes the child's copies only: nothing goes out, the parent's go on
                entry.connection.close()
        return self._own

    def take(self, place: Place) -> Connection | None:
        """Return the connection to a place that was used last and is still good, if there is one."""
        while (connection := self._last(place)) is not None:
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    def _last(self, place: Place) -> Connection | None:
        shelf, oldest = self._shelf, monotonic() - self._seconds
        with shelf.lock:
            while shelf.idle and shelf.idle[0].since < oldest:
                shelf.idle.pop(0).connection.close()
            for index in range(len(shelf.idle) - 1, -1, -1):
                if shelf.idle[index].connection.place == place:
                    return shelf.idle.pop(index).connection
        return None

    def give(self, connection: Connection) -> None:
        """Keep a connection whose exchange has ended well."""
        shelf = self._shelf
        with shelf.lock:
            shelf.idle.append(_Idle(connection, monotonic()))
            if len(shelf.idle) > self._most:
                shelf.idle.pop(0).connection.close()

    def close(self) -> None:
        """Close every idle connection."""
        shelf = self._shelf
        with shelf.lock:
            idle, shelf.idle = shelf.idle, []
        for entry in idle:
            entry.connection.close()
