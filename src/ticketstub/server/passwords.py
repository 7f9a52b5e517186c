"""Passwords: argon2id over an HMAC, in a bounded pool.

Rule: every check of a password costs exactly one argon2 verification with some hash, whoever asks and whatever is
wrong, so that time does not tell which accounts exist. Our hashes name the key they were peppered with
(`pepper:<key id>:$argon2id$…`); a bare `$argon2id$…` comes from a world and is verified as it is.
"""

from __future__ import annotations

import re
import secrets
import threading
from base64 import b64encode
from typing import NamedTuple

from ticketstub.server.keys import Keys
from ticketstub.server.pool import Overloaded, Pool
from ticketstub.token import Secret

__all__ = ["LONGEST", "Overloaded", "Passwords", "hash_fault"]

LONGEST = 1024
"""Bytes of the longest password that is accepted."""


class Cost(NamedTuple):
    """What a hash costs: argon2's rounds, and kibibytes of memory."""

    rounds: int
    kibibytes: int


COST = Cost(rounds=2, kibibytes=19456)  # OWASP's first choice, 20 to 40 ms each
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{16,128})"
)


def hash_fault(stored: str) -> str | None:
    """Say why a hash is not verified, or return `None`: one that is too costly could stop the whole machine."""
    match = _PHC.fullmatch(stored)
    if match is None:
        return "must be an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)"
    memory, rounds, lanes = (int(number) for number in match.groups()[:3])
    if memory > 256 * 1024 or rounds > 20 or lanes > 4:
        return "costs too much: at most m=262144 (256 MiB), t=20, p=4"
    if memory < 8 * lanes or not rounds or not lanes:
        return "has parameters that argon2 does not allow"
    return None


class Passwords:
    """Checks and hashes passwords.

    Args:
        keys: the instance's keys.
        workers: threads; by default one less than there are cores.
        waiting: sign-ins that may wait.
        pool: a pool in place of the one that `workers` and `waiting` describe.
    """

    def __init__(self, keys: Keys, workers: int | None = None, waiting: int = 16, *, pool: Pool | None = None) -> None:
        from argon2 import PasswordHasher  # a world is read without it

        self._keys = keys
        rounds, memory = COST
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory, parallelism=1, hash_len=32, salt_len=16)
        self._parameters = f"$argon2id$v=19$m={memory},t={rounds},p=1$"
        self._prefix = f"pepper:{keys.id}:"
        # Verifying against random bytes costs what any verification costs, and no password matches.
        self._dummy = self._parameters + "$".join(_base64(secrets.token_bytes(size)) for size in (16, 32))
        self._pool = pool or Pool(workers, waiting)
        self._counting = threading.Lock()
        self.verifications = 0
        """How many argon2 verifications were made."""
        self.against_nobody = 0
        """How many of these were against a hash that no password has: they could not have guessed one."""

    async def verify(self, stored: str | None, password: Secret, address: str) -> bool:
        """Tell whether a password belongs to a stored hash, at the cost of one verification in every case.

        Args:
            stored: our hash, a world's bare hash, or `None` where there is no such account or it has no password.
            password: what was typed.
            address: where the client is, for its fair share of the queue.

        Raises:
            Overloaded: too many sign-ins wait; nothing was checked.
        """
        return await self._pool.run(lambda: self.verify_now(stored, password), address)

    async def hash(self, password: Secret, address: str) -> str:
        """Return what to store for a password; raises `Overloaded` as `verify` does."""
        return await self._pool.run(lambda: self.hash_now(password), address)

    def verify_now(self, stored: str | None, password: Secret) -> bool:
        """Do what `verify` does on this very thread, which takes about 20 ms."""
        from argon2.exceptions import InvalidHashError, VerificationError  # as above

        typed = password.reveal().encode("utf-8", "surrogatepass")
        phc, peppered = self._hash_to_check(stored if len(typed) <= LONGEST else None)
        with self._counting:
            self.verifications += 1
            self.against_nobody += phc is self._dummy
        try:
            return self._hasher.verify(phc, self._keys.pepper(typed) if peppered else typed)
        except (VerificationError, InvalidHashError):
            return False

    def hash_now(self, password: Secret) -> str:
        """Do what `hash` does on this very thread, which takes about 20 ms."""
        typed = password.reveal().encode("utf-8", "surrogatepass")
        return self._prefix + self._hasher.hash(self._keys.pepper(typed))

    def needs_rehash(self, stored: str) -> bool:
        """Tell whether a hash was not made by `hash` with the present key and cost."""
        return not stored.startswith(self._prefix + self._parameters)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _hash_to_check(self, stored: str | None) -> tuple[str, bool]:
        """Return the argon2 hash and whether it is over the peppered password."""
        peppered = stored is None or stored.startswith(self._prefix)
        phc = self._dummy if stored is None else stored.removeprefix(self._prefix)
        return (phc, peppered) if hash_fault(phc) is None else (self._dummy, True)


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
