"""How calls are made and what they return: options, hooks, settings, `Ok` and `Err`, and the shared connection.

Rule: settings are immutable; a derived client has new ones. A token is sent only to the origins that were named
together with it. That is decided here, once, for every call (`CallSettings.trusted_origins`). Nothing is opened before
the first call, and nothing is used after `close`. No HTTP library is loaded before the first call, and then only the
one that it uses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypedDict, TypeVar, cast

import msgspec

from ticketstub.client.transports.base import AsyncTransport, AsyncTransportLike, Transport, TransportLike
from ticketstub.device import DEVICE_HEADERS, Device
from ticketstub.errors import PlexError
from ticketstub.messages import HEADER_NAME, Request, Response, get_base_origin, get_origin, split_url
from ticketstub.tokens import Token

if TYPE_CHECKING:
    from ticketstub.credentials.store import KnownServer  # this and the models are not needed by most calls
    from ticketstub.crypto import PublishedKeys  # loads a JOSE library
    from ticketstub.routes import ServerRoute

T = TypeVar("T")

PLEX_TV = "https://plex.tv"
DEFAULT_APP = "Ticketstub"

TokenSource: TypeAlias = Callable[[], str | Token | Awaitable[str | Token | None] | None]
"""Returns a token; called before each request. Its method `refused(token)`, if any, is called when Plex refuses one."""

_FORBIDDEN_CHARACTERS = r"[\r\n\0\ud800-\udfff]"
_RESERVED_HEADERS = {
    **dict.fromkeys(
        ("host", "content-length", "transfer-encoding", "connection"),
        "{name} is set by the connection and cannot be replaced",
    ),
    "x-plex-token": "pass the token as token=, so that it stays secret and is sent nowhere else",
    DEVICE_HEADERS["client_identifier"].lower(): (
        "pass the client identifier as client_identifier= or device=, so that it is never missing"
    ),
}


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """When to try a call again. Only calls that are safe to repeat are, and only within the call's time.

    Args:
        attempts: the largest number of attempts; 1 means no retry.
        backoff: seconds before the second attempt, doubled before each further one.
        statuses: the statuses to retry.
        respect_retry_after: whether Plex's `Retry-After` replaces the backoff.
    """

    attempts: int = 3
    backoff: float = 0.5
    statuses: frozenset[int] = frozenset({429, 500, 502, 503, 504})
    respect_retry_after: bool = True

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.backoff < 0:
            raise ValueError("attempts must be at least 1, and backoff must not be negative")


class Options(TypedDict, total=False):
    """The options of every method, which `with_options` applies to a client.

    Args:
        timeout: seconds for the whole call, including retries and waits.
        deadline: the same limit as a time of `time.monotonic()`, which several calls can share.
        retry: when to try again.
        headers: additional headers.
        device: the device that sends the call.
        client_identifier: replaces only the device's identifier.
        token: text, a `Token`, or a callable; `None` sends no token.
        base_url: the URL to call instead. A token is sent there only if you pass it together with the URL.
    """

    timeout: float
    deadline: float
    retry: Retry
    headers: Mapping[str, str]
    device: Device
    client_identifier: str
    token: str | Token | TokenSource | None
    base_url: str


OnRequest: TypeAlias = Callable[[Request], None]
OnResponse: TypeAlias = Callable[[Request, Response, float], None]
OnRetry: TypeAlias = Callable[[PlexError, float], None]


class _CommonClientOptions(TypedDict, total=False):
    device: Device | None
    plex_tv: str
    timeout: float
    connect_timeout: float
    retry: Retry
    headers: Mapping[str, str] | None
    on_request: OnRequest | None
    on_response: OnResponse | None
    on_retry: OnRetry | None


class ClientOptions(_CommonClientOptions, total=False):
    """The constructor's arguments that `Plex.sign_in`, `Plex.load` and `check` also take, with the same meaning."""

    transport: TransportLike | None


class AsyncClientOptions(_CommonClientOptions, total=False):
    """The same for `AsyncPlex` and `acheck`."""

    transport: AsyncTransportLike | None


class CallSettings(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """How to make a call: where, as whom and how often. The token is sent to `trusted_origins` only."""

    plex_tv: str | None = PLEX_TV
    server: str | None = None
    base_url: str | None = None
    token: Token | TokenSource | None = None
    trusted_origins: frozenset[str] = frozenset()
    device: Device | None = None
    client_identifier: str | None = None
    headers: dict[str, str] = {}
    timeout: float = 15.0
    connect_timeout: float = 5.0
    deadline: float | None = None
    retry: Retry = Retry()
    on_request: OnRequest | None = None
    on_response: OnResponse | None = None
    on_retry: OnRetry | None = None
    route: ServerRoute | None = None

    def __post_init__(self) -> None:
        if not (self.timeout > 0 and self.connect_timeout > 0):  # also refuses NaN
            raise ValueError("timeout and connect_timeout must be greater than 0 seconds")
        if self.client_identifier is not None:
            Device(client_identifier=self.client_identifier)  # refuses what a header cannot contain

    __rich_repr__ = None  # type: ignore[assignment]  # msgspec's would show Rich what `__repr__` leaves out

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url or self.server or self.plex_tv}>"  # headers may hold secrets

    def get_base_url(self, service: str) -> str:
        """Return the URL of a service, `plex.tv` or `server`.

        Raises:
            ValueError: the client has no such service.
        """
        address = self.base_url or (self.plex_tv if service == "plex.tv" else self.server)
        if address is None:
            raise ValueError(
                "this call goes to a media server: name one with server= or at()"
                if service == "server"
                else "this call goes to plex.tv: this is one media server's client"
            )
        return address

    def get_origin(self, service: str) -> str:
        """Return the origin of a service's URL."""
        return get_base_origin(self.get_base_url(service))

    def get_fixed_headers(self, device: Device) -> dict[str, str]:
        """Return the headers that are the same for every call; they are built once."""
        cached: dict[str, str] | None = vars(self).get("made_headers")
        if cached is None:
            sender = msgspec.structs.replace(
                device, client_identifier=self.client_identifier or device.client_identifier
            )
            defaults = {"Accept": "application/json", "Accept-Encoding": "gzip", **sender.to_headers()}
            cached = vars(self)["made_headers"] = merge_headers(defaults, self.headers)
        return cached


def merge_options(settings: CallSettings, options: Options) -> CallSettings:
    """Apply options to settings.

    Raises:
        ValueError: an option has an invalid value.
        TypeError: there is no such option.
    """
    if unknown := options.keys() - Options.__annotations__.keys():
        raise TypeError(f"there is no option {', '.join(sorted(unknown))}")
    changes: dict[str, object] = dict(options)
    if "base_url" in options:
        changes["base_url"] = normalize_base_url(options["base_url"])
    if "headers" in options:
        changes["headers"] = merge_headers(settings.headers, validate_headers(options["headers"]))
    changed = msgspec.structs.replace(settings, **changes)
    trusted_url = options.get("base_url")
    return with_token(changed, options["token"], trusted_url=trusted_url) if "token" in options else changed


def with_token(
    settings: CallSettings, token: str | Token | TokenSource | None, *, trusted_url: str | None = None
) -> CallSettings:
    """Return settings with a token, and decide where it may be sent.

    A token whose origin is known is sent to that origin, any other to the URLs of the settings. Either is also sent to
    the URL that was named together with it.
    """
    source = Token(token) if isinstance(token, str) else token
    trusted_origins = {get_origin(base) for base in (settings.plex_tv, settings.server, settings.base_url) if base}
    if origin := getattr(source, "origin", None):
        trusted_origins &= {origin}
    if trusted_url:
        trusted_origins.add(get_origin(trusted_url))
    return msgspec.structs.replace(settings, token=source, trusted_origins=frozenset(trusted_origins))


def with_server(settings: CallSettings, url: str, token: str | Token | TokenSource | None) -> CallSettings:
    """Return the settings for one media server's client, whose token is sent to that server only."""
    return with_token(
        msgspec.structs.replace(settings, plex_tv=None, server=normalize_base_url(url), base_url=None, route=None),
        token,
        trusted_url=url,
    )


def normalize_base_url(url: str) -> str:
    """Return a base URL without trailing slashes and without the `/api/v2` that generated SDKs need.

    Raises:
        ValueError: it is not an http or https URL, or has a query or fragment.
    """
    origin, path = split_url(url)
    if "?" in url or "#" in url:
        raise ValueError("a base URL cannot have a query or fragment")
    return origin.url + path.rstrip("/").removesuffix("/v2").removesuffix("/api").rstrip("/")


def validate_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return additional headers, refusing those that would break the request.

    Raises:
        ValueError: a name or value is malformed, or the header is set by the connection, `token=` or the device.
    """
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or re.search(_FORBIDDEN_CHARACTERS, value):
            raise ValueError(
                "a header name can have letters, digits and hyphens; its value cannot have a line break or NUL"
            )
        if reason := _RESERVED_HEADERS.get(name.lower()):
            raise ValueError(reason.format(name=name))
    return merge_headers({}, headers)


def merge_headers(headers: Mapping[str, str], additional: Mapping[str, str]) -> dict[str, str]:
    """Return the headers and the additional ones, which replace those of the same name in any capitalization."""
    return dict({name.lower(): (name, value) for name, value in [*headers.items(), *additional.items()]}.values())


class Ok(msgspec.Struct, Generic[T], eq=False):
    """The call succeeded: its `value`, and the `response` that it was read from."""

    value: T
    response: Response


class Err(msgspec.Struct, eq=False):
    """The call failed: its `error`, and the `response`, or `None` if there was none."""

    error: PlexError
    response: Response | None


class PublishedKeyCache(dict[str, "tuple[PublishedKeys, float]"]):
    """The published keys of each issuer, and when they were fetched; shared by clients that share connections."""


MAX_TOKENS = 256
"""For how many tokens a client remembers servers, if they are not stored: it may serve many users."""


class KnownServers(dict["Token | None", "tuple[KnownServer, ...]"]):
    """The media servers that a client without a stored sign-in has connected to, by its token."""

    def __init__(self) -> None:
        super().__init__()
        self._locks: dict[int, Lock] = {}

    def change(self, token: Token, change: Callable[[tuple[KnownServer, ...]], tuple[KnownServer, ...]]) -> None:
        """Change what is remembered for a token; threads that do so at the same time lose nothing of each other's."""
        with self._locks.setdefault(os.getpid(), Lock()):  # a forked child does not wait for its parent's threads
            changed = change(self.get(token, ()))  # if this fails, nothing is lost
            self.pop(token, None)
            self[token] = changed
            for oldest in list(self)[:-MAX_TOKENS]:
                self.pop(oldest, None)


class BackgroundJobs:
    """What the clients that share connections run in the background, and what several callers wait for together.

    Attributes:
        shared: The runs that several callers wait for, by key; only the driver uses it.
    """

    def __init__(self) -> None:
        self.shared: dict[object, object] = {}
        self._stops: set[Callable[[], object]] = set()
        self._is_over = False

    def add(self, stop: Callable[[], object]) -> None:
        """Add a job by the function that stops it, which is called at once if all jobs were stopped meanwhile."""
        self._stops.add(stop)
        if self._is_over:
            self.stop_all()

    def discard(self, stop: Callable[[], object]) -> None:
        """Forget a job that has ended."""
        self._stops.discard(stop)

    def stop_all(self) -> None:
        """Stop all jobs, and those that are added later."""
        self._is_over = True
        while self._stops:
            with suppress(KeyError):  # the last one has just ended by itself
                self._stops.pop()()


class SharedTransport(Generic[T]):
    """What a client and those derived from it share: the transport (created at first use), device and keys."""

    def __init__(self, factory: Callable[[], T]) -> None:
        self._factory = factory
        self._transport: T | None = None
        self._closed = False
        self._lock = Lock()
        self.create_device: Callable[[], Device] = partial(Device.load_or_use_temporary, DEFAULT_APP)
        self.device: Device | None = None
        self.published_keys = PublishedKeyCache()
        self.known_servers = KnownServers()
        self.jobs = BackgroundJobs()

    def get_transport(self) -> T:
        """Return the transport.

        Raises:
            RuntimeError: the client was closed.
        """
        if self._closed:
            raise RuntimeError("this client was closed; make a new one")
        # Once there is a transport, no lock is taken: a thread that is not in a forked child may hold it.
        return self._transport or self._create_transport()

    def _create_transport(self) -> T:
        with self._lock:  # so that two simultaneous first calls create only one
            if self._transport is None:
                self._transport = self._factory()
            return self._transport

    def mark_closed(self) -> T | None:
        """Mark the client closed and return the transport to close, if there is one."""
        transport, self._transport, self._closed = self._transport, None, True
        self.jobs.stop_all()
        return transport

    def load_device(self) -> Device:
        """Load this installation's own device from its file, once for all clients that share this object."""
        self.device = self.create_device()
        return self.device


def create_transport(client: object | None = None) -> Transport:
    """Return the transport for `Plex`. Whatever the program's own transport raises becomes a `PlexError`.

    Args:
        client: an HTTP client or a transport of the program's own, or `None` for ours.

    Raises:
        TypeError: it is something else; the message lists what is accepted.
    """
    if client is None:
        from ticketstub.client.transports.http1 import StandardTransport

        return StandardTransport()
    if not _list_library_classes(client).isdisjoint({"httpx.Client", "httpx2.Client"}):
        from ticketstub.client.transports.httpx import HttpxTransport

        return HttpxTransport(client)
    if "ticketstub.StandardTransport" in _list_library_classes(client):
        return cast("Transport", client)  # it needs no guard
    if _is_transport(client, is_async=False):
        from ticketstub.client.transports.injected import GuardedTransport

        return GuardedTransport(cast("Transport", client))
    raise TypeError(
        "Plex sends with an httpx2.Client or httpx.Client, or a transport (send, sleep, close); "
        f"{_get_class_name(client)} is none of these"
    )


def create_async_transport(client: object | None = None) -> AsyncTransport:
    """Return the transport for `AsyncPlex`; as `create_transport`.

    Args:
        client: an HTTP client or a transport of the program's own, or `None` for ours.

    Raises:
        TypeError: it is something else; the message lists what is accepted.
    """
    classes = _list_library_classes(client)
    if client is None or "aiohttp.ClientSession" in classes:
        from ticketstub.client.transports.aiohttp import AiohttpTransport

        return AiohttpTransport(cast("Any", client))
    if not classes.isdisjoint({"httpx.AsyncClient", "httpx2.AsyncClient"}):
        from ticketstub.client.transports.httpx import AsyncHttpxTransport

        return AsyncHttpxTransport(client)
    if "ticketstub.AiohttpTransport" in classes:
        return cast("AsyncTransport", client)  # it needs no guard
    if _is_transport(client, is_async=True):
        from ticketstub.client.transports.async_injected import AsyncGuardedTransport

        return AsyncGuardedTransport(cast("AsyncTransport", client))
    raise TypeError(
        "AsyncPlex sends with an aiohttp.ClientSession, an httpx2.AsyncClient or httpx.AsyncClient, or a transport "
        f"(send, sleep, close); {_get_class_name(client)} is none of these"
    )


def _list_library_classes(client: object) -> set[str]:
    """Return the classes of an object as `library.Class`. This imports no library."""
    return {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(client).__mro__}


def _is_transport(client: object, *, is_async: bool) -> bool:
    from inspect import iscoroutinefunction  # only for a transport of the program's own

    methods = [getattr(client, name, None) for name in ("send", "sleep", "close")]
    return all(callable(method) and iscoroutinefunction(method) is is_async for method in methods)


def _get_class_name(client: object) -> str:
    return f"{type(client).__module__}.{type(client).__qualname__}"
