"""A keyring: what is stored in it and what is not, and all the ways in which it fails."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from keyring.backends.chainer import ChainerBackend
from keyring.backends.fail import Keyring as FailKeyring
from keyring.backends.null import Keyring as NullKeyring
from keyring.errors import InitError, KeyringError, KeyringLocked, NoKeyringError, PasswordSetError

from tests.credentials.conftest import (
    JWT,
    KEY,
    OTHER_ISSUER,
    PLEX_TV,
    SECRETS,
    SERVER,
    FakeKeyring,
    make_credential,
    make_environment,
    posix,
)
from ticketstub.credentials import Entry, KeyringStore, default_store, is_keyring_available
from ticketstub.credentials.keyring import WINDOWS_MAX_LENGTH
from ticketstub.credentials.store import Credential, KnownServer
from ticketstub.errors import CredentialsError
from ticketstub.models import Connection, Resource
from ticketstub.tokens import Secret, Token

SERVICE = ("ticketstub https://plex.tv ticketstub default", "default")


def test_secrets_are_in_the_keyring_alone(tmp_path: Path) -> None:
    """The entry has its own service name. The notes and locks beside it contain no secret and no user name."""
    ring = FakeKeyring()
    store = KeyringStore(ring, directory=tmp_path)
    store.save(make_credential(), replacing=None)
    assert [SERVICE] == list(ring.entries)
    assert JWT in ring.entries[SERVICE]
    with store.lock(PLEX_TV):
        beside = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert ['{"issuer":"https://plex.tv","profile":"default","app":"ticketstub"}'] == [
        text for text in beside.values() if text
    ]
    assert not any(secret in f"{beside}" for secret in (*SECRETS, "mira_quill", "10500123"))


def test_entries_are_found_without_notes(tmp_path: Path) -> None:
    """Loading asks the keyring, not the notes. A save writes a lost note again."""
    ring = FakeKeyring()
    kept = KeyringStore(ring, directory=tmp_path / "a").save(make_credential(), replacing=None)
    store = KeyringStore(ring, directory=tmp_path / "b")
    assert (kept, ()) == (store.load(PLEX_TV), store.list_entries())
    store.save(make_credential(), replacing=kept)
    assert (Entry(PLEX_TV, "default"),) == store.list_entries()


def test_removing_removes_the_entry_and_the_note(tmp_path: Path) -> None:
    """A removal deletes the entry and the note, even if the entry was already deleted in the keyring itself."""
    ring = FakeKeyring()
    store = KeyringStore(ring, directory=tmp_path)
    for gone_already in (False, True):
        store.save(make_credential(), replacing=None)
        if gone_already:
            ring.entries.clear()
        assert gone_already is not store.remove(PLEX_TV)
        assert ({}, ()) == (ring.entries, store.list_entries())


def test_l9_an_entry_in_anothers_place_is_refused(tmp_path: Path) -> None:
    """L9: an entry that was copied to another issuer's name is not used there."""
    ring = FakeKeyring()
    store = KeyringStore(ring, directory=tmp_path)
    store.save(make_credential(), replacing=None)
    ring.entries[f"ticketstub {OTHER_ISSUER} ticketstub default", "default"] = ring.entries[SERVICE]
    with pytest.raises(CredentialsError, match="belongs to another issuer"):
        store.load(OTHER_ISSUER)


@pytest.mark.parametrize("text", ["", "cAnArY", '{"format":1}'])
def test_a_damaged_entry_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    """A damaged entry is an error that names it and shows nothing of it."""
    ring = FakeKeyring()
    ring.entries[SERVICE] = text
    store = KeyringStore(ring, directory=tmp_path)
    for attempt in (lambda: store.load(PLEX_TV), lambda: store.save(make_credential(), replacing=None)):
        with pytest.raises(CredentialsError, match=f"is damaged.*{SERVICE[0]}") as caught:
            attempt()
        assert "cAnArY" not in "".join(traceback.format_exception(caught.value))
    assert {SERVICE: text} == ring.entries
    assert store.remove(PLEX_TV)


def test_a_damaged_note_is_refused(tmp_path: Path) -> None:
    """A damaged note is an error that says it contains no secret."""
    store = KeyringStore(FakeKeyring(), directory=tmp_path)
    store.save(make_credential(), replacing=None)
    (note,) = tmp_path.glob("*.kept")
    for text in ("", "{}", '{"issuer":"x","profile":"default"}', "[" * 5000):
        note.write_text(text, "utf-8")
        with pytest.raises(CredentialsError, match="it contains no secret"):
            store.list_entries()


class Failing(FakeKeyring):
    """Raises the given exception with its arguments in the text."""

    def __init__(self, make: Callable[[str], Exception]) -> None:
        super().__init__()
        self.make = make

    def get_password(self, service: str, username: str) -> str | None:
        raise self.make(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.make(password)


class Refusing(Failing):
    """Raises only when something is stored."""

    def get_password(self, service: str, username: str) -> str | None:
        return None


class WinError(Exception):
    """What pywin32 raises; it is not an OSError."""


FAILURES: dict[str, tuple[Callable[[str], Exception], str]] = {
    "none": (NoKeyringError, "no keyring.*store="),
    "locked": (KeyringLocked, "is locked.*unlock it"),
    "no D-Bus": (InitError, "is locked or cannot be opened"),
    "refused": (PasswordSetError, r"failed \(PasswordSetError\)"),
    "failed": (KeyringError, r"failed \(KeyringError\)"),
    "not its own": (WinError, r"failed \(WinError\)"),
    "the system's": (OSError, r"failed \(OSError\)"),
}


@pytest.mark.parametrize(("make", "said"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("kind", [Failing, Refusing])
def test_whatever_it_raises(kind: type[Failing], make: Callable[[str], Exception], said: str, tmp_path: Path) -> None:
    """Every error of a keyring becomes a CredentialsError with a hint that shows nothing of what it was given."""
    store = KeyringStore(kind(make), directory=tmp_path)
    with pytest.raises(CredentialsError, match=said) as caught:
        store.save(make_credential(), replacing=None)
    assert caught.value.hint
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(secret in shown for secret in SECRETS)


class Small(FakeKeyring):
    """Like Windows: at most 2560 bytes of UTF-16."""

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password.encode("utf-16-le")) > 2560:
            raise WinError(1783, "CredWrite", password)
        super().set_password(service, username, password)


def test_a_jwt_and_its_key_fit_into_windows_keyring(tmp_path: Path) -> None:
    """A JWT with all scopes (536 characters, observed), a device key and a server token fit into 2560 bytes."""
    from ticketstub.crypto import DeviceKey

    whole = make_credential(
        token=Token.from_wire("eyJ" + "x" * 533),
        device_key=DeviceKey.generate().dump(),
        client_identifier="7c1f2e9a-2d4f-4a63-9e18-c0d7a4f2b631",
        username="u" * 40,
        created_at=1793675700.123456,
        signed_out_at=1793675700.123456,
    )
    store = KeyringStore(Small(), directory=tmp_path)
    assert store.save(whole, replacing=None) == store.load(PLEX_TV)


def test_too_much_for_windows_says_so(tmp_path: Path) -> None:
    """A credential that does not fit is refused with its size and an alternative."""
    store = KeyringStore(Small(), directory=tmp_path)
    with pytest.raises(
        CredentialsError, match=rf'did not accept \d+ characters: Windows accepts {WINDOWS_MAX_LENGTH}.*store="file"'
    ):
        store.save(make_credential(device_key=Secret("k" * 1300)), replacing=None)
    assert store.load(PLEX_TV) is None


class Forgetful(FakeKeyring):
    """Accepts everything and stores the start of it."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password[:512])


@pytest.mark.parametrize("ring", [Forgetful(), NullKeyring()])
def test_lost_data_is_detected(ring: FakeKeyring | NullKeyring, tmp_path: Path) -> None:
    """A save detects a keyring that stores nothing or only the start."""
    store = KeyringStore(ring, directory=tmp_path)
    with pytest.raises(CredentialsError, match="did not store"):
        store.save(make_credential(), replacing=None)


class Silent(FakeKeyring):
    """Waits for a user to unlock it."""

    def __init__(self) -> None:
        super().__init__()
        self.unlocked = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.unlocked.wait(60)
        return super().get_password(service, username)


def test_a_keyring_that_does_not_answer(tmp_path: Path) -> None:
    """A locked keyring that waits for a user, as over SSH, times out; once unlocked it is used."""
    ring = Silent()
    store = KeyringStore(ring, directory=tmp_path, answer_timeout=0.03)
    start = time.monotonic()
    with pytest.raises(CredentialsError, match=r"did not answer within 0\.03 seconds.*unlocked"):
        store.load(PLEX_TV)
    assert time.monotonic() - start < 30
    ring.unlocked.set()
    assert store.save(make_credential(), replacing=None)


class Slow(FakeKeyring):
    """Does not return its priority at once."""

    waits = threading.Event()

    @property
    def priority(self) -> float:  # type: ignore[override]  # as above
        self.waits.wait(60)
        return 5.0


class Plain(FakeKeyring):
    """Writes a plain file, as keyrings.alt does, and is therefore not recommended."""

    priority = 0.5  # pyright: ignore[reportAssignmentType]  # as above


class Chain(ChainerBackend):
    """A chain of keyrings, as the keyring library creates of all that it finds."""

    viable = False  # pyright: ignore[reportAssignmentType]  # as above
    backends: Any = ()


class SafeChain(Chain):
    backends = (FakeKeyring(), Plain())


class PlainChain(Chain):
    backends = (Plain(), Plain())


AVAILABLE = {
    FakeKeyring: True,
    SafeChain: True,
    FailKeyring: False,
    NullKeyring: False,
    Plain: False,
    Chain: False,
    PlainChain: False,
}


@pytest.mark.parametrize(("kind", "available"), AVAILABLE.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_l2_which_keyring_is_one(kind: Callable[[], FakeKeyring], available: bool) -> None:
    """L2: a keyring that stores nothing, an empty chain and one that writes plain files are not used by default."""
    assert available is is_keyring_available(kind())


def test_a_slow_keyring_is_none() -> None:
    """Whether a keyring is available is known within a time limit."""
    ring = Slow()
    start = time.monotonic()
    assert not is_keyring_available(ring, timeout=0.03)
    assert time.monotonic() - start < 30
    ring.waits.set()


KEYRINGS = {
    "keyring.backends.fail.Keyring": "no keyring",
    "keyring.backends.null.Keyring": "no keyring",
    "no.such": "failed",
}


@pytest.mark.parametrize("name", KEYRINGS)
def test_no_keyring_on_this_computer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a keyring, or with a configured one that does not exist, using it is an error with a hint."""
    monkeypatch.setattr("keyring.core._keyring_backend", None)  # as in a process that has not detected one yet
    for variable, value in make_environment(tmp_path, PYTHON_KEYRING_BACKEND=name).items():
        monkeypatch.setenv(variable, value)
    assert not is_keyring_available()
    with pytest.raises(CredentialsError, match=KEYRINGS[name]) as refused:
        default_store("keyring").load(PLEX_TV)
    assert 'store="file"' in str(refused.value)


def test_location_names_the_keyring_and_the_entry(tmp_path: Path) -> None:
    """`describe_location` names the entry as the keyring's own window shows it."""
    store = KeyringStore(FakeKeyring(), directory=tmp_path)
    assert store.describe_location(PLEX_TV).endswith("FakeKeyring), as ticketstub https://plex.tv ticketstub default")
    assert [] == list(tmp_path.iterdir())


@posix
def test_notes_are_as_private_as_files(tmp_path: Path) -> None:
    """A note that is a symbolic link is refused, and notes are 0600."""
    store = KeyringStore(FakeKeyring(), directory=tmp_path / "notes")
    store.save(make_credential(), replacing=None)
    (note,) = (tmp_path / "notes").glob("*.kept")
    assert (0o600, 0o700) == (note.stat().st_mode & 0o777, note.parent.stat().st_mode & 0o777)
    note.rename(tmp_path / "elsewhere")
    note.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CredentialsError, match="is a symbolic link"):
        store.list_entries()


def test_an_entry_has_all_secrets(tmp_path: Path) -> None:
    """All three secrets are in one entry, so that a token and its key always belong to the same sign-in."""
    ring = FakeKeyring()
    KeyringStore(ring, directory=tmp_path).save(make_credential(device_key=Secret("k0")), replacing=None)
    assert all(text in ring.entries[SERVICE] for text in (JWT, SERVER, '"device_key":"k0"'))
    assert KEY not in ring.entries[SERVICE]


def test_known_servers_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    """If the keyring has no room for the servers that were connected to, the sign-in is stored without them."""
    connections = tuple(Connection(uri=f"https://192-168-1-{n}.{'a' * 32}.plex.direct:32400") for n in range(20))
    known = KnownServer(resource=Resource(name="Attic", connections=connections), listed_at=1.0)
    for ring in (Small(), Forgetful()):
        store = KeyringStore(ring, directory=tmp_path / type(ring).__name__)
        plain = Credential(issuer="https://plex.tv", token=Token("Xk3mPz_9Q-vT7rLb2NfW"))
        first = store.save(plain, replacing=None)
        assert first is not None
        saved = store.save(msgspec.structs.replace(first, checked_at=2.0, servers=(known,)), replacing=first)
        assert saved is not None
        assert (2.0, ()) == (saved.checked_at, saved.servers)
        assert saved == store.load("https://plex.tv")
