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

from ticketstub.cli.failures import Complaint, WrongUsage, blaming
from ticketstub.cli.prompts import PROFILE
from ticketstub.errors import CredentialsError, PlexWarning, printable
from ticketstub.refusals import (
    TokenExpired,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)

if TYPE_CHECKING:
    from ticketstub.client.flows.pending import Standing
    from ticketstub.credentials.default import Storage
    from ticketstub.credentials.file import FileCredentials
    from ticketstub.credentials.keyring import KeyringCredentials
    from ticketstub.credentials.store import Credential, Credentials, Entry

NOT_THE_TOKEN = (TooManyFailures, VerificationCodeRequired, WrongVerificationCode)
"""The kinds of `Unauthorized` that say nothing of the token or the password."""
REASONS: dict[Standing, str] = {
    "expired": "its time is over",
    "revoked": "it was ended at Plex: by a sign-out, a removed device or a new password",
}
"""Why a kept sign-in no longer works, in words."""


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


def entry(issuer: str, profile: str | None) -> Entry:
    """Take an issuer and the profile that is meant: the option's, else the environment's, else `default`.

    Raises:
        WrongUsage: one of them cannot be what it is.
    """
    from ticketstub.credentials.store import DEFAULT_PROFILE, Entry

    with blaming("--profile"):
        return Entry.of(issuer, profile or os.environ.get(PROFILE, "").strip() or DEFAULT_PROFILE)


def stores() -> tuple[KeyringCredentials, FileCredentials]:
    """Return the places where something may be kept: the keyring, and files.

    Raises:
        Complaint: no home folder is known, so that it would be in the current folder.
    """
    from ticketstub.credentials.file import FileCredentials
    from ticketstub.credentials.keyring import KeyringCredentials

    try:
        here = FileCredentials()
    except (CredentialsError, RuntimeError):  # there is no HOME, and the system knows of none
        raise Complaint(
            "there is no folder to keep sign-ins in", hint="set HOME to your home folder, from its root"
        ) from None
    return KeyringCredentials(directory=here.directory / "keyring"), here


def everything(app: str | None = None, profile: str | None = None) -> list[Found]:
    """Load what is kept, sorted by app.

    Args:
        app: of this app alone.
        profile: of this profile alone.

    Raises:
        CredentialsError: something is damaged, open to others or another's.
    """
    found = [
        Found(store, credential)
        for store in stores()
        for one in store.profiles()
        if app in {None, one.app} and profile in {None, one.profile} and (credential := store.load(*one))
    ]
    return sorted(found, key=lambda one: (one.credential.app, one.credential.entry))


def names() -> list[Entry]:
    """List what the command itself keeps, without asking the keyring.

    Raises:
        CredentialsError: as `everything`.
    """
    from ticketstub.credentials.store import COMMAND

    keyring, here = stores()
    return [one for one in (*keyring.noted(), *here.profiles()) if one.app == COMMAND]


def find(wanted: Entry) -> Found | None:
    """Return what is kept under this issuer and profile; the keyring's comes first.

    Raises:
        CredentialsError: it cannot be read.
    """
    keyring, here = stores()
    for store in (keyring, here) if wanted in keyring.noted() else (here,):
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
        from ticketstub.cli.facts import since_1970

        when = since_1970(found.credential.signed_out_at)
        raise WrongUsage(
            f"the profile {found.name} was signed out on {when}, and Plex could not be told",
            hint=f"tell it now: {to_type('logout', wanted)}; or sign in again: {to_type('login', wanted)}",
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


@contextmanager
def explained(found: Found) -> Generator[None]:
    """Say of a refused token that it is the kept one, and why it may be over; the refusal's status and code stay."""
    try:
        yield
    except NOT_THE_TOKEN:
        raise
    except Unauthorized as error:
        ends = found.credential.expires_at
        past = isinstance(error, TokenExpired) or (ends is not None and time.time() >= ends)
        raise Complaint(
            f"the sign-in that is kept as {found.name} no longer works: {REASONS['expired' if past else 'revoked']}",
            hint=f"sign in again: {to_type('login', found.credential.entry)}",
            refusal=error,
        ) from None


def to_type(command: str, wanted: Entry) -> str:
    """Write a command for an issuer and a profile, as a person would type it."""
    from ticketstub.credentials.store import DEFAULT_PROFILE

    issuer = "" if wanted.issuer == "https://plex.tv" else f" --plex-tv {wanted.issuer}"
    profile = "" if wanted.profile == DEFAULT_PROFILE else f" --profile {wanted.profile}"
    return f"ticketstub {command}{issuer}{profile}"


def choose(storage: Storage, wanted: Entry) -> Credentials:
    """Return the store that a new sign-in is to be kept in, before anything is sent.

    Raises:
        Complaint: there is no keyring, and no file can be written.
        CredentialsError: the named keyring is none.
    """
    from ticketstub.credentials import default_credentials
    from ticketstub.credentials.memory import MemoryCredentials

    if storage == "auto" and (found := find(wanted)):
        return found.store
    directory = None if storage == "memory" else stores()[1].directory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlexWarning)  # the complaint says it
        store = default_credentials(storage, directory)
    if storage == "auto" and isinstance(store, MemoryCredentials):
        raise Complaint(
            f"nobody was signed in, for it could not be kept: there is no keyring, and {directory} cannot be written",
            hint="set HOME to a folder that can be written, or add --print-token to have the token written out",
        )
    store.where(*wanted)  # a keyring that is none is said now, not after the sign-in
    return store
