"""Sign-ins belong to an app: what earlier versions kept without one, as files and keyring entries that they wrote.

`kept_without_app` was written by the last version that knew no apps. Its profiles on https://plex.tv: `default` and
`attic` carry the identifiers of the program Photo Frame, `work` carries one of the command's, and `box`, which has a
device key, one that nobody remembers; `default` on http://127.0.0.1:8190 carries that of the program admin.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.credentials.conftest import ELSEWHERE, PLEX_TV, Ring, posix
from ticketstub.credentials import Credential, Entry, FileStore, KeyringStore
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Token

KEPT = Path(__file__).parent / "kept_without_app"
FRAME = Entry(PLEX_TV, "default", "Photo Frame")
FRAMES_FILE = "https-plex.tv-default-a58b76dabf1f4930.json"
OWNERS = {
    FRAME: 1,
    Entry(PLEX_TV, "attic", "Photo Frame"): 5,
    Entry(PLEX_TV, "work", "ticketstub"): 2,
    Entry(PLEX_TV, "box", "ticketstub"): 3,
    Entry(ELSEWHERE, "default", "admin"): 4,
}
replace = msgspec.structs.replace


class Kept:
    """A copy of what the earlier version kept, in files or in a keyring."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.ring = Ring()
        for name in ("devices", "files", "keyring"):
            shutil.copytree(KEPT / name, folder / name)
            for path in (folder / name).iterdir():
                path.chmod(0o600)
        entries: list[tuple[str, str, str]] = json.loads((KEPT / "keyring.json").read_text("utf-8"))
        for service, user, text in entries:
            self.ring.set_password(service, user, text)

    def store(self) -> FileStore | KeyringStore:
        devices = self.folder / "devices"
        if self.kind == "file":
            return FileStore(self.folder / "files", device_directory=devices)
        return KeyringStore(self.ring, directory=self.folder / "keyring", device_directory=devices)

    def earlier(self) -> set[tuple[str, str]]:
        """The issuers and profiles that an earlier version still finds, as it looks for them."""
        if self.kind == "keyring":
            return {(service.split()[1], user) for service, user in self.ring.kept if len(service.split()) == 3}
        found = [json.loads(path.read_bytes()) for path in (self.folder / "files").glob("*.json")]
        return {(one["issuer"], one["profile"]) for one in found}


@pytest.fixture(params=["file", "keyring"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return Kept(request.param, tmp_path)


def test_each_goes_to_the_app_whose_identifier_it_carries(kept: Kept) -> None:
    """What was kept without an app is its app's, else the command's, and no other app's, whoever asks first."""
    store = kept.store()
    for app in ("Admin Tool", "Photo-Frame", "photo frame", "Photo Frame", "admin", "ticketstub"):
        for issuer, profile in ((PLEX_TV, "default"), (PLEX_TV, "attic"), (PLEX_TV, "work"), (PLEX_TV, "box")):
            entry = Entry(issuer, profile, app)
            found = store.load(*entry)
            assert (found and found.account_id) == (OWNERS[entry] + 10500123 if entry in OWNERS else None), entry
            assert found is None or app == found.app
    found = store.load(ELSEWHERE, app="admin")
    assert found is not None
    assert (10500127, None) == (found.account_id, store.load(ELSEWHERE))


def test_listing_names_the_app_or_its_identifiers_file(kept: Kept) -> None:
    """A list has each sign-in once, under a name that loads it; loading and listing move nothing."""
    store, before = kept.store(), kept.earlier()
    listed = store.list_entries()
    assert {"ticketstub": 2, "admin": 1} == {
        app: [entry.app for entry in listed].count(app) for app in ("ticketstub", "admin")
    }
    assert {entry[:2] for entry in OWNERS} == {entry[:2] for entry in listed}
    assert all(store.load(*entry) for entry in listed)
    assert before == kept.earlier()


@pytest.mark.parametrize("entry", OWNERS, ids=lambda entry: f"{entry.app} {entry.profile}")
def test_a_save_moves_it(kept: Kept, entry: Entry) -> None:
    """Saved by its app, it is that app's own; an earlier version no longer finds it, and finds all the others."""
    store, before = kept.store(), kept.earlier()
    there = store.load(*entry)
    assert there is not None
    saved = store.save(replace(there, username="renamed"), replacing=there)
    assert saved == store.load(*entry) == kept.store().load(*entry)
    assert (there.version + 1, "renamed") == (saved and saved.version, saved and saved.username)
    assert before - {entry[:2]} == kept.earlier()
    assert len(OWNERS) == len(store.list_entries())
    assert store.remove(*entry)
    assert store.load(*entry) is None


@pytest.mark.parametrize("entry", OWNERS, ids=lambda entry: f"{entry.app} {entry.profile}")
def test_a_removal_removes_it_and_nothing_else(kept: Kept, entry: Entry) -> None:
    """Signed out by its app, it is gone for all versions; another app's removal leaves it."""
    store, before = kept.store(), kept.earlier()
    assert not store.remove(entry.issuer, entry.profile, "Admin Tool")
    assert before == kept.earlier()
    assert store.remove(*entry)
    assert (None, before - {entry[:2]}) == (store.load(*entry), kept.earlier())


def test_another_apps_sign_in_leaves_it(kept: Kept) -> None:
    """What another app signs in to under the same profile is kept beside it, and has a lock of its own."""
    store, before = kept.store(), kept.earlier()
    mine = Credential(issuer=PLEX_TV, app="Admin Tool", token=Token("another-token-entirely"))
    with store.lock(*FRAME), store.lock(*mine.entry, timeout=0.0):
        assert store.save(mine, replacing=None)
    assert before == kept.earlier()
    assert 10500124 == getattr(store.load(*FRAME), "account_id", None)


def test_an_earlier_versions_locks_are_respected(kept: Kept) -> None:
    """While both versions may renew the same sign-in, they wait for each other; other apps do not."""
    store = kept.store()
    lock = FRAMES_FILE.removesuffix(".json")
    with store._folder.hold_locks([lock], 0.0):
        with pytest.raises(CredentialsError, match="held these credentials"), store.lock(*FRAME, timeout=0.0):
            pass
        with store.lock(PLEX_TV, app="Admin Tool", timeout=0.0):
            pass
    there = store.load(*FRAME)
    assert store.save(there or Credential(issuer=PLEX_TV), replacing=there)
    with store._folder.hold_locks([lock], 0.0), store.lock(*FRAME, timeout=0.0):
        pass


def test_an_earlier_version_that_signs_in_again_is_left_alone(kept: Kept) -> None:
    """What an earlier version keeps after the move is another sign-in: it is neither used, replaced nor removed."""
    store, again = kept.store(), Kept(kept.kind, kept.folder / "again")
    there = store.load(*FRAME)
    saved = store.save(replace(there or Credential(issuer=PLEX_TV), token=Token("newly-signed-in")), replacing=there)
    for place in ("files", "keyring"):
        shutil.copy(again.folder / place / FRAMES_FILE, kept.folder / place / FRAMES_FILE)
    kept.ring.kept |= {key: text for key, text in again.ring.kept.items() if len(key[0].split()) == 3}
    assert saved == store.load(*FRAME)
    assert store.save(saved or Credential(issuer=PLEX_TV), replacing=saved)
    assert (PLEX_TV, "default") in kept.earlier()


@posix
@pytest.mark.parametrize("kind", ["file", "keyring"])
@pytest.mark.parametrize("work", ["save", "remove"])
def test_f_cl_1_killed_at_each_step_of_a_move(tmp_path: Path, kind: str, work: str) -> None:
    """F-CL-1: stopped before or after any of its writes, a move leaves one sign-in, which is found and can be ended."""
    for step in range(1000):
        kept = Kept(kind, tmp_path / str(step))
        there = kept.store().load(*FRAME)
        assert there is not None
        if _stopped_at(step, kept, lambda: _do(work, kept.store(), there)):  # noqa: B023  # called at once
            found = kept.store().load(*FRAME)
            assert found is None or found.token in {there.token, Token.from_wire("newly-signed-in", PLEX_TV)}
            assert found is not None or work == "remove"
            store = kept.store()
            left = {entry[:2] for entry in store.list_entries() if store.load(*entry)}
            assert {entry[:2] for entry in OWNERS if found or entry != FRAME} == left
            if found:
                assert kept.store().save(found, replacing=found)
                assert kept.store().remove(*FRAME)
            assert kept.store().load(*FRAME) is None
            assert (PLEX_TV, "default") not in kept.earlier()
        else:
            assert step > 2
            return
    raise AssertionError("it never ended")


class _StoppedError(Exception):
    """The process ended here. A keyring's thread tells an `Exception` at once, and would be waited for otherwise."""


def _do(work: str, store: FileStore | KeyringStore, there: Credential) -> None:
    if work == "save":
        store.save(replace(there, token=Token("newly-signed-in")), replacing=there)
    else:
        store.remove(*FRAME)


def _stopped_at(step: int, kept: Kept, work: Callable[[], None]) -> bool:
    """Do it in this process, and stop at the given change of a file or an entry; tell whether there was one."""
    changes = 0

    def change() -> None:
        nonlocal changes
        if changes == step:
            raise _StoppedError
        changes += 1

    class Stopping(Ring):
        def set_password(self, service: str, username: str, password: str) -> None:
            changing(super().set_password, service, username, password)

        def delete_password(self, service: str, username: str) -> None:
            changing(super().delete_password, service, username)

    def changing(do: Callable[..., object], *arguments: object) -> None:
        change()
        do(*arguments)
        change()

    stopping = Stopping()
    stopping.kept = kept.ring.kept
    kept.ring = stopping
    patch = pytest.MonkeyPatch()
    for name in ("replace", "unlink"):
        real = getattr(os, name)
        patch.setattr(os, name, lambda *given, real=real, **_named: changing(real, *given))
    try:
        work()
    except (_StoppedError, CredentialsError):
        return True
    finally:
        patch.undo()
        plain = Ring()
        plain.kept = kept.ring.kept
        kept.ring = plain
    return False
