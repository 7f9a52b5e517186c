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

from ticketstub.credentials import asking, legacy, stored
from ticketstub.credentials.base import COMMAND, DEFAULT_PROFILE, PATIENCE, Credential, Entry
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
    app: str = COMMAND


@hide_locals
class KeyringCredentials:
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
        backend: asking.Backend | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        answering: float = ANSWERING,
        devices: Path | None = None,
    ) -> None:
        self._devices = devices
        self._backend = backend
        self._guard = threading.Lock()
        self._folder = PrivateFolder(Path(directory) if directory is not None else data_directory() / "keyring")
        self._answering = answering

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> Credential | None:
        """Return what is kept, or `None`.

        Raises:
            CredentialsError: there is no keyring, it fails, is locked or silent; or the entry is damaged, or another
                issuer's, app's or profile's.
        """
        entry = Entry.of(issuer, profile, app)
        return self._own(entry) or self._before(entry)

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
            self._move(entry)
            kept = msgspec.structs.replace(credential, version=now.version + 1 if now else 1)
            self._keep(entry, kept)
            return kept

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> bool:
        """Delete the entry, whatever is in it; tell whether there was one."""
        entry = Entry.of(issuer, profile, app)
        self._keyring()
        with self._writing(entry):
            gone = self._is_moving(entry) and self._delete(_service_before(entry), legacy.name_of(entry))
            return self._delete(_service(entry), _note(entry)) or gone

    def profiles(self) -> tuple[Entry, ...]:
        """List what is noted, sorted. What was deleted in the keyring itself is still noted.

        The keyring is asked only for what an earlier version kept without an app.

        Raises:
            CredentialsError: a note is a link, open to others, or damaged; or as `load`, for what has no app.
        """
        earlier = [note for note in map(self._noted, self._folder.names(legacy.SUFFIX)) if note]
        return tuple(sorted({*map(self._with_app, earlier), *self._own_notes()}))

    def noted(self) -> tuple[Entry, ...]:
        """List what is noted, sorted, and never ask the keyring: what has no app is listed as the command's."""
        return tuple(sorted({*filter(None, map(self._noted, self._folder.names(legacy.SUFFIX))), *self._own_notes()}))

    def where(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND) -> str:
        """Name the keyring and the entry."""
        entry = Entry.of(issuer, profile, app)
        service, _ = _service_before(entry) if self._is_still_there(entry) else _service(entry)
        return f"in this computer's keyring ({asking.name_of(self._keyring())}), as {service}"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND, *, patience: float = PATIENCE
    ) -> AbstractContextManager[None]:
        """Keep other threads and processes from holding the same lock; see `Credentials.lock`."""
        return self._folder.locks(self._lock_names(Entry.of(issuer, profile, app)), patience)

    def _keyring(self) -> asking.Backend:
        with self._guard:
            self._backend = self._backend or asking.usable()
            return self._backend

    def _writing(self, entry: Entry) -> AbstractContextManager[None]:
        patience = WRITING + 3 * self._answering  # its holder may be waiting for a person
        return self._folder.locks([f"{name}.writing" for name in self._lock_names(entry)], patience)

    def _lock_names(self, entry: Entry) -> list[str]:
        """Name the lock, and that of an earlier version while both may use the same sign-in."""
        own = [stored.name_of(entry)]
        return [*own, legacy.lock_of(entry)] if self._is_moving(entry) else own

    def _own(self, entry: Entry) -> Credential | None:
        return self._read(entry, _service(entry))

    def _before(self, entry: Entry) -> Credential | None:
        """Return what an earlier version kept, if it is this app's. What cannot be read is the command's to tell.

        The keyring is asked only if there is a note of it.
        """
        if self._folder.read(legacy.name_of(entry)) is None:
            return None
        try:
            found = self._read(entry._replace(app=COMMAND), _service_before(entry))
        except CredentialsError:
            if entry.app == COMMAND:
                raise
            return None
        return legacy.claimed(found, entry, self._devices) if found else None

    def _read(self, entry: Entry, service: tuple[str, str]) -> Credential | None:
        backend = self._keyring()
        text = asking.within(self._answering, lambda: backend.get_password(*service))
        if text is None:
            return None
        hint = f"delete this entry of the keyring and sign in again: {service[0]}"
        return stored.read_of(entry, text, "what the keyring holds for this profile", hint=hint)

    def _is_still_there(self, entry: Entry) -> bool:
        try:
            return self._folder.read(_note(entry)) is None and self._before(entry) is not None
        except CredentialsError:
            return False

    def _is_moving(self, entry: Entry) -> bool:
        """Tell whether what an earlier version kept is this entry's, or is left of a move that did not end."""
        try:
            before = self._before(entry)
        except CredentialsError:  # it cannot be read, and so is the command's
            return True
        try:
            own = self._own(entry) if before else None
        except CredentialsError:
            return False
        return before is not None and (own is None or legacy.same(before, own))

    def _move(self, entry: Entry) -> None:
        """Make what an earlier version kept this app's own, as it is, before it is replaced; see `FileCredentials`."""
        if not self._is_moving(entry):
            return
        if self._own(entry) is None and (before := self._before(entry)):
            self._keep(entry, before)
        self._delete(_service_before(entry), legacy.name_of(entry))

    def _keep(self, entry: Entry, credential: Credential) -> None:
        # The note comes first: a note without an entry is harmless, an entry without a note would be forgotten.
        self._folder.write(_note(entry), msgspec.json.encode(_Note(*entry)))
        self._set(entry, stored.written(credential).decode())

    def _delete(self, service: tuple[str, str], note: str) -> bool:
        backend = self._keyring()
        there = asking.within(self._answering, lambda: backend.get_password(*service)) is not None
        if there:
            asking.within(self._answering, lambda: backend.delete_password(*service))
        self._folder.remove(note)
        return there

    def _set(self, entry: Entry, text: str) -> None:
        """Have the keyring keep it, and see that it did: some take everything and keep nothing, or the beginning."""
        backend, (service, user) = self._keyring(), _service(entry)

        def kept() -> bool:
            backend.set_password(service, user, text)
            return backend.get_password(service, user) == text

        if not asking.within(self._answering, kept, size=len(text)):
            raise CredentialsError("the keyring did not keep what it took", hint='use storage="file" instead')

    def _own_notes(self) -> list[Entry]:
        return [note for note in map(self._noted, self._folder.names(SUFFIX)) if note]

    def _with_app(self, noted: Entry) -> Entry:
        """Find out whose a sign-in is that an earlier version kept."""
        found = self._read(noted, _service_before(noted))
        return noted._replace(app=legacy.app_of(found, self._devices)) if found else noted

    def _noted(self, name: str) -> Entry | None:
        data = self._folder.read(name)
        if data is None:  # deleted since it was listed
            return None
        try:
            note = msgspec.json.decode(data, type=_Note)
            return Entry.of(note.issuer, note.profile, note.app)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
            path = self._folder.path / name
            raise CredentialsError(f"{path} is damaged", hint=f"delete {path}; it holds no secret") from None


def _service(entry: Entry) -> tuple[str, str]:
    """Return the service's and the user's name of an entry, as the keyring library calls them."""
    return f"{SERVICE} {entry.issuer} {entry.app} {entry.profile}", entry.profile


def _service_before(entry: Entry) -> tuple[str, str]:
    return f"{SERVICE} {entry.issuer} {entry.profile}", entry.profile


def _note(entry: Entry) -> str:
    return f"{stored.name_of(entry)}{SUFFIX}"
