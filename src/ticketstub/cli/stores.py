"""Where the command keeps sign-ins, and how it finds them again.

Rule: the command is one app among those that keep sign-ins, and uses none but its own; `profiles` and `logout --all`
alone deal with those of others. A profile is kept for one issuer and is never used for another. What is kept is looked
for in the keyring's notes, then in files; the keyring itself is asked only for what it is noted to have. Nothing is
read from the current folder.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ticketstub.cli.failures import CommandError, InvalidUsage, wrap_value_errors
from ticketstub.cli.prompts import PROFILE_VARIABLE
from ticketstub.errors import CredentialsError, PlexWarning, sanitize_text
from ticketstub.refusals import (
    TokenExpired,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)

if TYPE_CHECKING:
    from ticketstub.client.sign_ins import TokenStatus
    from ticketstub.credentials.default import StoreKind
    from ticketstub.credentials.file import FileStore
    from ticketstub.credentials.keyring import KeyringStore
    from ticketstub.credentials.store import Credential, CredentialStore, Entry

NON_TOKEN_REFUSALS = (TooManyFailures, VerificationCodeRequired, WrongVerificationCode)
"""The kinds of `Unauthorized` that say nothing of the token or the password."""
END_REASONS: dict[TokenStatus, str] = {
    "expired": "its time is over",
    "revoked": "it was ended at Plex: by a sign-out, a removed device or a new password",
}
"""Why a kept sign-in no longer works, in words."""


class StoredCredential(NamedTuple):
    """A kept sign-in and the store that it is kept in."""

    store: CredentialStore
    credential: Credential

    @property
    def name(self) -> str:
        """What a person calls it: `default (mira_quill)`."""
        user = self.credential.username
        return f"{self.credential.profile} ({user})" if user else self.credential.profile

    @property
    def name_with_app(self) -> str:
        """What a person calls it among those of all apps: `Photo Frame: default (tom)`."""
        return f"{sanitize_text(self.credential.app)}: {self.name}"


def resolve_entry(issuer: str, profile: str | None) -> Entry:
    """Take an issuer and the profile that is meant: the option's, else the environment's, else `default`.

    Raises:
        InvalidUsage: one of them cannot be what it is.
    """
    from ticketstub.credentials.store import DEFAULT_PROFILE, Entry

    with wrap_value_errors("--profile"):
        return Entry.create(issuer, profile or os.environ.get(PROFILE_VARIABLE, "").strip() or DEFAULT_PROFILE)


def open_stores() -> tuple[KeyringStore, FileStore]:
    """Return the places where something may be kept: the keyring, and files.

    Raises:
        Complaint: no home folder is known, so that it would be in the current folder.
    """
    from ticketstub.credentials.file import FileStore
    from ticketstub.credentials.keyring import KeyringStore

    try:
        files = FileStore()
    except (CredentialsError, RuntimeError):  # there is no HOME, and the system knows of none
        raise CommandError(
            "there is no folder to keep sign-ins in", hint="set HOME to your home folder, from its root"
        ) from None
    return KeyringStore(directory=files.directory / "keyring"), files


def load_all(app: str | None = None, profile: str | None = None) -> list[StoredCredential]:
    """Load what is kept, sorted by app.

    Args:
        app: of this app alone.
        profile: of this profile alone.

    Raises:
        CredentialsError: something is damaged, open to others or another's.
    """
    sign_ins = [
        StoredCredential(store, credential)
        for store in open_stores()
        for entry in store.list_entries()
        if app in {None, entry.app} and profile in {None, entry.profile} and (credential := store.load(*entry))
    ]
    return sorted(sign_ins, key=lambda one: (one.credential.app, one.credential.entry))


def list_entries() -> list[Entry]:
    """List what the command itself keeps, without asking the keyring.

    Raises:
        CredentialsError: as `everything`.
    """
    from ticketstub.credentials.store import COMMAND_APP

    keyring, files = open_stores()
    return [entry for entry in (*keyring.list_notes(), *files.list_entries()) if entry.app == COMMAND_APP]


def find_sign_in(entry: Entry) -> StoredCredential | None:
    """Return what is kept under this issuer and profile; the keyring's comes first.

    Raises:
        CredentialsError: it cannot be read.
    """
    keyring, files = open_stores()
    for store in (keyring, files) if entry in keyring.list_notes() else (files,):
        credential = store.load(*entry)
        if credential is not None and credential.token is not None:
            return StoredCredential(store, credential)
    return None


def require_sign_in(issuer: str, profile: str | None, *, or_token: bool = False) -> StoredCredential:
    """Return what is kept under this issuer and profile.

    Args:
        issuer: the issuer's origin.
        profile: the option's value, if it was given.
        or_token: whether a token could have been given instead; the complaint says so.

    Raises:
        InvalidUsage: nothing is, or its user signed out of it.
        CredentialsError: it cannot be read.
    """
    entry = resolve_entry(issuer, profile)
    stored = find_sign_in(entry)
    if stored is None:
        raise make_not_signed_in_error(entry, or_token=or_token and profile is None)
    if stored.credential.signed_out_at is not None:
        from ticketstub.cli.facts import format_timestamp

        signed_out_at = format_timestamp(stored.credential.signed_out_at)
        raise InvalidUsage(
            f"the profile {stored.name} was signed out on {signed_out_at}, and Plex could not be told",
            hint=f"tell it now: {format_command('logout', entry)}; or sign in again: {format_command('login', entry)}",
        )
    return stored


def make_not_signed_in_error(entry: Entry, *, or_token: bool = False) -> InvalidUsage:
    """Make the complaint that nothing is kept under a profile; what is kept elsewhere is named."""
    message = f"nobody is signed in to {entry.issuer} under the profile {entry.profile}"
    try:
        entries = list_entries()
    except CredentialsError:
        entries = []
    other_issuers = [one.issuer for one in entries if one.profile == entry.profile]
    if other_issuers:
        return InvalidUsage(message, hint=f"it is kept for {other_issuers[0]}: add --plex-tv {other_issuers[0]}")
    other_profiles = sorted({one.profile for one in entries if one.issuer == entry.issuer})
    stored_hint = f"; kept are: {', '.join(other_profiles)}" if other_profiles else ""
    token_hint = "; or give a token in TICKETSTUB_TOKEN or standard input" if or_token else ""
    return InvalidUsage(message, hint=f"sign in: {format_command('login', entry)}{token_hint}{stored_hint}")


@contextmanager
def explain_refused_token(stored: StoredCredential) -> Generator[None]:
    """Say of a refused token that it is the kept one, and why it may be over; the refusal's status and code stay."""
    try:
        yield
    except NON_TOKEN_REFUSALS:
        raise
    except Unauthorized as error:
        expires_at = stored.credential.expires_at
        expired = isinstance(error, TokenExpired) or (expires_at is not None and time.time() >= expires_at)
        reason = END_REASONS["expired" if expired else "revoked"]
        raise CommandError(
            f"the sign-in that is kept as {stored.name} no longer works: {reason}",
            hint=f"sign in again: {format_command('login', stored.credential.entry)}",
            refusal=error,
        ) from None


def format_command(command: str, entry: Entry) -> str:
    """Write a command for an issuer and a profile, as a person would type it."""
    from ticketstub.credentials.store import DEFAULT_PROFILE

    issuer = "" if entry.issuer == "https://plex.tv" else f" --plex-tv {entry.issuer}"
    profile = "" if entry.profile == DEFAULT_PROFILE else f" --profile {entry.profile}"
    return f"ticketstub {command}{issuer}{profile}"


def choose_store(storage: StoreKind, entry: Entry) -> CredentialStore:
    """Return the store that a new sign-in is to be kept in, before anything is sent.

    Raises:
        Complaint: there is no keyring, and no file can be written.
        CredentialsError: the named keyring is none.
    """
    from ticketstub.credentials import default_store
    from ticketstub.credentials.memory import MemoryStore

    if storage == "auto" and (stored := find_sign_in(entry)):
        return stored.store
    directory = None if storage == "memory" else open_stores()[1].directory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlexWarning)  # the complaint says it
        store = default_store(storage, directory)
    if storage == "auto" and isinstance(store, MemoryStore):
        raise CommandError(
            f"nobody was signed in, for it could not be kept: there is no keyring, and {directory} cannot be written",
            hint="set HOME to a folder that can be written, or add --print-token to have the token written out",
        )
    store.describe_location(*entry)  # a keyring that is none is said now, not after the sign-in
    return store
