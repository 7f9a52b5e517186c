"""Passwords and passcodes: argon2id in a bounded pool, and turns for each account.

Rule: every check of a password costs exactly one argon2 verification with some hash, whoever asks and whatever is
wrong, so that time does not tell which accounts exist. Who cannot be served soon is told at once (`Overloaded`), so
that token checks go on while sign-ins flood in. A permit belongs to the job, not to whoever waits for it: a client
that goes away frees nothing until a worker has dropped or done its job.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import sys
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ticketstub.local_plex.world.values import MAX_PASSWORD_BYTES, find_hash_fault
from ticketstub.tokens import Secret

T = TypeVar("T")


MAX_WAITING = 16
"""Jobs, or sign-ins to one account, that wait at most: half a second of work at 20 to 40 ms each."""

_NICENESS = 5


class Overloaded(Exception):
    """There is more work than can be done soon; nothing was done."""


ARGON2_COST = {"time_cost": 2, "memory_cost": 19456}  # rounds and KiB: OWASP's first choice, 20 to 40 ms each


class PasswordChecker:
    """Checks and hashes passwords.

    Args:
        workers: threads; by default one less than there are cores, at least one.
        max_waiting: jobs that may wait while all threads are busy.
        remember: whether a world's passwords are remembered rather than hashed. That is for a database in memory: it
            starts at once, and holds nothing that the world does not hold beside it.
    """

    def __init__(self, workers: int | None = None, max_waiting: int = MAX_WAITING, *, remember: bool = False) -> None:
        from argon2 import PasswordHasher  # a world is read without it

        workers = workers or max(1, (os.cpu_count() or 1) - 1)
        self._hasher = PasswordHasher(
            ARGON2_COST["time_cost"], ARGON2_COST["memory_cost"], parallelism=1, hash_len=32, salt_len=16
        )
        # Verifying against random bytes costs what any verification costs, and no password matches.
        random = "$".join(b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
        self._dummy = f"$argon2id$v=19$m={ARGON2_COST['memory_cost']},t={ARGON2_COST['time_cost']},p=1${random}"
        self._remembered: dict[str, Secret] | None = {} if remember else None
        self._pool = ThreadPoolExecutor(workers, "ticketstub-hashing", _lower_thread_priority)
        self._permits = threading.Semaphore(workers + max_waiting)
        self._closed = False

    async def verify(self, stored_hash: str | None, password: Secret) -> bool:
        """Tell whether a password belongs to a stored hash, at the cost of one verification in every case.

        Args:
            stored_hash: the hash, or `None` where there is no such account or it has no password.
            password: what was typed.

        Raises:
            Overloaded: too many sign-ins wait; nothing was checked.
        """
        return await self._run_in_pool(lambda: self.verify_blocking(stored_hash, password))

    async def hash(self, password: Secret) -> str:
        """Return what to store for a password; raises `Overloaded` as `verify` does."""
        return await self._run_in_pool(lambda: self.hash_blocking(password))

    def verify_blocking(self, stored_hash: str | None, password: Secret) -> bool:
        """Do what `verify` does on this very thread, which takes about 20 ms."""
        from argon2.exceptions import InvalidHashError, VerificationError  # as above

        typed = _encode(password)
        if stored_hash is None or len(typed) > MAX_PASSWORD_BYTES:
            stored_hash = ""
        known = (self._remembered or {}).get(stored_hash)
        phc = stored_hash if find_hash_fault(stored_hash) is None else self._dummy
        try:
            self._hasher.verify(phc, typed)
        except (VerificationError, InvalidHashError):
            return known is not None and hmac.compare_digest(_encode(known), typed)
        return True

    def hash_blocking(self, password: Secret) -> str:
        """Do what `hash` does on this very thread, which takes about 20 ms."""
        return self._hasher.hash(_encode(password))

    def hash_or_remember(self, password: Secret) -> str:
        """Return what to store for a password of a world: its hash, or a name under which it is remembered."""
        if self._remembered is None:
            return self.hash_blocking(password)
        name = "remembered:" + secrets.token_hex(16)
        self._remembered[name] = password
        return name

    def close(self) -> None:
        """Let the workers finish what they do now; all that waits ends as `Overloaded`."""
        self._closed = True
        self._pool.shutdown(wait=False)

    async def _run_in_pool(self, work: Callable[[], T]) -> T:
        if self._closed or not self._permits.acquire(blocking=False):
            raise Overloaded
        job = self._pool.submit(self._run_unless_closed, work)
        job.add_done_callback(lambda _job: self._permits.release())
        return await asyncio.wrap_future(job)

    def _run_unless_closed(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise Overloaded
        return work()


def _encode(password: Secret) -> bytes:
    return password.reveal().encode("utf-8", "surrogatepass")


def _lower_thread_priority() -> None:
    """Leave the processor to the event loop first, where threads have a priority of their own (Linux).

    Not to every other program: with the lowest priority, a hash of 20 ms took seconds where both cores were busy.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)


class KeyedLock:
    """One after the other, for each account by itself.

    Sign-ins to one account wait for each other, so that many right ones at once are not taken for guessing (each is
    counted before it is verified), and so that none is between a password's check and its change. Nothing is kept of
    a subject for which nobody waits.

    Args:
        max_waiting: how many may wait for the one whose turn it is.
    """

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_holders = max_waiting + 1
        self._locks: dict[str, asyncio.Lock] = {}
        self._queue_lengths = Counter[str]()

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncGenerator[None, None]:
        """Wait for one's turn and have it; raises `Overloaded` where too many wait."""
        if self._queue_lengths[key] >= self._max_holders:
            raise Overloaded
        self._queue_lengths[key] += 1
        try:
            async with self._locks.setdefault(key, asyncio.Lock()):
                yield
        finally:
            self._queue_lengths[key] -= 1
            if not self._queue_lengths[key]:
                del self._queue_lengths[key], self._locks[key]
