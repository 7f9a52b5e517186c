"""What is stored of a sign-in, what every store promises, and the store in memory.

Rule: a credential belongs to one issuer, app and profile and is never returned for another; its tokens carry the issuer
as their origin. Only this module writes and reads secrets, and no `repr` or error shows one. A store never waits
without limit, never writes half a credential, and never deletes what it cannot read.
"""

from __future__ import annotations

import math
import os
import re
import threading
from abc import abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Literal, NamedTuple, Protocol, TypeVar

import msgspec

from ticketstub.errors import CredentialsError
from ticketstub.messages import get_base_origin
from ticketstub.models import Resource
from ticketstub.tokens import Secret, Token, hide_locals, is_header_safe

T = TypeVar("T")

DEFAULT_PROFILE = "default"
COMMAND_APP = "ticketstub"
"""The app name of the `ticketstub` command. It is reserved in any capitalization: Plex shows it as Ticketstub."""

CREDENTIAL_FORMAT = 1
"""The version of the storage format. Later formats have higher numbers."""

LOCK_TIMEOUT = 30.0
"""How many seconds `lock` waits by default: longer than a renewal with its retries takes (our choice)."""

PING_INTERVAL = 24 * 60 * 60.0
"""How many seconds pass between two pings of an opaque token (our choice; other clients ping once a day: observed)."""

RENEW_FROM = 0.5
RENEW_BY = 0.9
"""The share of its lifetime from which a JWT may be renewed, and from which it must be (our choice)."""

Renewal = Literal["no", "may", "must"]


class Entry(NamedTuple):
    """The key of a credential: the issuer's origin, the profile's name and the app's name."""

    issuer: str
    profile: str
    app: str = COMMAND_APP

    @classmethod
    def create(cls, issuer: str, profile: str, app: str = COMMAND_APP) -> Entry:
        """Create an entry from any URL of the issuer.

        Raises:
            ValueError: The issuer is not an http or https URL, or the profile or app name is invalid.
        """
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", profile):
            raise ValueError("a profile's name has 1 to 64 letters, digits, dots, hyphens and underscores")
        if not (re.fullmatch(r"[^\x00-\x1f\x7f\ud800-\udfff]+", app) and app.strip()):
            raise ValueError("an app's name is text without control characters, and not empty")
        return cls(get_base_origin(issuer), profile, COMMAND_APP if app.casefold() == COMMAND_APP else app)


class KnownServer(msgspec.Struct, frozen=True, kw_only=True):
    """A media server that an app has connected to, so that it is found without asking plex.tv first.

    Args:
        resource: The server as plex.tv listed it, with its addresses and the account's token for it.
        listed_at: When plex.tv listed it, in epoch seconds.
        routes: By network, the base URL that worked last, and the IP address that was dialled for it.
    """

    resource: Resource
    listed_at: float
    routes: dict[str, tuple[str, str | None]] = {}


class Credential(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag=CREDENTIAL_FORMAT):
    """What an app has from one issuer for one profile: a token, a device key, and facts to show without the network.

    Args:
        issuer: The origin that issued the tokens (`https://plex.tv`). A longer URL is cut to its origin.
        app: The name of the program that signed in; no other program gets the credential. By default the command.
        profile: The user's name for the sign-in: up to 64 letters, digits, dots, hyphens and underscores.
        token: The account's token, opaque or a JWT. Its origin becomes the issuer.
        device_key: The device's private key as `DeviceKey.dump` writes it. It is not parsed here.
        client_identifier: The client identifier that the token and the key belong to.
        account_id: The account's id when it was last fetched.
        username: The account's user name when it was last fetched.
        created_at: When the token was issued, in epoch seconds.
        expires_at: When the token expires, in epoch seconds; `None` if it does not or the time is unknown.
        checked_at: When Plex last accepted the token, in epoch seconds.
        server_token: An opaque token for media servers, which refuse JWTs (observed).
        signed_out_at: When the user signed out while Plex was unreachable, in epoch seconds. The token is no longer
            used, and is still to be revoked.
        servers: The media servers that the app has connected to, the latest first.
        version: The number of saves, counted by the store; 0 if it was never stored.

    Raises:
        ValueError: The issuer, app or profile is invalid; a token has another origin or cannot be sent in a header;
            or a time is not a finite number.
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
    servers: tuple[KnownServer, ...] = ()
    version: int = 0

    def __post_init__(self) -> None:
        issuer, _, app = Entry.create(self.issuer, self.profile, self.app)
        for name, value in (
            ("issuer", issuer),
            ("app", app),
            ("token", _bind_to_issuer(self.token, issuer)),
            ("server_token", _bind_to_issuer(self.server_token, issuer)),
        ):
            msgspec.structs.force_setattr(self, name, value)
        times = (self.created_at, self.expires_at, self.checked_at, self.signed_out_at)
        if not all(math.isfinite(time or 0.0) for time in times):
            raise ValueError("the times of a credential must be finite numbers of seconds")

    @property
    def entry(self) -> Entry:
        """The key it is stored under."""
        return Entry(self.issuer, self.profile, self.app)

    def is_same_sign_in(self, other: Credential) -> bool:
        """Return whether both come from the same sign-in, no matter how often either was renewed."""
        return self.token == other.token or (self.device_key is not None and self.device_key == other.device_key)


def _bind_to_issuer(token: Token | None, issuer: str) -> Token | None:
    """Return the token with the issuer as its origin."""
    if token is None:
        return None
    if not (token and is_header_safe(token.reveal())):
        raise ValueError("the token cannot be sent in a header")
    if token.origin not in {None, issuer}:
        raise ValueError("the token was issued by another origin than the credential's issuer")
    return token if token.origin else Token.from_wire(token.reveal(), issuer)  # the caller's token stays unchanged


class CredentialStore(Protocol):
    """Stores credentials. All methods may be called from any thread.

    Every method raises `ValueError` for an issuer that is not a URL and for an invalid profile or app name, and
    `CredentialsError`, with a hint on what to do, for any failure of the storage.
    """

    @abstractmethod
    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return the stored credential, or `None`."""

    @abstractmethod
    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Store a credential if the stored one is still `replacing` (`None`: nothing is stored); all or nothing.

        Returns:
            The stored credential with its new version, to be passed as `replacing` to the next save. `None` if it was
            changed in the meantime; then nothing is written: load it again and decide anew.
        """

    @abstractmethod
    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Delete the credential, even if it cannot be read, and return whether there was one.

        This revokes no token at Plex.
        """

    @abstractmethod
    def list_entries(self) -> tuple[Entry, ...]:
        """Return the entries of all issuers, profiles and apps, sorted."""

    @abstractmethod
    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Describe in words where the credential is or would be stored."""

    @abstractmethod
    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP, *, timeout: float = LOCK_TIMEOUT
    ) -> AbstractContextManager[None]:
        """Lock an entry against all other threads and processes, so that only one of them renews it at a time.

        The lock does not affect `load`, `save` and `remove`. It may be released in another thread than the one that
        acquired it. It is released if its holder dies or drops it.

        Raises:
            CredentialsError: The lock was not free within `timeout` seconds.
        """


def make_lock_timeout_error(timeout: float) -> CredentialsError:
    """Create the error of a lock that was not free in time."""
    return CredentialsError(
        f"another program held these credentials for {timeout:g} seconds",
        hint="it may be renewing them over a slow network: try again, or stop it",
    )


class _FormatHeader(msgspec.Struct):
    format: int


def encode_credential(credential: Credential) -> bytes:
    """Encode a credential as JSON, with its secrets in clear text.

    Raises:
        ValueError: A text contains half of a surrogate pair.
    """
    with suppress(UnicodeError):  # it contains the text
        return msgspec.json.encode(credential, enc_hook=Secret.reveal)
    raise ValueError("a text of this credential contains half of a surrogate pair and cannot be stored")


def decode_credential(data: bytes | str, location: str, *, hint: str, entry: Entry | None = None) -> Credential:
    """Decode a credential.

    Args:
        data: The JSON that `encode_credential` wrote.
        location: Where it is stored, for the error.
        hint: How to get rid of it, for the error.
        entry: The entry that it must belong to; any by default.

    Raises:
        CredentialsError: It is damaged, was written by a later version, or belongs to another entry. The error shows
            nothing of it, and has no cause or context that could.
    """
    found = _try_decode(data, Credential)
    if found is None:
        header = _try_decode(data, _FormatHeader)
        if header and header.format > CREDENTIAL_FORMAT:
            raise CredentialsError(f"{location} was written by a later version of Ticketstub", hint="update Ticketstub")
        raise CredentialsError(f"{location} is damaged", hint=hint)
    if entry not in {None, found.entry}:
        raise make_wrong_entry_error(location, hint)
    return found


def make_wrong_entry_error(location: str, hint: str) -> CredentialsError:
    """Create the error of a credential that is stored in the place of another one."""
    return CredentialsError(f"{location} belongs to another issuer, app or profile and was not used", hint=hint)


def _try_decode(data: bytes | str, target: type[T]) -> T | None:
    try:
        return msgspec.json.decode(
            data, type=target, dec_hook=lambda kind, text: Token.from_wire(text) if kind is Token else Secret(text)
        )
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


@hide_locals
class MemoryStore:
    """Stores credentials until the program ends, encoded as in the other stores. Nothing is written to disk."""

    def __init__(self) -> None:
        self._data: dict[Entry, bytes] = {}
        self._locks: dict[tuple[int, Entry], threading.Lock] = {}
        self._guard = threading.Lock()

    def load(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> Credential | None:
        """Return the stored credential, or `None`."""
        data = self._data.get(Entry.create(issuer, profile, app))
        return decode_credential(data, "the memory", hint="sign in again") if data else None

    def save(self, credential: Credential, *, replacing: Credential | None) -> Credential | None:
        """Store a credential if the stored one is still `replacing`; see `CredentialStore.save`."""
        with self._guard:
            current = self.load(*credential.entry)
            if current != replacing:
                return None
            saved = msgspec.structs.replace(credential, version=current.version + 1 if current else 1)
            self._data[saved.entry] = encode_credential(saved)
            return saved

    def remove(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> bool:
        """Delete the credential and return whether there was one."""
        with self._guard:
            return self._data.pop(Entry.create(issuer, profile, app), None) is not None

    def list_entries(self) -> tuple[Entry, ...]:
        """Return all entries, sorted."""
        with self._guard:
            return tuple(sorted(self._data))

    def describe_location(self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP) -> str:
        """Describe that the credential is only in memory."""
        Entry.create(issuer, profile, app)
        return "in memory only, until the program ends"

    def lock(
        self, issuer: str, profile: str = DEFAULT_PROFILE, app: str = COMMAND_APP, *, timeout: float = LOCK_TIMEOUT
    ) -> AbstractContextManager[None]:
        """Lock an entry against all other threads; see `CredentialStore.lock`."""
        return self._hold_lock(Entry.create(issuer, profile, app), timeout)

    @contextmanager
    def _hold_lock(self, entry: Entry, timeout: float) -> Generator[None, None, None]:
        # A forked child has its own locks: it has no thread that could release the parent's.
        lock = self._locks.setdefault((os.getpid(), entry), threading.Lock())
        if not lock.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            raise make_lock_timeout_error(timeout)
        try:
            yield
        finally:
            lock.release()


def get_ping_delay(credential: Credential, now: float) -> float:
    """Return how many seconds remain until an opaque token needs a ping, which keeps it alive (documented).

    A ping is due one day after Plex last accepted the token; 0 means now. The delay is infinite if no ping is needed:
    there is no token, the user signed out, or the token is a JWT, which is renewed instead.

    Args:
        credential: The stored credential.
        now: The current time in epoch seconds.
    """
    if credential.token is None or credential.token.kind == "jwt" or credential.signed_out_at is not None:
        return math.inf
    delay = max(credential.checked_at or -math.inf, credential.created_at or -math.inf) + PING_INTERVAL - now
    return min(max(delay, 0.0), PING_INTERVAL)  # also if the clock was set back


def check_renewal(credential: Credential, now: float, *, jitter: float = 0.0) -> Renewal:
    """Return whether a JWT need not (`no`), `may` or `must` be renewed before its next use.

    A JWT lives seven days and can be renewed before and after it expires (documented). It may be renewed from half of
    its lifetime on and must be from nine tenths on. An opaque token needs no renewal, and without a device key none is
    possible. A JWT whose times are unknown may be renewed, since that makes them known.

    Args:
        credential: The stored credential.
        now: The current time in epoch seconds.
        jitter: A number from 0 to 1, constant for one program. It moves the start of `may` from 0.5 towards 0.9 of the
            lifetime, so that installations that signed in at the same time do not all renew at the same time.
    """
    is_renewable_jwt = credential.token and credential.token.kind == "jwt" and credential.device_key is not None
    if not is_renewable_jwt or credential.signed_out_at is not None:
        return "no"
    if credential.created_at is None or credential.expires_at is None:
        return "may" if credential.expires_at is None or now < credential.expires_at else "must"
    lifetime, age = credential.expires_at - credential.created_at, now - credential.created_at
    if age >= RENEW_BY * lifetime:
        return "must"
    return "may" if age >= (RENEW_FROM + jitter * (RENEW_BY - RENEW_FROM)) * lifetime else "no"
