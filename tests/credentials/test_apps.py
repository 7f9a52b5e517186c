"""Sign-ins belong to an app, including those that earlier versions stored without one, in files and keyring entries.

`kept_without_app` was written by the last version without apps. Its profiles on https://plex.tv: `default` and `attic`
have identifiers of the program Photo Frame, `work` has one of the command, and `box`, which has a device key, has one
that is not stored; `default` on http://127.0.0.1:8190 has one of the program admin.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.credentials.conftest import OTHER_ISSUER, PLEX_TV, FakeKeyring, posix
from ticketstub.credentials import Credential, Entry, FileStore, KeyringStore
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Token

LEGACY_FOLDER = Path(__file__).parent / "kept_without_app"
FRAME = Entry(PLEX_TV, "default", "Photo Frame")
FRAMES_FILE = "https-plex.tv-default-a58b76dabf1f4930.json"
OWNERS = {
    FRAME: 1,
    Entry(PLEX_TV, "attic", "Photo Frame"): 5,
    Entry(PLEX_TV, "work", "ticketstub"): 2,
    Entry(PLEX_TV, "box", "ticketstub"): 3,
    Entry(OTHER_ISSUER, "default", "admin"): 4,
}
replace = msgspec.structs.replace


class StoredSignIns:
    """A copy of what the earlier version stored, in files or in a keyring."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.keyring = FakeKeyring()
        for name in ("devices", "files", "keyring"):
            shutil.copytree(LEGACY_FOLDER / name, folder / name)
            for path in (folder / name).iterdir():
                path.chmod(0o600)
        entries: list[tuple[str, str, str]] = json.loads((LEGACY_FOLDER / "keyring.json").read_text("utf-8"))
        for service, user, text in entries:
            self.keyring.set_password(service, user, text)

    def open_store(self) -> FileStore | KeyringStore:
        devices = self.folder / "devices"
        if self.kind == "file":
            return FileStore(self.folder / "files", device_directory=devices)
        return KeyringStore(self.keyring, directory=self.folder / "keyring", device_directory=devices)

    def list_legacy(self) -> set[tuple[str, str]]:
        """Return the issuers and profiles that the earlier version still finds."""
        if self.kind == "keyring":
            return {(service.split()[1], user) for service, user in self.keyring.entries if len(service.split()) == 3}
        found = [json.loads(path.read_bytes()) for path in (self.folder / "files").glob("*.json")]
        return {(one["issuer"], one["profile"]) for one in found}


@pytest.fixture(params=["file", "keyring"])
def sign_ins(request: pytest.FixtureRequest, tmp_path: Path) -> StoredSignIns:
    return StoredSignIns(request.param, tmp_path)


def test_each_goes_to_the_app_whose_identifier_it_carries(sign_ins: StoredSignIns) -> None:
    """A sign-in without an app belongs to the app with its identifier, otherwise to the command, not to another app."""
    store = sign_ins.open_store()
    for app in ("Admin Tool", "Photo-Frame", "photo frame", "Photo Frame", "admin", "ticketstub"):
        for issuer, profile in ((PLEX_TV, "default"), (PLEX_TV, "attic"), (PLEX_TV, "work"), (PLEX_TV, "box")):
            entry = Entry(issuer, profile, app)
            found = store.load(*entry)
            assert (found and found.account_id) == (OWNERS[entry] + 10500123 if entry in OWNERS else None), entry
            assert found is None or app == found.app
    found = store.load(OTHER_ISSUER, app="admin")
    assert found is not None
    assert (10500127, None) == (found.account_id, store.load(OTHER_ISSUER))


def test_listing_names_the_app_or_its_identifiers_file(sign_ins: StoredSignIns) -> None:
    """A list has each sign-in once, under a name that loads it. Loading and listing move nothing."""
    store, before = sign_ins.open_store(), sign_ins.list_legacy()
    listed = store.list_entries()
    assert {"ticketstub": 2, "admin": 1} == {
        app: [entry.app for entry in listed].count(app) for app in ("ticketstub", "admin")
    }
    assert {entry[:2] for entry in OWNERS} == {entry[:2] for entry in listed}
    assert all(store.load(*entry) for entry in listed)
    assert before == sign_ins.list_legacy()


@pytest.mark.parametrize("entry", OWNERS, ids=lambda entry: f"{entry.app} {entry.profile}")
def test_a_save_moves_it(sign_ins: StoredSignIns, entry: Entry) -> None:
    """A sign-in that its app saves gets the app's name. The earlier version still finds all others."""
    store, before = sign_ins.open_store(), sign_ins.list_legacy()
    stored = store.load(*entry)
    assert stored is not None
    saved = store.save(replace(stored, username="renamed"), replacing=stored)
    assert saved == store.load(*entry) == sign_ins.open_store().load(*entry)
    assert (stored.version + 1, "renamed") == (saved and saved.version, saved and saved.username)
    assert before - {entry[:2]} == sign_ins.list_legacy()
    assert len(OWNERS) == len(store.list_entries())
    assert store.remove(*entry)
    assert store.load(*entry) is None


@pytest.mark.parametrize("entry", OWNERS, ids=lambda entry: f"{entry.app} {entry.profile}")
def test_a_removal_removes_it_and_nothing_else(sign_ins: StoredSignIns, entry: Entry) -> None:
    """A sign-in that its app removes is gone for all versions. Another app cannot remove it."""
    store, before = sign_ins.open_store(), sign_ins.list_legacy()
    assert not store.remove(entry.issuer, entry.profile, "Admin Tool")
    assert before == sign_ins.list_legacy()
    assert store.remove(*entry)
    assert (None, before - {entry[:2]}) == (store.load(*entry), sign_ins.list_legacy())


def test_another_apps_sign_in_leaves_it(sign_ins: StoredSignIns) -> None:
    """Another app's sign-in under the same profile is stored beside it and has its own lock."""
    store, before = sign_ins.open_store(), sign_ins.list_legacy()
    mine = Credential(issuer=PLEX_TV, app="Admin Tool", token=Token("another-token-entirely"))
    with store.lock(*FRAME), store.lock(*mine.entry, timeout=0.0):
        assert store.save(mine, replacing=None)
    assert before == sign_ins.list_legacy()
    assert 10500124 == getattr(store.load(*FRAME), "account_id", None)


def test_an_earlier_versions_locks_are_respected(sign_ins: StoredSignIns) -> None:
    """While both versions may renew the same sign-in, they wait for each other's lock; other apps do not."""
    store = sign_ins.open_store()
    lock = FRAMES_FILE.removesuffix(".json")
    with store._folder.hold_locks([lock], 0.0):
        with pytest.raises(CredentialsError, match="held these credentials"), store.lock(*FRAME, timeout=0.0):
            pass
        with store.lock(PLEX_TV, app="Admin Tool", timeout=0.0):
            pass
    stored = store.load(*FRAME)
    assert store.save(stored or Credential(issuer=PLEX_TV), replacing=stored)
    with store._folder.hold_locks([lock], 0.0), store.lock(*FRAME, timeout=0.0):
        pass


def test_an_earlier_version_that_signs_in_again_is_left_alone(sign_ins: StoredSignIns) -> None:
    """What the earlier version stores after the move is another sign-in. It is not used, replaced or removed."""
    store, original = sign_ins.open_store(), StoredSignIns(sign_ins.kind, sign_ins.folder / "original")
    stored = store.load(*FRAME)
    saved = store.save(replace(stored or Credential(issuer=PLEX_TV), token=Token("newly-signed-in")), replacing=stored)
    for place in ("files", "keyring"):
        shutil.copy(original.folder / place / FRAMES_FILE, sign_ins.folder / place / FRAMES_FILE)
    sign_ins.keyring.entries |= {
        key: text for key, text in original.keyring.entries.items() if len(key[0].split()) == 3
    }
    assert saved == store.load(*FRAME)
    assert store.save(saved or Credential(issuer=PLEX_TV), replacing=saved)
    assert (PLEX_TV, "default") in sign_ins.list_legacy()


@posix
@pytest.mark.parametrize("kind", ["file", "keyring"])
@pytest.mark.parametrize("work", ["save", "remove"])
def test_f_cl_1_killed_at_each_step_of_a_move(tmp_path: Path, kind: str, work: str) -> None:
    """F-CL-1: a move that stops before or after any of its writes leaves one sign-in to load and remove."""
    for step in range(1000):
        sign_ins = StoredSignIns(kind, tmp_path / str(step))
        stored = sign_ins.open_store().load(*FRAME)
        assert stored is not None
        move = partial(_save_or_remove, work, sign_ins, stored)
        if _is_stopped_at(step, sign_ins, move):
            found = sign_ins.open_store().load(*FRAME)
            assert found is None or found.token in {stored.token, Token.from_wire("newly-signed-in", PLEX_TV)}
            assert found is not None or work == "remove"
            store = sign_ins.open_store()
            left = {entry[:2] for entry in store.list_entries() if store.load(*entry)}
            assert {entry[:2] for entry in OWNERS if found or entry != FRAME} == left
            if found:
                assert sign_ins.open_store().save(found, replacing=found)
                assert sign_ins.open_store().remove(*FRAME)
            assert sign_ins.open_store().load(*FRAME) is None
            assert (PLEX_TV, "default") not in sign_ins.list_legacy()
        else:
            assert step > 2
            return
    raise AssertionError("the move never completed")


class _StoppedError(Exception):
    """The process stopped here. It is an `Exception`, since a keyring's thread would be waited for otherwise."""


def _save_or_remove(work: str, sign_ins: StoredSignIns, stored: Credential) -> None:
    store = sign_ins.open_store()
    if work == "save":
        store.save(replace(stored, token=Token("newly-signed-in")), replacing=stored)
    else:
        store.remove(*FRAME)


def _is_stopped_at(step: int, sign_ins: StoredSignIns, work: Callable[[], None]) -> bool:
    """Do the work, stop it at the given change of a file or entry, and return whether it got there."""
    changes = 0

    def count_change() -> None:
        nonlocal changes
        if changes == step:
            raise _StoppedError
        changes += 1

    class Stopping(FakeKeyring):
        def set_password(self, service: str, username: str, password: str) -> None:
            do_counted(super().set_password, service, username, password)

        def delete_password(self, service: str, username: str) -> None:
            do_counted(super().delete_password, service, username)

    def do_counted(do: Callable[..., object], *arguments: object) -> None:
        count_change()
        do(*arguments)
        count_change()

    stopping = Stopping()
    stopping.entries = sign_ins.keyring.entries
    sign_ins.keyring = stopping
    patch = pytest.MonkeyPatch()
    for name in ("replace", "unlink"):
        real = getattr(os, name)
        patch.setattr(os, name, lambda *arguments, real=real, **_options: do_counted(real, *arguments))
    try:
        work()
    except (_StoppedError, CredentialsError):
        return True
    finally:
        patch.undo()
        plain = FakeKeyring()
        plain.entries = sign_ins.keyring.entries
        sign_ins.keyring = plain
    return False
