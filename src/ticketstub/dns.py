"""Name lookups and other blocking work with a time limit, done on daemon threads.

Rule: the system's resolver can hang for half a minute and cannot be interrupted. Therefore no caller waits inside it: a
deadline, Ctrl-C, a cancelled task and the end of the process abandon the thread, and its result is dropped. An IP
address needs no thread. The clients and the proxy of a local Plex look up names only here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

T = TypeVar("T")

_PLEX_DIRECT_DOMAIN = r"[0-9a-f]{32}\.plex\.direct\.?"

# On Windows, Ctrl-C does not interrupt a wait, so waits are this short, in seconds, on every system.
_POLL_INTERVAL = 0.05


class ResolvedAddress(NamedTuple):
    """One address of a host, ready to be connected to."""

    family: int
    ip: str
    port: int
    scope_id: int = 0

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address as `socket.connect` expects it."""
        return (self.ip, self.port, 0, self.scope_id) if self.family == socket.AF_INET6 else (self.ip, self.port)


Resolver = Callable[[str, int], Sequence[ResolvedAddress]]
"""Returns the addresses of a host and port, the best first. It may block, and raises OSError if there are none."""


def resolve_with_system(host: str, port: int) -> list[ResolvedAddress]:
    """Look up a name with the operating system.

    Raises:
        OSError: The name does not exist or the lookup failed.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    return [
        ResolvedAddress(family, str(sockaddr[0]), int(sockaddr[1]), int(sockaddr[3]) if len(sockaddr) == 4 else 0)
        for family, _, _, _, sockaddr in answers
    ]


def look_up(
    host: str, port: int, resolver: Resolver, deadline: float, *, is_strict: bool = False
) -> Sequence[ResolvedAddress]:
    """Return the addresses of a host, at least one.

    If a name below plex.direct cannot be looked up, for example because a router removes private addresses from the
    answers, the address in the name is returned.

    Args:
        host: A name or an IP address.
        port: The port of the returned addresses.
        resolver: The function that looks up a name.
        deadline: When to stop waiting, on the clock of `time.monotonic()`.
        is_strict: Whether the address in a name is never returned instead.

    Raises:
        TimeoutError: The deadline passed.
        OSError: The name could not be looked up.
    """
    if literal := _parse_literal(host, port):
        return literal
    try:
        return run_with_deadline(lambda: _resolve(host, port, resolver), deadline)
    except socket.gaierror:
        if is_strict or (address := parse_plex_direct(host)) is None:
            raise
        return _parse_literal(address, port)


async def alook_up(
    host: str, port: int, resolver: Resolver = resolve_with_system, *, is_strict: bool = False
) -> Sequence[ResolvedAddress]:
    """Return the addresses of a host as `look_up` does, until the task is cancelled."""
    from asyncio import Event, get_running_loop  # the sync client does not load asyncio

    if literal := _parse_literal(host, port):
        return literal
    loop, done = get_running_loop(), Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed, so nothing waits any more
            loop.call_soon_threadsafe(done.set)

    task = DetachedTask(lambda: _resolve(host, port, resolver), wake)
    await done.wait()
    try:
        return task.get_result()
    except socket.gaierror:
        if is_strict or (address := parse_plex_direct(host)) is None:
            raise
        return _parse_literal(address, port)


def _parse_literal(host: str, port: int) -> list[ResolvedAddress]:
    """Parse an IP address into a list of one address. The list is empty for a name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return []
    return [ResolvedAddress(family, host, port)]


def _resolve(host: str, port: int, resolver: Resolver) -> Sequence[ResolvedAddress]:
    addresses = resolver(host, port)
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
    return addresses


def parse_plex_direct(host: str) -> str | None:
    """Return the IP address that a name below plex.direct contains, or `None` if it is another name (documented).

    `192-168-1-50.HASH.plex.direct` is 192.168.1.50, and `fd00--12.HASH.plex.direct` is fd00::12.
    """
    label, _, domain = host.lower().partition(".")
    if not re.fullmatch(_PLEX_DIRECT_DOMAIN, domain):
        return None
    address = parse_ip(label.replace("-", ".")) or parse_ip(label.replace("-", ":"))
    return str(address) if address else None


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address is this computer."""
    address = parse_ip(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an IP address, ignoring its zone. An IPv4-mapped one becomes IPv4; anything else returns `None`."""
    from ipaddress import IPv6Address, ip_address  # few callers need it

    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def run_with_deadline(work: Callable[[], T], deadline: float) -> T:
    """Run work that cannot be interrupted, and stop waiting for it at the deadline.

    Raises:
        TimeoutError: The deadline passed. The work continues until it ends by itself, and its result is dropped.
    """
    done = Event()
    task = DetachedTask(work, done.set)
    while not done.wait(max(0.0, min(_POLL_INTERVAL, deadline - monotonic()))):
        if monotonic() >= deadline:
            raise TimeoutError
    return task.get_result()


class DetachedTask(Generic[T]):
    """Work on a new daemon thread.

    Args:
        work: The work.
        on_done: Called on that thread when the work returned or raised.
    """

    def __init__(self, work: Callable[[], T], on_done: Callable[[], object]) -> None:
        self._results: list[T] = []
        self._error: BaseException | None = None
        context = copy_context()  # the caller's hooks may depend on it
        Thread(target=context.run, args=(self._run, work, on_done), name="ticketstub-detached", daemon=True).start()

    def _run(self, work: Callable[[], T], on_done: Callable[[], object]) -> None:
        try:
            self._results.append(work())
        except BaseException as error:  # noqa: BLE001  # `get_result` raises it
            self._error = error
        on_done()

    def get_result(self) -> T:
        """Return what the work returned or raise what it raised. Call this only once the work is done."""
        if self._error is not None:
            raise self._error
        return self._results[0]
