"""A keyring: what is in it and what is not, and all the ways in which one fails."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keyring.backends.chainer import ChainerBackend
from keyring.backends.fail import Keyring as NoRing
from keyring.backends.null import Keyring as NullRing
from keyring.errors import InitError, KeyringError, KeyringLocked, NoKeyringError, PasswordSetError

from tests.credentials.conftest import (
    ELSEWHERE,
    JWT,
    KEY,
    PLEX_TV,
    SECRETS,
    SERVER,
    Ring,
    environment,
    posix,
    signed_in,
)
from ticketstub.credentials import Entry, KeyringStore, default_store, is_keyring_available
from ticketstub.credentials.keyring import WINDOWS_MAX_LENGTH
from ticketstub.errors import CredentialsError
from ticketstub.tokens import Secret, Token

SERVICE = ("ticketstub https://plex.tv ticketstub default", "default")


def test_secrets_are_in_the_keyring_alone(tmp_path: Path) -> None:
    """The entry has its own service name; the notes and locks beside it hold no secret and no user's name."""
    ring = Ring()
    store = KeyringStore(ring, directory=tmp_path)
    store.save(signed_in(), replacing=None)
    assert [SERVICE] == list(ring.kept)
    assert JWT in ring.kept[SERVICE]
    with store.lock(PLEX_TV):
        beside = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert ['{"issuer":"https://plex.tv","profile":"default","app":"ticketstub"}'] == [
        text for text in beside.values() if text
    ]
    assert not any(secret in f"{beside}" for secret in (*SECRETS, "mira_quill", "10500123"))


def test_what_the_keyring_holds_is_found_without_notes(tmp_path: Path) -> None:
    """Loading asks the keyring, not the notes; a save notes anew what was lost."""
    ring = Ring()
    kept = KeyringStore(ring, directory=tmp_path / "a").save(signed_in(), replacing=None)
    store = KeyringStore(ring, directory=tmp_path / "b")
    assert (kept, ()) == (store.load(PLEX_TV), store.list_entries())
    store.save(signed_in(), replacing=kept)
    assert (Entry(PLEX_TV, "default"),) == store.list_entries()


def test_removing_removes_the_entry_and_the_note(tmp_path: Path) -> None:
    """After a removal neither is left; what was deleted in the keyring itself is forgotten, too."""
    ring = Ring()
    store = KeyringStore(ring, directory=tmp_path)
    for gone_already in (False, True):
        store.save(signed_in(), replacing=None)
        if gone_already:
            ring.kept.clear()
        assert gone_already is not store.remove(PLEX_TV)
        assert ({}, ()) == (ring.kept, store.list_entries())


def test_l9_an_entry_in_anothers_place_is_refused(tmp_path: Path) -> None:
    """L9: an entry that was copied to another issuer's name is not used there."""
    ring = Ring()
    store = KeyringStore(ring, directory=tmp_path)
    store.save(signed_in(), replacing=None)
    ring.kept[f"ticketstub {ELSEWHERE} ticketstub default", "default"] = ring.kept[SERVICE]
    with pytest.raises(CredentialsError, match="belongs to another issuer"):
        store.load(ELSEWHERE)


@pytest.mark.parametrize("text", ["", "cAnArY", '{"format":1}'])
def test_a_damaged_entry_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    """An entry that cannot be read is an error that names it and shows nothing of it."""
    ring = Ring()
    ring.kept[SERVICE] = text
    store = KeyringStore(ring, directory=tmp_path)
    for attempt in (lambda: store.load(PLEX_TV), lambda: store.save(signed_in(), replacing=None)):
        with pytest.raises(CredentialsError, match=f"is damaged.*{SERVICE[0]}") as caught:
            attempt()
        assert "cAnArY" not in "".join(traceback.format_exception(caught.value))
    assert {SERVICE: text} == ring.kept
    assert store.remove(PLEX_TV)


def test_a_damaged_note_is_refused(tmp_path: Path) -> None:
    """A note that cannot be read is an error that says it holds no secret."""
    store = KeyringStore(Ring(), directory=tmp_path)
    store.save(signed_in(), replacing=None)
    (note,) = tmp_path.glob("*.kept")
    for text in ("", "{}", '{"issuer":"x","profile":"default"}', "[" * 5000):
        note.write_text(text, "utf-8")
        with pytest.raises(CredentialsError, match="it contains no secret"):
            store.list_entries()


class Failing(Ring):
    """Raises what it was made with, with what it was given in its text."""

    def __init__(self, make: Callable[[str], Exception]) -> None:
        super().__init__()
        self.make = make

    def get_password(self, service: str, username: str) -> str | None:
        raise self.make(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.make(password)


class Refusing(Failing):
    """Raises only when something is to be kept."""

    def get_password(self, service: str, username: str) -> str | None:
        return None


class WinError(Exception):
    """What pywin32 raises; it is no OSError."""


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
    """Every error of a keyring is a CredentialsError with a hint, and shows nothing of what the keyring was given."""
    store = KeyringStore(kind(make), directory=tmp_path)
    with pytest.raises(CredentialsError, match=said) as caught:
        store.save(signed_in(), replacing=None)
    assert caught.value.hint
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(secret in shown for secret in SECRETS)


class Small(Ring):
    """As Windows: at most 2560 bytes of UTF-16."""

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password.encode("utf-16-le")) > 2560:
            raise WinError(1783, "CredWrite", password)
        super().set_password(service, username, password)


def test_a_jwt_and_its_key_fit_into_windows_keyring(tmp_path: Path) -> None:
    """A JWT of all scopes (536 characters, observed), a device key and a server's token fit into 2560 bytes."""
    from ticketstub.crypto import DeviceKey

    whole = signed_in(
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
    """What does not fit is refused with its size and the way out."""
    store = KeyringStore(Small(), directory=tmp_path)
    with pytest.raises(
        CredentialsError, match=rf'did not accept \d+ characters: Windows accepts {WINDOWS_MAX_LENGTH}.*store="file"'
    ):
        store.save(signed_in(device_key=Secret("k" * 1300)), replacing=None)
    assert store.load(PLEX_TV) is None


class Forgetful(Ring):
    """Takes everything and keeps some of it."""

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password[:512])


@pytest.mark.parametrize("ring", [Forgetful(), NullRing()])
def test_what_is_not_kept_is_not_said_to_be(ring: Ring | NullRing, tmp_path: Path) -> None:
    """A keyring that keeps nothing, or the beginning, is found out by the save."""
    store = KeyringStore(ring, directory=tmp_path)
    with pytest.raises(CredentialsError, match="did not keep"):
        store.save(signed_in(), replacing=None)


class Silent(Ring):
    """Waits for a user who is not there."""

    def __init__(self) -> None:
        super().__init__()
        self.unlocked = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.unlocked.wait(60)
        return super().get_password(service, username)


def test_a_keyring_that_does_not_answer(tmp_path: Path) -> None:
    """A keyring that waits to be unlocked where nobody is, as over SSH, is given up; unlocked, it is used."""
    ring = Silent()
    store = KeyringStore(ring, directory=tmp_path, answer_timeout=0.03)
    start = time.monotonic()
    with pytest.raises(CredentialsError, match=r"did not answer within 0\.03 seconds.*unlocked"):
        store.load(PLEX_TV)
    assert time.monotonic() - start < 30
    ring.unlocked.set()
    assert store.save(signed_in(), replacing=None)


class Slow(Ring):
    """Answers only when asked a second time what it is."""

    waits = threading.Event()

    @property
    def priority(self) -> float:  # type: ignore[override]  # keyring has a property of the class there
        self.waits.wait(60)
        return 5.0


class Plain(Ring):
    """Writes a plain file, as keyrings.alt does, and so is not recommended."""

    priority = 0.5  # pyright: ignore[reportAssignmentType]  # as above


class Chain(ChainerBackend):
    """A chain of keyrings, as the keyring library makes one of all that it finds."""

    viable = False  # pyright: ignore[reportAssignmentType]  # as above
    backends: Any = ()


class SafeChain(Chain):
    backends = (Ring(), Plain())


class PlainChain(Chain):
    backends = (Plain(), Plain())


AVAILABLE = {Ring: True, SafeChain: True, NoRing: False, NullRing: False, Plain: False, Chain: False, PlainChain: False}


@pytest.mark.parametrize(("kind", "available"), AVAILABLE.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_l2_which_keyring_is_one(kind: Callable[[], Ring], available: bool) -> None:
    """L2: none, one that keeps nothing, an empty chain and one that writes plain files are none to use unasked."""
    assert available is is_keyring_available(kind())


def test_a_slow_keyring_is_none() -> None:
    """Whether there is a keyring is known after a bounded time."""
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
    """Without a keyring, or with one configured that does not exist, asking for it is an error with a hint."""
    monkeypatch.setattr("keyring.core._keyring_backend", None)  # as in a process that has not asked for one yet
    for variable, value in environment(tmp_path, PYTHON_KEYRING_BACKEND=name).items():
        monkeypatch.setenv(variable, value)
    assert not is_keyring_available()
    with pytest.raises(CredentialsError, match=KEYRINGS[name]) as refused:
        default_store("keyring").load(PLEX_TV)
    assert 'store="file"' in str(refused.value)


def test_where_names_the_keyring_and_the_entry(tmp_path: Path) -> None:
    """`where` names what to look for in the keyring's own window."""
    store = KeyringStore(Ring(), directory=tmp_path)
    assert store.describe_location(PLEX_TV).endswith("Ring), as ticketstub https://plex.tv ticketstub default")
    assert [] == list(tmp_path.iterdir())


@posix
def test_notes_are_as_private_as_files(tmp_path: Path) -> None:
    """A note that is a link is refused; all is 0600."""
    store = KeyringStore(Ring(), directory=tmp_path / "notes")
    store.save(signed_in(), replacing=None)
    (note,) = (tmp_path / "notes").glob("*.kept")
    assert (0o600, 0o700) == (note.stat().st_mode & 0o777, note.parent.stat().st_mode & 0o777)
    note.rename(tmp_path / "elsewhere")
    note.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CredentialsError, match="is a symbolic link"):
        store.list_entries()


def test_what_a_test_keyring_holds_is_whole(tmp_path: Path) -> None:
    """All three secrets are in the one entry, so that a token and its key are never of two sign-ins."""
    ring = Ring()
    KeyringStore(ring, directory=tmp_path).save(signed_in(device_key=Secret("k0")), replacing=None)
    assert all(text in ring.kept[SERVICE] for text in (JWT, SERVER, '"device_key":"k0"'))
    assert KEY not in ring.kept[SERVICE]
