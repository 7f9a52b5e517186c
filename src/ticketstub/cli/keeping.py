"""Where the command keeps sign-ins, and how it finds them again.

Rule: the command is one app among those that keep sign-ins, and uses none but its own; `profiles` and `logout --all`
alone deal with those of others. A profile is kept for one issuer and is never used for another. What is kept is looked
for in the keyring's notes, then in files; the keyring itself is asked only for what it is noted to have. Nothing is
read from the current folder.
"""

from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.cli.complaints import Complaint, WrongUsage
from ticketstub.cli.given import PROFILE
from ticketstub.credentials.base import COMMAND, DEFAULT_PROFILE, Credential, Credentials, Entry
from ticketstub.errors import CredentialsError, PlexWarning, printable

if TYPE_CHECKING:
    from ticketstub.credentials.choice import Storage
    from ticketstub.credentials.file import FileCredentials
    from ticketstub.credentials.keyring import KeyringCredentials


class Found(NamedTuple):
    """A kept sign-in and the store that it is kept in."""

    store: Credentials
    credential: Credential

    @property
    def name(self) -> str:
        """What a person calls it: `default (mira_quill)`."""
        user = self.credential.username
        return f"{self.credential.profile} ({user})" if user else self.credential.profile

    @property
    def name_with_app(self) -> str:
        """What a person calls it among those of all apps: `Photo Frame: default (tom)`."""
        return f"{printable(self.credential.app)}: {self.name}"


def named(profile: str | None) -> str:
    """Return the profile that is meant: the option's, else the environment's, else `default`."""
    return profile or os.environ.get(PROFILE, "").strip() or DEFAULT_PROFILE


def entry(issuer: str, profile: str | None) -> Entry:
    """Take an issuer and a profile's name.

    Raises:
        WrongUsage: one of them cannot be what it is.
    """
    try:
        return Entry.of(issuer, named(profile))
    except ValueError as error:
        raise WrongUsage(f"--profile: {error}") from None


def files() -> FileCredentials:
    """Return the store of files.

    Raises:
        Complaint: no home folder is known, so that it would be in the current folder.
    """
    from ticketstub.credentials.file import FileCredentials

    try:
        return FileCredentials()
    except (CredentialsError, RuntimeError):  # there is no HOME, and the system knows of none
        hint = "set HOME to your home folder, from its root"
        raise Complaint("there is no folder to keep sign-ins in", hint=hint) from None


def stores() -> tuple[KeyringCredentials, FileCredentials]:
    """Return the places where something may be kept: the keyring, and files."""
    from ticketstub.credentials.keyring import KeyringCredentials

    here = files()
    return KeyringCredentials(directory=here.directory / "keyring"), here


def entries() -> list[tuple[Credentials, Entry]]:
    """List what is kept by all apps, and in which store.

    Raises:
        CredentialsError: a file is damaged, open to others or another's.
    """
    return [(store, one) for store in stores() for one in store.profiles()]


def names() -> list[Entry]:
    """List what the command itself keeps, without asking the keyring.

    Raises:
        CredentialsError: as `entries`.
    """
    keyring, here = stores()
    return [one for one in (*keyring.noted(), *here.profiles()) if one.app == COMMAND]


def find(wanted: Entry) -> Found | None:
    """Return what is kept under this issuer and profile; the keyring's comes first.

    Raises:
        CredentialsError: it cannot be read.
    """
    keyring, here = stores()
    for store in (keyring, here):
        if store is keyring and wanted not in keyring.noted():
            continue
        credential = store.load(*wanted)
        if credential is not None and credential.token is not None:
            return Found(store, credential)
    return None


def needed(issuer: str, profile: str | None, *, or_token: bool = False) -> Found:
    """Return what is kept under this issuer and profile.

    Args:
        issuer: the issuer's origin.
        profile: the option's value, if it was given.
        or_token: whether a token could have been given instead; the complaint says so.

    Raises:
        WrongUsage: nothing is, or its user signed out of it.
        CredentialsError: it cannot be read.
    """
    wanted = entry(issuer, profile)
    found = find(wanted)
    if found is None:
        raise missing(wanted, or_token=or_token and profile is None)
    if found.credential.signed_out_at is not None:
        when = datetime.fromtimestamp(found.credential.signed_out_at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        told = f"the profile {found.name} was signed out on {when}, and Plex could not be told"
        raise WrongUsage(
            told, hint=f"tell it now: {to_type('logout', wanted)}; or sign in again: {to_type('login', wanted)}"
        )
    return found


def missing(wanted: Entry, *, or_token: bool = False) -> WrongUsage:
    """Make the complaint that nothing is kept under a profile; what is kept elsewhere is named."""
    message = f"nobody is signed in to {wanted.issuer} under the profile {wanted.profile}"
    try:
        known = names()
    except CredentialsError:
        known = []
    elsewhere = [one.issuer for one in known if one.profile == wanted.profile]
    if elsewhere:
        return WrongUsage(message, hint=f"it is kept for {elsewhere[0]}: add --plex-tv {elsewhere[0]}")
    others = sorted({one.profile for one in known if one.issuer == wanted.issuer})
    kept = f"; kept are: {', '.join(others)}" if others else ""
    instead = "; or give a token in TICKETSTUB_TOKEN or standard input" if or_token else ""
    return WrongUsage(message, hint=f"sign in: {to_type('login', wanted)}{instead}{kept}")


def to_type(command: str, wanted: Entry) -> str:
    """Write a command for an issuer and a profile, as a person would type it."""
    issuer = "" if wanted.issuer == "https://plex.tv" else f" --plex-tv {wanted.issuer}"
    profile = "" if wanted.profile == DEFAULT_PROFILE else f" --profile {wanted.profile}"
    return f"ticketstub {command}{issuer}{profile}"


def choose(storage: Storage, wanted: Entry) -> Credentials:
    """Return the store that a new sign-in is to be kept in, before anything is sent.

    Raises:
        Complaint: there is no keyring, and no file can be written.
        CredentialsError: the named keyring is none.
    """
    from ticketstub.credentials.memory import MemoryCredentials

    if storage == "memory":
        return MemoryCredentials()
    keyring, here = stores()
    if storage == "auto":
        found = find(wanted)
        return found.store if found else _first_time(here.directory)
    chosen = keyring if storage == "keyring" else here
    chosen.where(*wanted)  # a keyring that is none is said now, not after the sign-in
    return chosen


def _first_time(directory: Path) -> Credentials:
    from ticketstub.credentials import default_credentials
    from ticketstub.credentials.memory import MemoryCredentials

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlexWarning)  # the complaint says it
        store = default_credentials(directory=directory)
    if isinstance(store, MemoryCredentials):
        raise Complaint(
            f"nobody was signed in, for it could not be kept: there is no keyring, and {directory} cannot be written",
            hint="set HOME to a folder that can be written, or add --print-token to have the token written out",
        )
    return store
