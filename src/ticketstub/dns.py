"""Looks names up without ever waiting longer than asked: the work is done on a daemon thread.

Rule: the system's resolver can stall for half a minute and cannot be interrupted. So nobody waits inside it: the
deadline, Ctrl-C, a cancelled task and the end of the process leave the thread behind, and its answer falls on nobody.
Addresses that need no look-up cost no thread. The clients and the proxy of a local Plex look names up here alone.
"""

from __future__ import annotations

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

# Windows does not interrupt a wait for Ctrl-C: there, and so everywhere, we look up this often.
_POLL_INTERVAL = 0.05


class ResolvedAddress(NamedTuple):
    """One address that a name stands for, ready to be dialled."""

    family: int
    ip: str
    port: int
    scope_id: int = 0

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address as `socket.connect` takes it."""
        return (self.ip, self.port, 0, self.scope_id) if self.family == socket.AF_INET6 else (self.ip, self.port)


Resolver = Callable[[str, int], Sequence[ResolvedAddress]]
"""Turns a host's name and a port into addresses, the best first; may take its time; raises OSError if it has none."""


def resolve_with_system(host: str, port: int) -> list[ResolvedAddress]:
    """Look a name up as the operating system does.

    Raises:
        OSError: there is no such name, or it cannot be asked for.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    return [
        ResolvedAddress(family, str(sockaddr[0]), int(sockaddr[1]), int(sockaddr[3]) if len(sockaddr) == 4 else 0)
        for family, _, _, _, sockaddr in answers
    ]


def look_up(host: str, port: int, resolver: Resolver, deadline: float) -> Sequence[ResolvedAddress]:
    """Return a host's addresses, at least one.

    Args:
        host: a name, or an address in digits.
        port: put into each address.
        resolver: who is asked.
        deadline: when to stop waiting, on the clock of `time.monotonic()`.

    Raises:
        TimeoutError: the deadline passed.
        OSError: the name could not be looked up.
    """
    if (address := _parse_ip(host, port)) is not None:
        return [address]
    return _require_addresses(run_with_deadline(lambda: resolver(host, port), deadline))


async def alook_up(host: str, port: int, resolver: Resolver = resolve_with_system) -> Sequence[ResolvedAddress]:
    """As `look_up`, awaited; cancelling it is how to stop waiting."""
    from asyncio import Event, get_running_loop  # `Plex` loads none of it

    if (address := _parse_ip(host, port)) is not None:
        return [address]
    loop, done = get_running_loop(), Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    task = DetachedTask(lambda: resolver(host, port), wake)
    await done.wait()
    return _require_addresses(task.get_result())


def _parse_ip(host: str, port: int) -> ResolvedAddress | None:
    """Return the address that a host spelt in digits is, `None` for a name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return None
    return ResolvedAddress(family, host, port)


def is_loopback(host: str) -> bool:
    """Tell whether a host, by its name or in digits, is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = parse_ip(host)
    return address is not None and address.is_loopback


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an IP address, without its zone; an IPv4-mapped one as IPv4. Return `None` for anything else."""
    from ipaddress import IPv6Address, ip_address  # few need it

    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _require_addresses(addresses: Sequence[ResolvedAddress]) -> Sequence[ResolvedAddress]:
    """Return the addresses; a name that has none could not be looked up."""
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
    return addresses


def run_with_deadline(work: Callable[[], T], deadline: float) -> T:
    """Do work that nobody can interrupt, and stop waiting for it at the deadline.

    Raises:
        TimeoutError: the deadline passed; the work goes on unseen until it ends by itself.
    """
    done = Event()
    task = DetachedTask(work, done.set)
    while not done.wait(max(0.0, min(_POLL_INTERVAL, deadline - monotonic()))):
        if monotonic() >= deadline:
            raise TimeoutError
    return task.get_result()


class DetachedTask(Generic[T]):
    """Work on a daemon thread of its own.

    Args:
        work: what is done.
        on_done: called on that thread when it is done, well or badly.
    """

    def __init__(self, work: Callable[[], T], on_done: Callable[[], object]) -> None:
        self._results: list[T] = []
        self._error: BaseException | None = None
        context = copy_context()  # what the caller's own hooks look for
        Thread(target=context.run, args=(self._run, work, on_done), name="ticketstub-detached", daemon=True).start()

    def _run(self, work: Callable[[], T], on_done: Callable[[], object]) -> None:
        try:
            self._results.append(work())
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            self._error = error
        on_done()

    def get_result(self) -> T:
        """Return what the work returned or raise what it raised; only once it has ended."""
        if self._error is not None:
            raise self._error
        return self._results[0]
