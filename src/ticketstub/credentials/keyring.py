"""Credentials in the system's keyring: Keychain, Credential Manager, Secret Service or KWallet.

Rule: secrets are in the keyring alone. A keyring cannot be listed, so a small file without a secret notes each entry:
listing then unlocks nothing, and two programs that save at once cannot lose each other's note, as they could in one
common entry. Each entry has a service name of its own, for on Windows entries of one name displace each other.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ticketstub.credentials import legacy, stored, system_keyring
from ticketstub.credentials.file import get_data_directory
from ticketstub.credentials.folder import SUFFIX, WRITE_TIMEOUT, FolderStore, get_file_name
from ticketstub.credentials.store import COMMAND_APP, DEFAULT_PROFILE, Credential, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tracebacks import hide_locals

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

ANSWER_TIMEOUT = 60.0
"""How many seconds a keyring has for an answer: a person may have to unlock it (ours)."""


class _Note(msgspec.Struct):
    issuer: str
    profile: str
    app: str = COMMAND_APP


@hide_locals
class KeyringStore(FolderStore):
    """Keeps credentials in the system's keyring.

    Args:
        backend: a backend of the keyring library; by default the one that it finds, looked for at the first use.
        directory: the folder for notes of what is kept and for locks, neither with a secret; by default `keyring` in
            the folder of `FileStore`.
        answer_timeout: how many seconds the keyring has for each answer.
        device_directory: the folder of remembered client identifiers; see `FileStore`.
    """

    def __init__(
        self,
        backend: KeyringBackend | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        answer_timeout: float = ANSWER_TIMEOUT,
        device_directory: Path | None = None,
    ) -> None:
        folder = Path(directory) if directory is not None else get_data_directory() / "keyring"
        super().__init__(
            folder, device_directory, WRITE_TIMEOUT + 3 * answer_timeout
        )  # a writer may be waiting for a person
        self._backend = backend
        self._answer_timeout = answer_timeout

    def list_entries(self) -> tuple[Entry, ...]:
        """List what is noted, sorted. What was deleted in the keyring itself is still noted.

        The keyring is asked only for what an earlier version kept without an app.

        Raises:
            CredentialsError: a note is a link, open to others, or damaged; or as `load`, for what has no app.
        """
        return tuple(
            sorted({*map(self._resolve_app, self._parse_entries(legacy.SUFFIX)), *self._parse_entries(SUFFIX)})
        )

    def list_notes(self) -> tuple[Entry, ...]:
        """List what is noted, sorted, and never ask the keyring: what has no app is listed as the command's."""
        return self._parse_entries(SUFFIX, legacy.SUFFIX)

    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Name the keyring and the entry."""
        entry = Entry.create(issuer, profile, app)
        service, _ = _get_service_and_user(entry, is_legacy=self._is_stored_as_legacy(entry))
        backend = self._keyring
        return f"in this computer's keyring ({getattr(backend, 'name', type(backend).__name__)}), as {service}"

    @cached_property
    def _keyring(self) -> KeyringBackend:
        return self._backend or system_keyring.get_usable_keyring()

    def _read(self, entry: Entry, *, is_legacy: bool = False) -> Credential | None:
        if is_legacy and self._folder.read(get_file_name(entry, is_legacy=True)) is None:
            return None  # the keyring is not asked for what there is no note of
        backend, service = self._keyring, _get_service_and_user(entry, is_legacy=is_legacy)
        text = system_keyring.call_with_timeout(self._answer_timeout, lambda: backend.get_password(*service))
        if text is None:
            return None
        hint = f"delete this entry of the keyring and sign in again: {service[0]}"
        return stored.decode_for_entry(entry, text, "what the keyring holds for this profile", hint=hint)

    def _write(self, entry: Entry, credential: Credential) -> None:
        """Have the keyring keep it, and see that it did: some take everything and keep nothing, or the beginning."""
        # The note comes first: a note without an entry is harmless, an entry without a note would be forgotten.
        self._folder.write(get_file_name(entry), msgspec.json.encode(_Note(*entry)))
        text = stored.encode_credential(credential).decode()
        backend, (service, user) = self._keyring, _get_service_and_user(entry)

        def write_and_verify() -> bool:
            backend.set_password(service, user, text)  # pyright: ignore[reportUnknownMemberType]  # it is wrapped
            return backend.get_password(service, user) == text

        if not system_keyring.call_with_timeout(self._answer_timeout, write_and_verify, size=len(text)):
            raise CredentialsError("the keyring did not keep what it took", hint='use storage="file" instead')

    def _delete(self, entry: Entry, *, is_legacy: bool = False) -> bool:
        backend, service = self._keyring, _get_service_and_user(entry, is_legacy=is_legacy)
        existed = (
            system_keyring.call_with_timeout(self._answer_timeout, lambda: backend.get_password(*service)) is not None
        )
        if existed:
            system_keyring.call_with_timeout(self._answer_timeout, lambda: backend.delete_password(*service))
        self._folder.remove(get_file_name(entry, is_legacy=is_legacy))
        return existed

    def _resolve_app(self, entry: Entry) -> Entry:
        """Find out whose a sign-in is that an earlier version kept."""
        found = self._read(entry, is_legacy=True)
        return entry._replace(app=legacy.find_app(found, self._device_directory)) if found else entry

    def _parse_entry(self, name: str, data: bytes) -> Entry:
        try:
            note = msgspec.json.decode(data, type=_Note)
            return Entry.create(note.issuer, note.profile, note.app)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            path = self._folder.path / name
            raise CredentialsError(f"{path} is damaged", hint=f"delete {path}; it holds no secret") from None


def _get_service_and_user(entry: Entry, *, is_legacy: bool = False) -> tuple[str, str]:
    """Return the service's and the user's name of an entry, as the keyring library calls them."""
    app = "" if is_legacy else f" {entry.app}"
    return f"ticketstub {entry.issuer}{app} {entry.profile}", entry.profile
