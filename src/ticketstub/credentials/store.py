"""What is kept of a sign-in, and what every store of it promises.

Rule: a credential belongs to one issuer, one app and one profile and comes out for no other; its tokens know the issuer
as their origin. It prints no secret. A store never waits without end, never half-writes, and never deletes what it
cannot read.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import msgspec

from ticketstub.errors import CredentialsError
from ticketstub.messages import get_origin
from ticketstub.tokens import Secret, Token, is_header_safe

DEFAULT_PROFILE = "default"
COMMAND_APP = "ticketstub"
"""The app that the command is. Its name, in any capitals, is reserved: Plex shows it as Ticketstub."""

CREDENTIAL_FORMAT = 1
"""The number of the form in which a credential is kept; a later form has a higher one."""

LOCK_TIMEOUT = 30.0
"""How many seconds `lock` waits: longer than another process needs for a renewal and its tries (ours)."""


class Entry(NamedTuple):
    """What one credential is kept under: the issuer's origin, the profile's name, and the app's."""

    issuer: str
    profile: str
    app: str = COMMAND_APP

    @classmethod
    def create(cls, issuer: str, profile: str, app: str = COMMAND_APP) -> Entry:
        """Take any address of an issuer, a profile's name and an app's.

        Raises:
            ValueError: it is no http or https address, no name of a profile, or no name of an app.
        """
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", profile):
            raise ValueError("a profile's name is letters, digits, dots, hyphens and underscores, 64 at most")
        if not (re.fullmatch(r"[^\x00-\x1f\x7f\ud800-\udfff]+", app) and app.strip()):
            raise ValueError("an app's name is text without control characters, and not empty")
        return cls(get_origin(issuer), profile, COMMAND_APP if app.casefold() == COMMAND_APP else app)


class Credential(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=CREDENTIAL_FORMAT):
    """What an app has from one issuer for one profile: a token, a device key, what `status` tells without network.

    Args:
        issuer: the origin that issued all this (`https://plex.tv`); of a longer address the origin is taken.
        app: the name of the program that signed in; no other program gets it. By default it is the command's.
        profile: the user's name for it: letters, digits, dots, hyphens and underscores, at most 64.
        token: the account's token, opaque or a JWT. Its origin becomes the issuer.
        device_key: the private key of this device, as the text that `DeviceKey.dump` makes; not looked into here.
        client_identifier: the client identifier that the token and the key belong to.
        account_id: the account's id, as last heard.
        username: the account's user name, as last heard.
        created_at: when the token was issued, in epoch seconds.
        expires_at: when it ends, in epoch seconds; `None` where it does not or nobody knows.
        checked_at: when Plex last took it, in epoch seconds.
        server_token: an opaque token for media servers, beside a JWT, which they refuse (observed).
        signed_out_at: when its user signed out while Plex could not be told: nobody uses it any more, and it is still
            to be revoked.
        version: counted up by the store with each save; 0 was never stored.

    Raises:
        ValueError: the issuer, app or profile is none; a token is another origin's, or none that a header can carry; or
            a time is no finite number.
    """

    issuer: str
    app: str = COMMAND_APP
    profile: str = DEFAULT_PROFILE
    token: Token | None = None
    device_key: Secret | None = None
    client_identifier: str | None = None
    account_id: int | None = None
    username: str | None = None
    created_at: float | None = None
    expires_at: float | None = None
    checked_at: float | None = None
    server_token: Token | None = None
    signed_out_at: float | None = None
    version: int = 0

    def __post_init__(self) -> None:
        issuer, _, app = self.entry
        bound = {
            "issuer": issuer,
            "app": app,
            "token": _bind_to_issuer(self.token, issuer),
            "server_token": _bind_to_issuer(self.server_token, issuer),
        }
        for name, value in bound.items():
            msgspec.structs.force_setattr(self, name, value)
        times = (self.created_at, self.expires_at, self.checked_at, self.signed_out_at)
        if not all(math.isfinite(moment) for moment in times if moment is not None):
            raise ValueError("a credential's times are finite numbers of seconds")

    @property
    def entry(self) -> Entry:
        """What it is kept under."""
        return Entry.create(self.issuer, self.profile, self.app)


def _bind_to_issuer(token: Token | None, issuer: str) -> Token | None:
    """Return the token with the issuer as its origin."""
    if token is None:
        return None
    if not (token and is_header_safe(token.reveal())):
        raise ValueError("this token is none: no header can carry it")
    if token.origin == issuer:
        return token
    if token.origin is not None:
        raise ValueError("this token was issued by another origin than the credential's issuer")
    return Token.from_wire(token.reveal(), issuer)  # a copy: the caller's own token stays as it is


def make_lock_timeout_error(timeout: float) -> CredentialsError:
    """Make the error of a wait for a lock that was too long."""
    return CredentialsError(
        f"another program held these credentials for {timeout:g} seconds",
        hint="it may be renewing them on a slow network: try again, or end it",
    )


class CredentialStore(Protocol):
    """A store of credentials. All its methods may be called from any thread.

    Every method raises `ValueError` for an issuer that is no address and for a profile or an app that is no name, and
    `CredentialsError` for whatever the storage does wrong; its hint says what to do.
    """

    @abstractmethod
    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return what is kept, or `None`."""

    @abstractmethod
    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Keep it if what is kept now is still what `replacing` was loaded as (`None`: nothing); all or nothing.

        Returns what is now kept, with its version, which is what the next save replaces; or `None`, and nothing is
        changed, if somebody else changed it since: load again, and decide anew.
        """

    @abstractmethod
    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Forget it, also if it cannot be read; tell whether there was anything. Ends no token at Plex."""

    @abstractmethod
    def list_entries(self) -> tuple[Entry, ...]:
        """List what something is kept for, of all issuers, profiles and apps, sorted."""

    @abstractmethod
    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Say in plain words where it is, or would be, kept."""

    @abstractmethod
    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP, *, timeout: float = LOCK_TIMEOUT
    ) -> AbstractContextManager[None]:
        """Keep everybody else, threads and processes, from holding the same lock: one of them renews at a time.

        It does not hinder `load`, `save` and `remove`. It may be entered in one thread and left in another. If its
        holder dies, or drops it without leaving, it is free.

        Raises:
            CredentialsError: it was not free within `timeout` seconds.
        """
