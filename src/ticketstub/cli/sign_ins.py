"""The command's stored sign-ins, and the clients that use them or a given token.

Rule: the command uses the library as any program does. It is one app among those that store sign-ins, and uses only its
own; `profiles` and `logout --all` alone handle those of others. A profile belongs to one issuer and is never used for
another: a stored token goes to its issuer, and to a media server only if plex.tv lists that server's own token. The
keyring is opened only for what its notes list. Nothing is read from the current folder.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple

from ticketstub import __version__
from ticketstub.cli import prompts
from ticketstub.cli.errors import CommandError, InvalidUsage, wrap_value_errors
from ticketstub.errors import CredentialsError, PlexWarning, sanitize_text
from ticketstub.messages import get_origin
from ticketstub.refusals import (
    TokenExpired,
    TooManyFailures,
    Unauthorized,
    VerificationCodeRequired,
    WrongVerificationCode,
)

if TYPE_CHECKING:
    from ticketstub import CredentialStore, Device, FileStore, KeyringStore, MediaServer, Plex, Token
    from ticketstub.credentials import Credential, Entry, StoreKind

APP = "ticketstub"
"""The app under which the command stores its sign-ins."""
PRODUCT = "Ticketstub"
_DEFAULT_PROFILE = "default"

NON_TOKEN_REFUSALS = (TooManyFailures, VerificationCodeRequired, WrongVerificationCode)
"""The kinds of `Unauthorized` that say nothing about the token or the password."""
END_REASONS: dict[str, str] = {
    "expired": "it has expired",
    "revoked": "it was ended at Plex, by a sign-out, a removed device or a new password",
}
"""Why a stored sign-in no longer works, in words."""


class ConnectionOptions(NamedTuple):
    """The options for calling Plex: the address, the time limit, the client identifier and the profile."""

    plex_tv: str
    timeout: float
    client_identifier: str | None
    profile: str | None = None

    @property
    def entry(self) -> Entry:
        """The entry of the address's origin and the profile: the option's, else the environment's, else `default`.

        Raises:
            InvalidUsage: one of them is invalid.
        """
        from ticketstub.credentials import Entry

        profile = self.profile or os.environ.get(prompts.PROFILE_VARIABLE, "").strip() or _DEFAULT_PROFILE
        with wrap_value_errors("--plex-tv"):
            issuer = get_origin(self.plex_tv)
        with wrap_value_errors("--profile"):
            return Entry.create(issuer, profile)

    def has_stored_sign_in(self) -> bool:
        """Return whether a sign-in is stored, to use without a given token; the keyring is not opened."""
        try:
            return self.entry in list_entries()
        except CredentialsError:
            return True  # the error is reported when it is used
        except CommandError:
            return False


def create_client(connection: ConnectionOptions, token: Token | None) -> Plex:
    """Create a client for plex.tv.

    Raises:
        InvalidUsage: an option is invalid.
    """
    from ticketstub import Plex

    with wrap_value_errors("--plex-tv"):
        return Plex(
            device=resolve_device(connection.client_identifier),
            token=token,
            plex_tv=connection.plex_tv,
            timeout=connection.timeout,
        )


@contextmanager
def open_client(connection: ConnectionOptions, *, read_input: bool = True) -> Generator[Plex]:
    """Yield a client with the given token, or with the stored sign-in.

    Args:
        connection: the options of the connection.
        read_input: whether standard input may contain the token.

    Raises:
        InvalidUsage: there is neither, or no sign-in is stored under --profile.
        CommandError: inside the `with` block: Plex no longer accepts the stored sign-in.
    """
    opened_client, explained_refusals = _choose_client(connection, read_input=read_input)
    with opened_client as client, explained_refusals:
        yield client


def _choose_client(
    connection: ConnectionOptions, *, read_input: bool = True
) -> tuple[AbstractContextManager[Plex], AbstractContextManager[None]]:
    """Return the client with the given token, or with the stored sign-in and what explains that it was refused."""
    if connection.profile is None and (
        given_token := prompts.read_token(connection.has_stored_sign_in, read_input=read_input)
    ):
        return create_client(connection, given_token), nullcontext()
    stored = require_sign_in(connection, or_token=True)
    return resume_client(connection, stored), explain_refused_token(stored)


@contextmanager
def resume_client(connection: ConnectionOptions, stored: StoredSignIn) -> Generator[Plex]:
    """Yield a client with a stored sign-in; nothing is sent to create it."""
    from ticketstub import Plex

    credential, identifier = stored.credential, connection.client_identifier
    with wrap_value_errors("--plex-tv"):
        client = Plex.load(
            credential.app,
            profile=credential.profile,
            store=stored.store,
            device=resolve_device(credential.client_identifier or identifier),
            plex_tv=connection.plex_tv,
            timeout=connection.timeout,
        )
    with client:
        yield client.with_options(client_identifier=identifier) if identifier else client


@contextmanager
def open_media_server(connection: ConnectionOptions, server: str) -> Generator[tuple[MediaServer, Token]]:
    """Yield a client for one media server, and its token.

    A token that the user gives is sent to the server that the user names. With a stored sign-in, the token is the
    server's own, as plex.tv lists it.

    Raises:
        CommandError: the account has no server at that address.
    """
    opened_client, explained_refusals = _choose_client(connection)
    with opened_client as client:
        with wrap_value_errors("--server"):
            client.at(server)  # refuses an invalid address, before anything is sent
        with explained_refusals:
            token = _find_server_token(client, get_origin(server))
        yield client.at(server, token=token), token


def _find_server_token(client: Plex, origin: str) -> Token:
    """Return the given token, or that of the account's media server at this origin."""
    if not client.sign_in_state and client.token:
        return client.token
    for resource in client.resources():
        for connection in resource.connections:
            with suppress(ValueError):  # what is listed is not an address
                if resource.access_token and connection.uri and get_origin(connection.uri) == origin:
                    return resource.access_token
    raise CommandError(
        "your account has no media server at this address, so no token was sent there",
        hint="use an address that `ticketstub servers` shows, or set TICKETSTUB_TOKEN to the server's own token",
    )


def resolve_device(client_identifier: str | None) -> Device:
    """Return the device with the given client identifier, or this installation's own.

    Raises:
        InvalidUsage: the identifier is invalid.
    """
    from ticketstub import Device

    if client_identifier is None:
        return Device.load_or_use_temporary(PRODUCT, version=__version__)
    with wrap_value_errors("--client-identifier"):
        return Device.for_this_computer(client_identifier, PRODUCT, __version__)


class StoredSignIn(NamedTuple):
    """A stored sign-in, and the store that holds it."""

    store: CredentialStore
    credential: Credential

    @property
    def name(self) -> str:
        """Its name for the user: `default (mira_quill)`."""
        user = self.credential.username
        return f"{self.credential.profile} ({user})" if user else self.credential.profile

    @property
    def name_with_app(self) -> str:
        """Its name among those of all apps: `Photo Frame: default (tom)`."""
        return f"{sanitize_text(self.credential.app)}: {self.name}"


def open_stores() -> tuple[KeyringStore, FileStore]:
    """Return the places where sign-ins are stored: the keyring, and files.

    Raises:
        CommandError: there is no home folder, and nothing is stored in the current one.
    """
    from ticketstub import FileStore, KeyringStore

    try:
        files = FileStore()
    except (CredentialsError, RuntimeError):  # HOME is not set, and the system knows no home folder
        raise CommandError(
            "there is no folder to store sign-ins in", hint="set HOME to the absolute path of your home folder"
        ) from None
    return KeyringStore(directory=files.directory / "keyring"), files


def load_all(app: str | None = None, profile: str | None = None) -> list[StoredSignIn]:
    """Load the stored sign-ins, sorted by app.

    Args:
        app: only those of this app.
        profile: only those of this profile.

    Raises:
        CredentialsError: one is damaged, readable by other users, or owned by another user.
    """
    sign_ins = [
        StoredSignIn(store, credential)
        for store in open_stores()
        for entry in store.list_entries()
        if app in {None, entry.app} and profile in {None, entry.profile} and (credential := store.load(*entry))
    ]
    return sorted(sign_ins, key=lambda one: (one.credential.app, one.credential.entry))


def list_entries() -> list[Entry]:
    """List the command's own sign-ins, without opening the keyring.

    Raises:
        CredentialsError: as for `load_all`.
    """
    keyring, files = open_stores()
    return [entry for entry in (*keyring.list_notes(), *files.list_entries()) if entry.app == APP]


def find_sign_in(entry: Entry) -> StoredSignIn | None:
    """Return the sign-in of this issuer and profile; the keyring takes precedence.

    Raises:
        CredentialsError: it cannot be read.
    """
    keyring, files = open_stores()
    stores = (keyring, files) if entry in keyring.list_notes() else (files,)
    found = (StoredSignIn(store, credential) for store in stores if (credential := store.load(*entry)))
    return next((stored for stored in found if stored.credential.token is not None), None)


def require_sign_in(connection: ConnectionOptions, *, or_token: bool = False) -> StoredSignIn:
    """Return the stored sign-in of the connection's issuer and profile.

    Args:
        connection: the options of the connection.
        or_token: whether a token could have been given instead; the error then says so.

    Raises:
        InvalidUsage: none is stored, or the user signed out of it.
        CredentialsError: it cannot be read.
    """
    entry = connection.entry
    stored = find_sign_in(entry)
    if stored is None:
        raise make_not_signed_in_error(entry, or_token=or_token and connection.profile is None)
    if stored.credential.signed_out_at is not None:
        from ticketstub.cli.formatting import format_time

        raise InvalidUsage(
            f"the profile {stored.name} was signed out on {format_time(stored.credential.signed_out_at)}, "
            "but Plex could not be reached",
            hint=f"to end it: {format_command('logout', entry)}; to sign in again: {format_command('login', entry)}",
        )
    return stored


def make_not_signed_in_error(entry: Entry, *, or_token: bool = False) -> InvalidUsage:
    """Create the error that no sign-in is stored under a profile; it names the sign-ins that are."""
    entries: list[Entry] = []
    with suppress(CredentialsError):
        entries = list_entries()
    other_issuers = [one.issuer for one in entries if one.profile == entry.profile]
    if other_issuers:
        hint = f"this profile is stored for {other_issuers[0]}: add --plex-tv {other_issuers[0]}"
    else:
        token_hint = "; or pass a token in TICKETSTUB_TOKEN or on standard input" if or_token else ""
        profiles = ", ".join(sorted({one.profile for one in entries if one.issuer == entry.issuer}))
        stored_hint = f"; stored profiles: {profiles}" if profiles else ""
        hint = f"sign in: {format_command('login', entry)}{token_hint}{stored_hint}"
    return InvalidUsage(f"you are not signed in to {entry.issuer} under the profile {entry.profile}", hint=hint)


@contextmanager
def explain_refused_token(stored: StoredSignIn) -> Generator[None]:
    """Report a refused token as the stored one, with the likely reason; status and code are those of the refusal."""
    try:
        yield
    except NON_TOKEN_REFUSALS:
        raise
    except Unauthorized as error:
        expires_at = stored.credential.expires_at
        expired = isinstance(error, TokenExpired) or (expires_at is not None and time.time() >= expires_at)
        raise CommandError(
            f"the stored sign-in {stored.name} no longer works: {END_REASONS['expired' if expired else 'revoked']}",
            hint=f"sign in again: {format_command('login', stored.credential.entry)}",
            refusal=error,
        ) from None


def format_command(command: str, entry: Entry) -> str:
    """Format a command for an issuer and a profile, as a person types it."""
    issuer = "" if entry.issuer == "https://plex.tv" else f" --plex-tv {entry.issuer}"
    profile = "" if entry.profile == _DEFAULT_PROFILE else f" --profile {entry.profile}"
    return f"ticketstub {command}{issuer}{profile}"


def choose_store(storage: StoreKind, entry: Entry) -> CredentialStore:
    """Return the store for a new sign-in, before anything is sent.

    Raises:
        CommandError: there is no keyring, and no file can be written.
        CredentialsError: the keyring cannot be used.
    """
    from ticketstub import MemoryStore, default_store

    if storage == "auto" and (stored := find_sign_in(entry)):
        return stored.store
    directory = None if storage == "memory" else open_stores()[1].directory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlexWarning)  # the error below says it
        store = default_store(storage, directory)
    if storage == "auto" and isinstance(store, MemoryStore):
        raise CommandError(
            f"a sign-in could not be stored: there is no keyring, and {directory} cannot be written",
            hint="set HOME to a folder that can be written, or print the token with --print-token",
        )
    store.describe_location(*entry)  # a keyring that cannot be used is reported now, not after the sign-in
    return store
