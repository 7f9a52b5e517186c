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
from ticketstub.credentials.file import data_directory
from ticketstub.credentials.folder import SUFFIX, WRITING, FolderStore, file_name
from ticketstub.credentials.store import COMMAND, DEFAULT_PROFILE, Credential, Entry
from ticketstub.errors import CredentialsError
from ticketstub.tracebacks import hide_locals

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

ANSWERING = 60.0
"""How many seconds a keyring has for an answer: a person may have to unlock it (ours)."""


class _Note(msgspec.Struct):
    issuer: str
    profile: str
    app: str = COMMAND


@hide_locals
class KeyringCredentials(FolderStore):
    """Keeps credentials in the system's keyring.

    Args:
        backend: a backend of the keyring library; by default the one that it finds, looked for at the first use.
        directory: the folder for notes of what is kept and for locks, neither with a secret; by default `keyring` in
            the folder of `FileCredentials`.
        answering: how many seconds the keyring has for each answer.
        devices: the folder of remembered client identifiers; see `FileCredentials`.
    """

    def __init__(
        self,
        backend: KeyringBackend | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        answering: float = ANSWERING,
        devices: Path | None = None,
    ) -> None:
        folder = Path(directory) if directory is not None else data_directory() / "keyring"
        super().__init__(folder, devices, WRITING + 3 * answering)  # a writer may be waiting for a person
        self._backend = backend
        self._answering = answering

    def profiles(self) -> tuple[Entry, ...]:
        """List what is noted, sorted. What was deleted in the keyring itself is still noted.

        The keyring is asked only for what an earlier version kept without an app.

        Raises:
            CredentialsError: a note is a link, open to others, or damaged; or as `load`, for what has no app.
        """
        return tuple(sorted({*map(self._with_app, self._entries(legacy.SUFFIX)), *self._entries(SUFFIX)}))

    def noted(self) -> tuple[Entry, ...]:
        """List what is noted, sorted, and never ask the keyring: what has no app is listed as the command's."""
        return self._entries(SUFFIX, legacy.SUFFIX)

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> str:
        """Name the keyring and the entry."""
        entry = Entry.of(issuer, profile, app)
        service, _ = _service(entry, earlier=self._is_still_there(entry))
        backend = self._keyring
        return f"in this computer's keyring ({getattr(backend, 'name', type(backend).__name__)}), as {service}"

    @cached_property
    def _keyring(self) -> KeyringBackend:
        return self._backend or system_keyring.usable()

    def _read(self, entry: Entry, *, earlier: bool = False) -> Credential | None:
        if earlier and self._folder.read(file_name(entry, earlier=True)) is None:
            return None  # the keyring is not asked for what there is no note of
        backend, service = self._keyring, _service(entry, earlier=earlier)
        text = system_keyring.within(self._answering, lambda: backend.get_password(*service))
        if text is None:
            return None
        hint = f"delete this entry of the keyring and sign in again: {service[0]}"
        return stored.read_of(entry, text, "what the keyring holds for this profile", hint=hint)

    def _keep(self, entry: Entry, credential: Credential) -> None:
        """Have the keyring keep it, and see that it did: some take everything and keep nothing, or the beginning."""
        # The note comes first: a note without an entry is harmless, an entry without a note would be forgotten.
        self._folder.write(file_name(entry), msgspec.json.encode(_Note(*entry)))
        text = stored.written(credential).decode()
        backend, (service, user) = self._keyring, _service(entry)

        def kept() -> bool:
            backend.set_password(service, user, text)  # pyright: ignore[reportUnknownMemberType]  # it is wrapped
            return backend.get_password(service, user) == text

        if not system_keyring.within(self._answering, kept, size=len(text)):
            raise CredentialsError("the keyring did not keep what it took", hint='use storage="file" instead')

    def _delete(self, entry: Entry, *, earlier: bool = False) -> bool:
        backend, service = self._keyring, _service(entry, earlier=earlier)
        there = system_keyring.within(self._answering, lambda: backend.get_password(*service)) is not None
        if there:
            system_keyring.within(self._answering, lambda: backend.delete_password(*service))
        self._folder.remove(file_name(entry, earlier=earlier))
        return there

    def _with_app(self, noted: Entry) -> Entry:
        """Find out whose a sign-in is that an earlier version kept."""
        found = self._read(noted, earlier=True)
        return noted._replace(app=legacy.app_of(found, self._devices)) if found else noted

    def _entry(self, name: str, data: bytes) -> Entry:
        try:
            note = msgspec.json.decode(data, type=_Note)
            return Entry.of(note.issuer, note.profile, note.app)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            path = self._folder.path / name
            raise CredentialsError(f"{path} is damaged", hint=f"delete {path}; it holds no secret") from None


def _service(entry: Entry, *, earlier: bool = False) -> tuple[str, str]:
    """Return the service's and the user's name of an entry, as the keyring library calls them."""
    app = "" if earlier else f" {entry.app}"
    return f"ticketstub {entry.issuer}{app} {entry.profile}", entry.profile
