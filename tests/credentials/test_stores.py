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

from tests.credentials.conftest import JWT, KEY, OTHER_ISSUER, PLEX_TV, SERVER, make_credential
from tests.credentials.test_credential import BAD_ISSUERS, BAD_PROFILES
from tests.examples import examples
from tests.tables import every
from ticketstub.credentials import Credential, CredentialStore, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Secret, Token

replace = msgspec.structs.replace


def test_an_empty_store(store: CredentialStore) -> None:
    """An empty store loads, lists and removes nothing."""
    assert (None, (), False) == (store.load(PLEX_TV), store.list_entries(), store.remove(PLEX_TV))


def test_all_fields_are_loaded(store: CredentialStore) -> None:
    """Every field is loaded as it was saved, including secrets and their origin. The store sets the version."""
    kept = store.save(make_credential(), replacing=None)
    found = store.load(PLEX_TV)
    assert replace(make_credential(), version=1) == kept == found
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
def test_any_value_is_loaded(
    store: CredentialStore, key: str, token: str, moment: Any, account: Any, name: Any
) -> None:
    """Any key, token, time, number and name is loaded as it was saved."""
    facts = {"created_at": moment, "account_id": account, "username": name}
    given = make_credential(device_key=Secret(key), token=Token.from_wire(token), **facts)
    kept = store.save(given, replacing=store.load(PLEX_TV))
    assert kept
    assert replace(given, version=kept.version) == kept == store.load(PLEX_TV)


def test_half_a_surrogate_pair_is_a_mistake(store: CredentialStore) -> None:
    """Text that no file can contain is a ValueError that repeats nothing, and the stored credential is unchanged."""
    kept = store.save(make_credential(), replacing=None)
    with pytest.raises(ValueError, match="surrogate") as caught:
        store.save(make_credential(device_key=Secret("cAnArY\udc80")), replacing=kept)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    assert kept == store.load(PLEX_TV)


def test_issuers_and_profiles_are_apart(store: CredentialStore) -> None:
    """L9: a credential of one issuer, profile and app is not returned for another, however similar they are."""
    issuers = (PLEX_TV, "http://plex.tv", "https://plex.tv:8443", "https://plex.tv.evil.example", OTHER_ISSUER)
    profiles = ("default", "Default", "default.", "a-b", "a_b")
    apps = ("ticketstub", "Photo Frame", "photo frame", "Photo-Frame", "Bilderrahmen für Oma", "a b", "default")
    entries = [Entry(issuer, profile, "ticketstub") for issuer in issuers for profile in profiles]
    entries += [Entry(PLEX_TV, profile, app) for profile in profiles for app in apps[1:]]
    for number, entry in enumerate(entries):
        assert store.load(*entry) is None
        assert store.save(make_credential(*entry, account_id=number), replacing=None)
    assert list(range(len(entries))) == [found.account_id for entry in entries if (found := store.load(*entry))]
    assert tuple(sorted(entries)) == store.list_entries()
    assert store.remove(*entries[0])
    assert tuple(sorted(entries[1:])) == store.list_entries()


def test_any_url_of_an_issuer(store: CredentialStore) -> None:
    """An issuer may be given as a longer URL."""
    store.save(make_credential(), replacing=None)
    assert store.load("https://PLEX.TV/api/v2") == store.load(PLEX_TV) != store.load("https://plex.tv:1")


def test_save_replaces_only_what_was_loaded(store: CredentialStore) -> None:
    """Compare and swap: of two writers that loaded the same credential, the second changes nothing and gets None."""
    first = store.save(make_credential(), replacing=None)
    mine = store.save(make_credential(username="mine"), replacing=first)
    assert store.save(make_credential(username="theirs"), replacing=first) is None
    assert store.save(make_credential(username="theirs"), replacing=None) is None
    assert mine == store.load(PLEX_TV)
    assert mine
    assert 2 == mine.version


def test_save_does_not_bring_back_what_was_removed(store: CredentialStore) -> None:
    """A renewal in progress does not undo a sign-out, nor a new sign-in."""
    first = store.save(make_credential(), replacing=None)
    store.remove(PLEX_TV)
    assert store.save(make_credential(username="renewed"), replacing=first) is None
    assert store.load(PLEX_TV) is None
    anew = store.save(make_credential(username="anew"), replacing=None)
    assert store.save(make_credential(username="renewed"), replacing=first) is None
    assert anew == store.load(PLEX_TV)


def test_remove_forgets(store: CredentialStore) -> None:
    """A removed credential is gone, and only the first removal returns true."""
    store.save(make_credential(), replacing=None)
    assert (True, None, (), False) == (
        *(store.remove(PLEX_TV), store.load(PLEX_TV)),
        *(store.list_entries(), store.remove(PLEX_TV)),
    )


class Slow(Token):
    """Takes a millisecond to encode, so that saves overlap."""

    def reveal(self) -> str:
        time.sleep(0.001)
        return super().reveal()


def test_c11_threads_lose_no_update(store: CredentialStore) -> None:
    """C11: 8 threads that count up 5 times each by compare and swap make 40, and some of them had to try again."""
    store.save(make_credential(account_id=0), replacing=None)
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
    """Others wait for a held lock for a bounded time. Once released it is free."""
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
    """Loading, saving and removing work while the lock is held. Other profiles and issuers have their own locks."""
    with store.lock(PLEX_TV), store.lock(PLEX_TV, "work", timeout=0), store.lock(OTHER_ISSUER, timeout=0):
        kept = store.save(make_credential(), replacing=None)
        assert kept == store.load(PLEX_TV)
        assert store.remove(PLEX_TV)


def test_the_lock_is_not_a_threads(store: CredentialStore) -> None:
    """A lock can be released in another thread, as the async client does, and excludes other threads."""
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
    """C11: tasks that renew under the lock, each step in some thread, never overlap."""
    store.save(make_credential(account_id=0), replacing=None)
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
    """A lock that was acquired for a cancelled task and is no longer referenced is free."""
    store.lock(PLEX_TV).__enter__()
    gc.collect()
    with store.lock(PLEX_TV, timeout=0):
        pass


def test_an_error_inside_frees_the_lock(store: CredentialStore) -> None:
    """An exception releases the lock and is raised unchanged."""
    with pytest.raises(KeyboardInterrupt), store.lock(PLEX_TV):
        raise KeyboardInterrupt
    with store.lock(PLEX_TV, timeout=0):
        pass


@every("profile", BAD_PROFILES)
def test_names_are_checked_first(store: CredentialStore, profile: str) -> None:
    """Every method raises ValueError for an invalid profile name."""
    for method in (store.load, store.remove, store.describe_location, store.lock):
        with pytest.raises(ValueError, match="profile's name"):
            method(PLEX_TV, profile)


@every("issuer", BAD_ISSUERS)
def test_issuers_are_checked_first(store: CredentialStore, issuer: str) -> None:
    """Every method raises ValueError for an invalid issuer."""
    for method in (store.load, store.remove, store.describe_location, store.lock):
        with pytest.raises(ValueError, match="address"):
            method(issuer)


def test_location_is_a_plain_sentence(store: CredentialStore) -> None:
    """`describe_location` says the same before and after a save, and shows no secret."""
    before = store.describe_location(PLEX_TV)
    store.save(make_credential(), replacing=None)
    assert before == store.describe_location(PLEX_TV)
    assert before.startswith("in ")
    assert "cAnArY" not in before
