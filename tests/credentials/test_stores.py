"""What every store promises: the same tests for memory, files and a keyring."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.credentials.conftest import ELSEWHERE, JWT, KEY, PLEX_TV, SERVER, signed_in
from tests.credentials.test_credential import BAD_ISSUERS, BAD_PROFILES
from tests.examples import examples
from tests.tables import every
from ticketstub.credentials import Credential, CredentialStore, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Secret, Token

replace = msgspec.structs.replace


def test_nothing_is_kept_at_first(store: CredentialStore) -> None:
    """An empty store loads nothing, lists nothing, removes nothing."""
    assert (None, (), False) == (store.load(PLEX_TV), store.list_entries(), store.remove(PLEX_TV))


def test_what_was_saved_is_loaded(store: CredentialStore) -> None:
    """Every field comes back as it was, secrets and their origin included; the version is the store's."""
    kept = store.save(signed_in(), replacing=None)
    found = store.load(PLEX_TV)
    assert replace(signed_in(), version=1) == kept == found
    assert isinstance(found, Credential)
    assert (JWT, KEY, SERVER) == tuple(s.reveal() for s in (found.token, found.device_key, found.server_token) if s)
    assert (PLEX_TV, PLEX_TV) == tuple(token.origin for token in (found.token, found.server_token) if token)


@given(
    key=st.text(st.characters(exclude_categories=["Cs"])),
    token=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1),
    moment=st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    account=st.integers(-(2**63), 2**64 - 1) | st.none(),
    name=st.text(st.characters(exclude_categories=["Cs"])) | st.none(),
)
@examples(25)
def test_whatever_is_saved_is_loaded(
    store: CredentialStore, key: str, token: str, moment: Any, account: Any, name: Any
) -> None:
    """Any key, token, time, number or name survives."""
    facts = {"created_at": moment, "account_id": account, "username": name}
    given = signed_in(device_key=Secret(key), token=Token.from_wire(token), **facts)
    kept = store.save(given, replacing=store.load(PLEX_TV))
    assert kept
    assert replace(given, version=kept.version) == kept == store.load(PLEX_TV)


def test_half_a_surrogate_pair_is_a_mistake(store: CredentialStore) -> None:
    """What no file can hold is a ValueError that repeats nothing, and what was kept stays."""
    kept = store.save(signed_in(), replacing=None)
    with pytest.raises(ValueError, match="surrogate") as caught:
        store.save(signed_in(device_key=Secret("cAnArY\udc80")), replacing=kept)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    assert kept == store.load(PLEX_TV)


def test_issuers_and_profiles_are_apart(store: CredentialStore) -> None:
    """L9: what was kept for one issuer, profile and app comes out for no other, however alike they are."""
    issuers = (PLEX_TV, "http://plex.tv", "https://plex.tv:8443", "https://plex.tv.evil.example", ELSEWHERE)
    profiles = ("default", "Default", "default.", "a-b", "a_b")
    apps = ("ticketstub", "Photo Frame", "photo frame", "Photo-Frame", "Bilderrahmen für Oma", "a b", "default")
    entries = [Entry(issuer, profile, "ticketstub") for issuer in issuers for profile in profiles]
    entries += [Entry(PLEX_TV, profile, app) for profile in profiles for app in apps[1:]]
    for number, entry in enumerate(entries):
        assert store.load(*entry) is None
        assert store.save(signed_in(*entry, account_id=number), replacing=None)
    assert list(range(len(entries))) == [found.account_id for entry in entries if (found := store.load(*entry))]
    assert tuple(sorted(entries)) == store.list_entries()
    assert store.remove(*entries[0])
    assert tuple(sorted(entries[1:])) == store.list_entries()


def test_any_address_of_an_issuer_will_do(store: CredentialStore) -> None:
    """An issuer may be named by a longer address, as programs have it at hand."""
    store.save(signed_in(), replacing=None)
    assert store.load("https://PLEX.TV/api/v2") == store.load(PLEX_TV) != store.load("https://plex.tv:1")


def test_save_replaces_only_what_was_loaded(store: CredentialStore) -> None:
    """Compare and swap: of two that loaded the same, the second to save is told so and changes nothing."""
    first = store.save(signed_in(), replacing=None)
    mine = store.save(signed_in(username="mine"), replacing=first)
    assert store.save(signed_in(username="theirs"), replacing=first) is None
    assert store.save(signed_in(username="theirs"), replacing=None) is None
    assert mine == store.load(PLEX_TV)
    assert mine
    assert 2 == mine.version


def test_save_does_not_bring_back_what_was_removed(store: CredentialStore) -> None:
    """A renewal that was under way when its profile was signed out, and even signed in anew, does not undo that."""
    first = store.save(signed_in(), replacing=None)
    store.remove(PLEX_TV)
    assert store.save(signed_in(username="renewed"), replacing=first) is None
    assert store.load(PLEX_TV) is None
    anew = store.save(signed_in(username="anew"), replacing=None)
    assert store.save(signed_in(username="renewed"), replacing=first) is None
    assert anew == store.load(PLEX_TV)


def test_remove_forgets(store: CredentialStore) -> None:
    """What was removed is gone, once."""
    store.save(signed_in(), replacing=None)
    assert (True, None, (), False) == (
        *(store.remove(PLEX_TV), store.load(PLEX_TV)),
        *(store.list_entries(), store.remove(PLEX_TV)),
    )


class Slow(Token):
    """Takes a millisecond to be written, so that saves overlap."""

    def reveal(self) -> str:
        time.sleep(0.001)
        return super().reveal()


def test_c11_threads_lose_no_update(store: CredentialStore) -> None:
    """C11: 8 threads that each count up 5 times by compare and swap make 40, and some had to try again."""
    store.save(signed_in(account_id=0), replacing=None)
    meet, lost = threading.Barrier(8), list[int]()

    def count() -> None:
        done = tries = 0
        while done < 5:
            now = store.load(PLEX_TV)
            assert now
            if tries == 0:
                meet.wait(60)  # all have loaded the same
            tries += 1
            more = replace(now, account_id=(now.account_id or 0) + 1, token=Slow.from_wire(JWT, PLEX_TV))
            done += store.save(more, replacing=now) is not None
        lost.append(tries - done)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = store.load(PLEX_TV)
    assert found
    assert (40, 41) == (found.account_id, found.version)
    assert sum(lost) >= 7


def test_the_lock_has_one_holder(store: CredentialStore) -> None:
    """While one holds the lock others wait for a bounded time; when it is left it is free."""
    with store.lock(PLEX_TV):
        start = time.monotonic()
        with pytest.raises(CredentialsError, match=r"held these credentials for 0\.03 seconds"):
            store.lock(PLEX_TV, timeout=0.03).__enter__()
        assert 0.02 < time.monotonic() - start < 30
        with pytest.raises(CredentialsError), store.lock("https://plex.tv/", timeout=0):
            pass
    with store.lock(PLEX_TV, timeout=0):
        pass


def test_the_lock_hinders_nothing_else(store: CredentialStore) -> None:
    """Its holder, and others, load and save; other profiles and issuers have locks of their own."""
    with store.lock(PLEX_TV), store.lock(PLEX_TV, "work", timeout=0), store.lock(ELSEWHERE, timeout=0):
        kept = store.save(signed_in(), replacing=None)
        assert kept == store.load(PLEX_TV)
        assert store.remove(PLEX_TV)


def test_the_lock_is_not_a_threads(store: CredentialStore) -> None:
    """Entered in one thread it is left in another, as the async façade does it, and excludes threads."""
    held = store.lock(PLEX_TV)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(held.__enter__).result(5)
        with pytest.raises(CredentialsError):
            one.submit(store.lock(PLEX_TV, timeout=0).__enter__).result(5)
        other.submit(held.__exit__, None, None, None).result(5)
        again = store.lock(PLEX_TV, timeout=0)
        one.submit(again.__enter__).result(5)
        again.__exit__(None, None, None)


async def test_tasks_take_turns(store: CredentialStore) -> None:
    """C11: 16 tasks that renew under the lock, each step in some thread, never overlap."""
    store.save(signed_in(account_id=0), replacing=None)
    inside = most = 0

    async def renew() -> None:
        nonlocal inside, most
        lock = store.lock(PLEX_TV)
        await asyncio.to_thread(lock.__enter__)
        inside += 1
        most = max(most, inside)
        now = await asyncio.to_thread(store.load, PLEX_TV)
        assert now
        assert await asyncio.to_thread(store.save, replace(now, account_id=(now.account_id or 0) + 1), replacing=now)
        inside -= 1
        await asyncio.to_thread(lock.__exit__, None, None, None)

    await asyncio.gather(*(renew() for _ in range(4)))
    found = store.load(PLEX_TV)
    assert found
    assert (4, 1) == (found.account_id, most)


def test_a_dropped_lock_is_free(store: CredentialStore) -> None:
    """A lock that was entered for a task that was cancelled meanwhile, and that nobody holds any more, is free."""
    store.lock(PLEX_TV).__enter__()
    gc.collect()
    with store.lock(PLEX_TV, timeout=0):
        pass


def test_an_error_inside_frees_the_lock(store: CredentialStore) -> None:
    """Whatever happens to its holder, the lock is free afterwards, and the error is the holder's own."""
    with pytest.raises(KeyboardInterrupt), store.lock(PLEX_TV):
        raise KeyboardInterrupt
    with store.lock(PLEX_TV, timeout=0):
        pass


@every("profile", BAD_PROFILES)
def test_names_are_checked_first(store: CredentialStore, profile: str) -> None:
    """A name that is none is a ValueError of every method."""
    for method in (store.load, store.remove, store.describe_location, store.lock):
        with pytest.raises(ValueError, match="profile's name"):
            method(PLEX_TV, profile)


@every("issuer", BAD_ISSUERS)
def test_issuers_are_checked_first(store: CredentialStore, issuer: str) -> None:
    """An issuer that is none is a ValueError of every method."""
    for method in (store.load, store.remove, store.describe_location, store.lock):
        with pytest.raises(ValueError, match="address"):
            method(issuer)


def test_where_is_a_plain_sentence(store: CredentialStore) -> None:
    """`where` says it before and after, and says no secret."""
    before = store.describe_location(PLEX_TV)
    store.save(signed_in(), replacing=None)
    assert before == store.describe_location(PLEX_TV)
    assert before.startswith("in ")
    assert "cAnArY" not in before
