"""Credentials in the system's keyring: Keychain, Credential Manager, Secret Service or KWallet.

Rule: secrets are stored only in the keyring. A keyring cannot be listed, so each entry has a note: a small file without
secrets. So listing unlocks nothing, and programs that save at the same time cannot overwrite each other's notes. Each
entry has its own service name, because on Windows an entry replaces another one of the same service.

A keyring may show a window and wait for its user, or hang (a locked keyring over SSH does), so every request to it runs
on its own thread and has a time limit. What a keyring raises becomes a `CredentialsError` without its text, cause or
context, which could contain the secret. The keyring library is loaded with the first request.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ticketstub import dns
from ticketstub.credentials.file import (
    LEGACY_SUFFIX,
    SUFFIX,
    WRITE_TIMEOUT,
    FolderStore,
    get_credentials_directory,
    get_file_name,
)
from ticketstub.credentials.store import (
    COMMAND_APP,
    DEFAULT_PROFILE,
    Credential,
    Entry,
    decode_credential,
    encode_credential,
)
from ticketstub.errors import CredentialsError
from ticketstub.tokens import hide_locals

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

ANSWER_TIMEOUT = 60.0
"""How many seconds a keyring has to answer: a person may have to unlock it (our choice)."""

DETECTION_TIMEOUT = 3.0
"""How many seconds it may take to detect the keyring, which usually takes milliseconds (our choice)."""

WINDOWS_MAX_LENGTH = 1280
"""How many characters Windows stores in one entry: 2560 bytes of UTF-16 (documented)."""

_FILE_HINT = 'or store the sign-in in a file: store="file"'


class _NoRoomError(CredentialsError):
    """The credential is too long for this keyring."""


class _Note(msgspec.Struct):
    issuer: str
    profile: str
    app: str = COMMAND_APP


@hide_locals
class KeyringStore(FolderStore):
    """Stores credentials in the system's keyring.

    Args:
        backend: A backend of the keyring library; by default the one that the library detects on first use.
        directory: The folder for notes and locks, which contain no secret; by default `keyring` in the folder of
            `FileStore`.
        answer_timeout: How many seconds the keyring has for each answer.
        device_directory: As for `FileStore`.

    Raises:
        CredentialsError: No directory is given and the user's home folder is unknown.
    """

    def __init__(
        self,
        backend: KeyringBackend | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
        device_directory: Path | None = None,
    ) -> None:
        folder = get_credentials_directory(None) / "keyring" if directory is None else Path(directory)
        # Another writer may be waiting for a person to unlock the keyring.
        super().__init__(folder, device_directory, WRITE_TIMEOUT + 3 * answer_timeout)
        self._backend = backend
        self._answer_timeout = answer_timeout

    def list_entries(self) -> tuple[Entry, ...]:
        """Return the entries of all notes, sorted, including those deleted in the keyring itself.

        The keyring is asked only about entries without an app, which earlier versions stored.

        Raises:
            CredentialsError: A note is a symbolic link, accessible to others or damaged; or as `load`, for an entry
                without an app.
        """
        legacy_entries = map(self._resolve_app, self._parse_entries(LEGACY_SUFFIX))
        return tuple(sorted({*legacy_entries, *self._parse_entries(SUFFIX)}))

    def list_notes(self) -> tuple[Entry, ...]:
        """Return the entries of all notes, sorted, without asking the keyring; one without an app is the command's."""
        return self._parse_entries(SUFFIX, LEGACY_SUFFIX)

    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Describe in which keyring, and under which name, the credential is or would be stored.

        Raises:
            CredentialsError: There is no usable keyring.
        """
        entry = Entry.create(issuer, profile, app)
        service, _ = _get_service_and_user(entry, is_legacy=self._is_stored_as_legacy(entry))
        backend = self._keyring
        return f"in this computer's keyring ({getattr(backend, 'name', type(backend).__name__)}), as {service}"

    @cached_property
    def _keyring(self) -> KeyringBackend:
        return self._backend or _get_usable_keyring()

    def _read(self, entry: Entry, *, is_legacy: bool = False) -> Credential | None:
        if is_legacy and self._folder.read(get_file_name(entry, is_legacy=True)) is None:
            return None  # without a note the keyring is not asked
        backend, key = self._keyring, _get_service_and_user(entry, is_legacy=is_legacy)
        text = call_with_timeout(self._answer_timeout, lambda: backend.get_password(*key))
        if text is None:
            return None
        return decode_credential(
            text,
            "the keyring's entry for this profile",
            hint=f"delete this entry of the keyring and sign in again: {key[0]}",
            entry=entry,
        )

    def _write(self, entry: Entry, credential: Credential) -> Credential:
        # The note comes first: a note without an entry is harmless, but an entry without a note is never found.
        self._folder.write(get_file_name(entry), msgspec.json.encode(_Note(*entry)))
        try:
            self._write_and_verify(entry, credential)
        except _NoRoomError:
            if not credential.servers:
                raise
            credential = msgspec.structs.replace(credential, servers=())
            self._write_and_verify(entry, credential)
        return credential

    def _write_and_verify(self, entry: Entry, credential: Credential) -> None:
        """Store a credential and read it back: some keyrings accept everything and store nothing or only the start."""
        text = encode_credential(credential).decode()
        backend, (service, user) = self._keyring, _get_service_and_user(entry)

        def write_and_verify() -> bool:
            backend.set_password(service, user, text)  # pyright: ignore[reportUnknownMemberType]  # it is wrapped
            return backend.get_password(service, user) == text

        if not call_with_timeout(self._answer_timeout, write_and_verify, size=len(text)):
            raise _NoRoomError("the keyring accepted the sign-in but did not store it", hint='use store="file" instead')

    def _delete(self, entry: Entry, *, is_legacy: bool = False) -> bool:
        backend, key = self._keyring, _get_service_and_user(entry, is_legacy=is_legacy)
        existed = call_with_timeout(self._answer_timeout, lambda: backend.get_password(*key)) is not None
        if existed:
            call_with_timeout(self._answer_timeout, lambda: backend.delete_password(*key))
        self._folder.remove(get_file_name(entry, is_legacy=is_legacy))
        return existed

    def _resolve_app(self, entry: Entry) -> Entry:
        """Return the entry with the app to which an earlier version's sign-in belongs."""
        found = self._read(entry, is_legacy=True)
        return entry._replace(app=min(self._find_owners(found))) if found else entry

    def _parse_entry(self, name: str, data: bytes) -> Entry:
        try:
            note = msgspec.json.decode(data, type=_Note)
            return Entry.create(note.issuer, note.profile, note.app)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            path = self._folder.path / name
            raise CredentialsError(f"{path} is damaged", hint=f"delete {path}; it contains no secret") from None


def _get_service_and_user(entry: Entry, *, is_legacy: bool = False) -> tuple[str, str]:
    """Return the service and user name of an entry, as the keyring library calls them."""
    app = "" if is_legacy else f" {entry.app}"
    return f"ticketstub {entry.issuer}{app} {entry.profile}", entry.profile


def is_keyring_available(backend: KeyringBackend | None = None, *, timeout: float = DETECTION_TIMEOUT) -> bool:
    """Return whether there is a keyring that is safe to use by default: one that the keyring library recommends.

    A keyring that stores nothing, writes plain files or does not answer within `timeout` seconds is not.

    Args:
        backend: The keyring to judge; by default the one that the keyring library detects.
        timeout: The time limit in seconds.
    """
    try:  # a priority below 1 means to the keyring library: not safe everywhere, or not a store at all
        return call_with_timeout(timeout, lambda: _get_priority(backend or _detect_keyring()) >= 1)
    except CredentialsError:
        return False


def _get_usable_keyring() -> KeyringBackend:
    """Return the detected or configured keyring if it stores anything at all.

    Raises:
        CredentialsError: There is none.
    """
    backend = call_with_timeout(DETECTION_TIMEOUT, _detect_keyring)
    if call_with_timeout(DETECTION_TIMEOUT, lambda: _get_priority(backend)) <= 0:
        raise CredentialsError("this computer has no keyring", hint=f"install one, {_FILE_HINT}")
    return backend


def _detect_keyring() -> KeyringBackend:
    """Return the keyring library's keyring. This may search the disk and ask D-Bus."""
    import keyring  # it takes a quarter of a second to load

    return keyring.get_keyring()


def _get_priority(backend: KeyringBackend) -> float:
    """Return the keyring library's priority of a backend; of a chain, that of its best member, which is written to."""
    backends = getattr(backend, "backends", [backend])
    return max((float(getattr(each, "priority", 0)) for each in backends), default=0.0)


def call_with_timeout(timeout: float, work: Callable[[], T], *, size: int = 0) -> T:
    """Call a keyring on a new thread and return its answer.

    Args:
        timeout: The time limit in seconds. A call that takes longer may still have its effect.
        work: The call.
        size: The number of characters to be stored, for the error.

    Raises:
        CredentialsError: The keyring failed or did not answer in time.
    """
    try:
        return dns.run_with_deadline(work, monotonic() + timeout)
    except Exception as error:  # noqa: BLE001  # each backend raises the errors of its own library
        class_names = [kind.__name__ for kind in type(error).__mro__]
    errors = {
        "TimeoutError": (
            f"the keyring did not answer within {timeout:g} seconds",
            f"if it waits to be unlocked, unlock it, {_FILE_HINT}",
        ),
        "NoKeyringError": ("this computer has no keyring", f"install one, {_FILE_HINT}"),
        **dict.fromkeys(
            ("KeyringLocked", "InitError"), ("the keyring is locked or cannot be opened", f"unlock it, {_FILE_HINT}")
        ),
    }
    if found := next((errors[name] for name in class_names if name in errors), None):
        raise CredentialsError(found[0], hint=found[1])
    if size > WINDOWS_MAX_LENGTH:
        raise _NoRoomError(
            f"the keyring did not accept {size} characters: Windows accepts {WINDOWS_MAX_LENGTH}",
            hint='store the sign-in in a file: store="file"',
        )
    raise CredentialsError(f"the keyring failed ({class_names[0]})", hint=f"try again, {_FILE_HINT}")
