"""Local Plexes with one defect each, which the machine must notice.

Rule: each defect is one that a store, or a cache in front of it, could have; nothing else is changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from tests.local_plex.asking import START
from tests.stateful.machine import Plexes
from ticketstub.local_plex.domain.instance import Instance
from ticketstub.local_plex.storage.base import NewSignIn, TokenRow

_REVIVE = """
    UPDATE token SET revoked_at = NULL WHERE revoked_at = $1 AND digest IN (SELECT digest FROM home_switch)
"""


def sign_out_ends_nothing(instance: Instance) -> None:
    """A sign-out reports success and does not revoke the token."""

    async def revoke(digest: bytes, now: int) -> bool:
        return await instance.store.find_token(digest, now) is not None

    _put(instance.store, revoke_token=revoke)


def sign_out_forgets_jwts(instance: Instance) -> None:
    """A sign-out revokes opaque tokens only; a JWT stays valid until it expires."""
    ends = instance.store.revoke_token

    async def revoke(digest: bytes, now: int) -> bool:
        row = await instance.store.find_token(digest, now)
        return row is not None and (row.kind == "jwt" or await ends(digest, now))

    _put(instance.store, revoke_token=revoke)


def the_clock_is_ignored(instance: Instance) -> None:
    """Tokens are looked up with the time of the start."""
    finds = instance.store.find_token

    async def find(digest: bytes, _now: int) -> TokenRow | None:
        return await finds(digest, START)

    _put(instance.store, find_token=find)


def tokens_are_cached(instance: Instance) -> None:
    """Valid tokens are cached in front of the store."""
    finds, cache = instance.store.find_token, dict[bytes, TokenRow]()

    async def find(digest: bytes, now: int) -> TokenRow | None:
        if digest not in cache and (row := await finds(digest, now)):
            cache[digest] = row
        return cache.get(digest)

    _put(instance.store, find_token=find)


def a_removed_device_keeps_its_tokens(instance: Instance) -> None:
    """The device is removed, and its tokens stay."""

    async def remove(account_id: int, device_id: int, _now: int) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            values = {"1": device_id, "2": account_id}
            connection.execute("UPDATE token SET device_id = NULL WHERE device_id = $1", {"1": device_id})
            return connection.execute("DELETE FROM device WHERE id = $1 AND account_id = $2", values).rowcount == 1

        return await _writer(instance).run(work)

    _put(instance.store.devices, remove=remove)


def a_nonce_is_good_twice(instance: Instance) -> None:
    """A used nonce is added again."""
    keys, grants = instance.store.device_keys, instance.store.device_keys.add_jwt

    async def grant(**wanted: Any) -> bool:
        done = await grants(**wanted)
        if done and wanted["nonce_digest"] is not None:
            now = wanted["now"]
            await keys.add_nonce(wanted["nonce_digest"], wanted["client_identifier"], now, now + 300, 1_000_000)
        return done

    _put(instance.store.device_keys, add_jwt=grant)


def who_leaves_a_home_is_kept(instance: Instance) -> None:
    """A member is removed, and its switches stay valid."""
    removes = instance.store.homes.remove_member

    async def remove(home_id: int, account_id: int, now: int) -> bool:
        def revive(connection: sqlite3.Connection) -> None:
            connection.execute(_REVIVE, {"1": now})

        done = await removes(home_id, account_id, now)
        await _writer(instance).run(revive)
        return done

    _put(instance.store.homes, remove_member=remove)


def a_new_password_signs_nobody_out(instance: Instance) -> None:
    """A new password issues a new token and revokes none."""
    changes = instance.store.accounts.change_password

    async def change(account_id: int, *, new_sign_in: NewSignIn | None, **wanted: Any) -> bool:
        done = await changes(account_id, **wanted)
        return done and (new_sign_in is None or await instance.store.sign_in(new_sign_in))

    _put(instance.store.accounts, change_password=change)


class TransientTokensLiveOn(Plexes):
    """Media servers keep their transient tokens over a restart."""

    def restart(self) -> None:
        before = {name: server.transient_tokens for name, server in self.plex.media_servers.items()}
        super().restart()
        for name, server in self.plex.media_servers.items():
            server.transient_tokens = before[name]


def changed(change: Any) -> type[Plexes]:
    """Return a machine with this defect."""
    return type(change.__name__, (Plexes,), {"change": staticmethod(change)})


# The shortest ways to notice each, by the machine's own rules.


def signed_out(plexes: Plexes) -> None:
    plexes.signs_out(plexes.signs_in("mira", "tv", remember=False))


def jwt_signed_out(plexes: Plexes) -> None:
    key = plexes.registers_a_key(plexes.signs_in("mira", "tv", remember=False), "tv")
    plexes.signs_out(plexes.exchanges(key))


def remembered(plexes: Plexes) -> None:
    plexes.signs_in("mira", "tv", remember=True)
    plexes.a_token_stands_as_the_model_says()
    plexes.time_goes_by(15 * 24 * 3600)


def used_and_signed_out(plexes: Plexes) -> None:
    token = plexes.signs_in("mira", "tv", remember=False)
    plexes.a_token_stands_as_the_model_says()
    plexes.signs_out(token)


def removed(plexes: Plexes) -> None:
    plexes.removes_a_device(plexes.signs_in("mira", "tv", remember=False), "tv", own=True)


def exchanged(plexes: Plexes) -> None:
    plexes.exchanges(plexes.registers_a_key(plexes.signs_in("mira", "tv", remember=False), "tv"))


def left(plexes: Plexes) -> None:
    plexes.leaves_home(plexes.switches(plexes.signs_in("mira", "tv", remember=False), "tom", "tv", "right"), "tom")


def new_password(plexes: Plexes) -> None:
    plexes.changes_the_password(plexes.signs_in("mira", "tv", remember=False), "phone", everywhere=True)


def restarted(plexes: Plexes) -> None:
    plexes.delegates(plexes.signs_in("mira", "tv", remember=False), "Attic")
    plexes.restarts()


MUTANTS: dict[type[Plexes], Callable[[Plexes], None]] = {
    changed(sign_out_ends_nothing): signed_out,
    changed(sign_out_forgets_jwts): jwt_signed_out,
    changed(the_clock_is_ignored): remembered,
    changed(tokens_are_cached): used_and_signed_out,
    changed(a_removed_device_keeps_its_tokens): removed,
    changed(a_nonce_is_good_twice): exchanged,
    changed(who_leaves_a_home_is_kept): left,
    changed(a_new_password_signs_nobody_out): new_password,
    TransientTokensLiveOn: restarted,
}
"""Each machine with a defect, and the way on which it fails."""

QUICKLY_FOUND = tuple(
    mutant
    for mutant in MUTANTS
    if mutant.__name__
    in {"sign_out_ends_nothing", "tokens_are_cached", "a_nonce_is_good_twice", "a_new_password_signs_nobody_out"}
)
"""Those that chance finds within a second or two; the others take it a quarter of a minute."""


def _put(place: object, **verbs: Any) -> None:
    for name, verb in verbs.items():
        assert hasattr(place, name)
        setattr(place, name, verb)


def _writer(instance: Instance) -> Any:
    store: Any = instance.store
    return store._writer
