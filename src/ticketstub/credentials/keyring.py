"""Credentials in the system's keyring: Keychain, Credential Manager, Secret Service or KWallet.

Rule: secrets are in the keyring alone. A keyring cannot be listed, so a small file without a secret notes each entry:
listing then unlocks nothing, and two programs that save at once cannot lose each other's note, as they could in one
common entry. Each entry has a service name of its own, for on Windows entries of one name displace each other.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from ticketstub.credentials import asking, stored
from ticketstub.credentials.base import DEFAULT_PROFILE, PATIENCE, Credential, Entry
from ticketstub.credentials.file import SUFFIX, WRITING, data_directory
from ticketstub.credentials.folder import PrivateFolder
from ticketstub.errors import CredentialsError
from ticketstub.frames import hide_locals

SERVICE = "ticketstub"
ANSWERING = 60.0
"""How many seconds a keyring has for an answer: a person may have to unlock it (ours)."""


class _Note(msgspec.Struct):
    issuer: str
    profile: str


@hide_locals
class KeyringCredentials:
    """Keeps credentials in the system's keyring.

    Args:
        backend: a backend of the keyring library; by default the one that it finds, looked for at the first use.
        directory: the folder for notes of what is kept and for locks, neither with a secret; by default `keyring` in
            the folder of `FileCredentials`.
        answering: how many seconds the keyring has for each answer.
    """

    def __init__(
        self,
        backend: asking.Backend | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        answering: float = ANSWERING,
    ) -> None:
        self._backend = backend
        self._guard = threading.Lock()
        self._folder = PrivateFolder(Path(directory) if directory is not None else data_directory() / "keyring")
        self._answering = answering

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE) -> Credential | None:
        """Return what is kept, or `None`.

        Raises:
            CredentialsError: there is no keyring, it fails, is locked or silent; or the entry is damaged, or another
                issuer's or profile's.
        """
        entry = Entry.of(issuer, profile)
        backend = self._keyring()
        text = asking.within(self._answering, lambda: backend.get_password(*_service(entry)))
        if text is None:
            return None
        hint = f"delete this entry of the keyring and sign in again: {_service(entry)[0]}"
        return stored.read_of(entry, text, "what the keyring holds for this profile", hint=hint)

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Keep it if nothing changed since `replacing` was loaded; see `Credentials.save`.

        Raises:
            CredentialsError: as `load`, or the keyring did not take it.
        """
        entry = credential.entry
        with self._writing(entry):
            now = self.load(*entry)
            if now != replacing:
                return None
            kept = msgspec.structs.replace(credential, version=now.version + 1 if now else 1)
            # The note comes first: a note without an entry is harmless, an entry without a note would be forgotten.
            self._folder.write(_note(entry), msgspec.json.encode(_Note(*entry)))
            self._set(entry, stored.written(kept).decode())
            return kept

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE) -> bool:
        """Delete the entry, whatever is in it; tell whether there was one."""
        entry, backend = Entry.of(issuer, profile), self._keyring()
        with self._writing(entry):
            there = asking.within(self._answering, lambda: backend.get_password(*_service(entry))) is not None
            if there:
                asking.within(self._answering, lambda: backend.delete_password(*_service(entry)))
            self._folder.remove(_note(entry))
            return there

    def profiles(self) -> tuple[Entry, ...]:
        """List what is noted, sorted; the keyring is not asked. What was deleted in the keyring itself is still noted.

        Raises:
            CredentialsError: a note is a link, open to others, or damaged.
        """
        return tuple(sorted(filter(None, map(self._noted, self._folder.names(SUFFIX)))))

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE) -> str:
        """Name the keyring and the entry."""
        service, _ = _service(Entry.of(issuer, profile))
        return f"in this computer's keyring ({asking.name_of(self._keyring())}), as {service}"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, *, patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """Keep other threads and processes from holding the same lock; see `Credentials.lock`."""
        return self._folder.lock(stored.name_of(Entry.of(issuer, profile)), patience)

    def _keyring(self) -> asking.Backend:
        with self._guard:
            self._backend = self._backend or asking.usable()
            return self._backend

    def _writing(self, entry: Entry) -> AbstractContextManager[None]:
        patience = WRITING + 3 * self._answering  # its holder may be waiting for a person
        return self._folder.lock(f"{stored.name_of(entry)}.writing", patience)

    def _set(self, entry: Entry, text: str) -> None:
        """Have the keyring keep it, and see that it did: some take everything and keep nothing, or the beginning."""
        backend, (service, user) = self._keyring(), _service(entry)

        def kept() -> bool:
            backend.set_password(service, user, text)
            return backend.get_password(service, user) == text

        if not asking.within(self._answering, kept, size=len(text)):
            raise CredentialsError("the keyring did not keep what it took", hint='use storage="file" instead')

    def _noted(self, name: str) -> Entry | None:
        data = self._folder.read(name)
        if data is None:  # deleted since it was listed
            return None
        try:
            note = msgspec.json.decode(data, type=_Note)
            return Entry.of(note.issuer, note.profile)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            path = self._folder.path / name
            raise CredentialsError(f"{path} is damaged", hint=f"delete {path}; it holds no secret") from None


def _service(entry: Entry) -> tuple[str, str]:
    """Return the service's and the user's name of an entry, as the keyring library calls them."""
    return f"{SERVICE} {entry.issuer} {entry.profile}", entry.profile


def _note(entry: Entry) -> str:
    return f"{stored.name_of(entry)}{SUFFIX}"
