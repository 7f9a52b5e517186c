"""Passwords and passcodes: argon2id in a bounded thread pool, and a lock for each account.

Rule: every password check costs exactly one argon2 verification, whatever is wrong, so that the time taken does not
reveal which accounts exist. A request that would wait too long fails at once (`Overloaded`), so that a flood of
sign-ins does not stop token checks. A permit belongs to the job, not to the waiting client: a client that disconnects
frees nothing before a worker has finished or dropped its job.
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

from ticketstub.local_plex.world.values import MAX_PASSWORD_BYTES, T, find_hash_fault
from ticketstub.tokens import Secret

MAX_WAITING = 16
"""The largest number of waiting jobs, or waiting sign-ins to one account: half a second of work at 20 to 40 ms each."""

_NICENESS = 5
ARGON2_COST = {"time_cost": 2, "memory_cost": 19456}  # rounds and KiB: OWASP's first choice, 20 to 40 ms each


class Overloaded(Exception):
    """Too much work is waiting. Nothing was done."""


class PasswordChecker:
    """Checks and hashes passwords.

    Args:
        workers: the number of threads; by default one less than the number of cores, at least one.
        max_waiting: the largest number of jobs that wait while all threads are busy.
        remember: whether to remember a world's passwords instead of hashing them. This is for a database in memory: it
            starts at once, and memory contains no secret that the world does not.
    """

    def __init__(self, workers: int | None = None, max_waiting: int = MAX_WAITING, *, remember: bool = False) -> None:
        from argon2 import PasswordHasher  # reading a world does not need it

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
        """Return whether a password belongs to a hash, at the cost of one verification in every case.

        Args:
            stored_hash: the hash; `None` for an unknown account, or one without a password.
            password: the password as typed.

        Raises:
            Overloaded: too many sign-ins wait. Nothing was checked.
        """
        return await self._run_in_pool(lambda: self.verify_blocking(stored_hash, password))

    async def hash(self, password: Secret) -> str:
        """Return what to store for a password; raises `Overloaded` as `verify` does."""
        return await self._run_in_pool(lambda: self.hash_blocking(password))

    def verify_blocking(self, stored_hash: str | None, password: Secret) -> bool:
        """Do the work of `verify` on the calling thread, for about 20 ms."""
        from argon2.exceptions import InvalidHashError, VerificationError  # as above

        typed = _encode(password)
        if stored_hash is None or len(typed) > MAX_PASSWORD_BYTES:
            stored_hash = ""
        known = (self._remembered or {}).get(stored_hash)
        try:
            self._hasher.verify(stored_hash if find_hash_fault(stored_hash) is None else self._dummy, typed)
        except (VerificationError, InvalidHashError):
            return known is not None and hmac.compare_digest(_encode(known), typed)
        return True

    def hash_blocking(self, password: Secret) -> str:
        """Do the work of `hash` on the calling thread, for about 20 ms."""
        return self._hasher.hash(_encode(password))

    def hash_or_remember(self, password: Secret) -> str:
        """Return what to store for a password of a world: its hash, or the name under which it is remembered."""
        if self._remembered is None:
            return self.hash_blocking(password)
        name = "remembered:" + secrets.token_hex(16)
        self._remembered[name] = password
        return name

    def close(self) -> None:
        """Let the workers finish their current jobs; all waiting jobs end with `Overloaded`."""
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
    """Let the event loop run first, on Linux, where each thread has its own priority.

    The priority is not the lowest: with that, a hash of 20 ms took seconds on a busy machine.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)


class KeyedLock:
    """A lock for each account.

    Sign-ins to one account wait for each other. Otherwise many concurrent ones with the right password would look like
    guessing, because each is counted before it is verified, and one could come between the check of a password and its
    change. A key that nobody holds or waits for is forgotten.

    Args:
        max_waiting: the largest number of waiters for one key.
    """

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_holders = max_waiting + 1
        self._locks: dict[str, asyncio.Lock] = {}
        self._queue_lengths = Counter[str]()

    @contextlib.asynccontextmanager
    async def hold(self, key: str) -> AsyncGenerator[None, None]:
        """Wait for the lock of a key and hold it; raises `Overloaded` if too many wait."""
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
