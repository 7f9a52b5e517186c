"""Media servers' addresses in words: how a server was reached, what became of each address, and what to do about it.

Rule: an address is shown, a token never. Several servers are asked at the same time, and one that cannot be reached
ends nothing.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ticketstub.cli import output
from ticketstub.cli.prompts import is_terminal
from ticketstub.errors import PlexError, ServerUnreachable
from ticketstub.refusals import Unauthorized

if TYPE_CHECKING:
    from ticketstub import AddressReport, ServerRoute

T = TypeVar("T")
R = TypeVar("R")

_MAX_THREADS = 16
_POLL_INTERVAL = 0.05  # on Windows, Ctrl-C does not interrupt a wait

FATES: dict[str, tuple[str, str | None]] = {
    "reachable": ("reachable", None),
    "refused": ("connection refused", "is the server running, and is this its port?"),
    "no_answer": ("no answer", "is the server switched on, and does a firewall allow this port?"),
    "no_route": ("no route to it", "this computer is on another network"),
    "dns": ("its name cannot be looked up", "check the name servers of this computer"),
    "certificate_expired": (
        "its certificate is not valid now",
        "check this computer's clock; if it is right, restart the media server, which gets itself a new certificate",
    ),
    "certificate_name": (
        "its certificate is for another name",
        "something else answers there: does a proxy, a router or another server have this address?",
    ),
    "certificate_untrusted": (
        "its certificate is not trusted",
        "a proxy or virus scanner may open the connection; to trust its authority, name its file in SSL_CERT_FILE",
    ),
    "tls": ("TLS failed", "does the server, or a proxy before it, speak TLS on this port?"),
    "wrong_server": (
        "another media server answers there",
        "plex.tv's list is out of date: restart the media server, or remove the address from its settings",
    ),
    "not_plex": ("something else answers there", "if it is a login page, sign in to this network first"),
    "http_not_allowed": ("not encrypted", None),
    "never_dialled": ("not an address of a media server", None),
    "token_refused": ("the server refuses the token", "is the server still shared with this account?"),
    "streaming_refused": (
        "the server refuses access from outside its network",
        "this may need a subscription of its owner or of yours",
    ),
    "failed": ("failed", None),
    "not_tried": ("not tried", None),
}
"""What became of an address (`AddressReport.fate`), in words, and what to do about it."""

_OTHER_PROGRAMS = "Ticketstub dials the address in the name, but other Plex programs look it up"
LOOKUPS: dict[str, tuple[str, str]] = {
    "fails": (
        "names below plex.direct cannot be looked up here",
        f"{_OTHER_PROGRAMS}: check the name servers of this computer",
    ),
    "removed": (
        "the router or name server removes private addresses from its answers (DNS rebinding protection)",
        f"{_OTHER_PROGRAMS}: make an exception for plex.direct in the router or name server",
    ),
    "differs": (
        "a name below plex.direct leads to another address than the one in it",
        f"{_OTHER_PROGRAMS}: check the hosts file and the router",
    ),
}
"""What is wrong with the look-ups of names below plex.direct (`AddressReport.dns`), in words, and what to do."""


class Outcome(NamedTuple):
    """What asking one server gave: how it was reached or what became of each address; else why not, in words."""

    route: ServerRoute | None = None
    reports: tuple[AddressReport, ...] = ()
    reason: str | None = None


def format_milliseconds(milliseconds: float | None) -> str:
    """Format a duration: `12 ms`; empty if it is not known."""
    return "" if milliseconds is None else f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def format_kind(found: ServerRoute | AddressReport) -> str:
    """Format where an address is: `local`, `remote, IPv6`, `relay (limited bandwidth)`."""
    kind = "relay (limited bandwidth)" if found.kind == "relay" else found.kind
    return f"{kind}, IPv6" if found.family == "ipv6" else kind


def format_route(route: ServerRoute) -> str:
    """Format how a server was reached: `local, remembered from last time`."""
    reason = {
        "remembered": ", remembered from last time",
        "first": ", the first to answer; others may be better",
    }.get(route.reason, "")
    offline = "; plex.tv did not answer" if route.is_offline else ""
    return f"{format_kind(route)}{reason}{offline}"


def format_fate(report: AddressReport) -> str:
    """Format what became of an address: `local: reachable in 12 ms`, `remote: no answer`."""
    text, _ = FATES[report.fate]
    if report.fate == "reachable":
        text = f"reachable in {format_milliseconds(report.milliseconds)}"
    elif report.fate in {"failed", "never_dialled"}:
        text = report.detail
    elif report.fate == "http_not_allowed":
        text = report.detail.replace("allow_http permits", "--allow-http permits")
    return f"{format_kind(report)}: {text}"


def explain_failure(error: PlexError) -> str:
    """Return why a server could not be connected to, in words: `no answer (2), connection refused`."""
    if isinstance(error, ServerUnreachable) and error.addresses:
        return count_fates(error.addresses)
    if isinstance(error, Unauthorized):
        return FATES["token_refused"][0]
    return error.message


def count_fates(reports: Iterable[AddressReport]) -> str:
    """Return what became of several addresses, in words."""
    counts = Counter(FATES[report.fate][0] for report in reports)
    return ", ".join(f"{text} ({count})" if count > 1 else text for text, count in counts.items())


def ask_each(
    items: Sequence[T], ask: Callable[[T], Outcome], on_progress: Callable[[int], object] = lambda _: None
) -> list[Outcome]:
    """Ask several servers at the same time, and return what each gave, in their order.

    Args:
        items: the servers.
        ask: asks one of them; a `PlexError` becomes the reason of its outcome.
        on_progress: called with the number of those that are done.
    """
    waiting: Queue[tuple[int, T]] = Queue()
    finished: Queue[tuple[int, Outcome | BaseException]] = Queue()
    for each in enumerate(items):
        waiting.put(each)

    def work() -> None:
        while True:
            try:
                number, item = waiting.get_nowait()
            except Empty:
                return
            try:
                finished.put((number, ask(item)))
            except PlexError as error:
                finished.put((number, Outcome(reason=explain_failure(error))))
            except BaseException as error:  # noqa: BLE001  # it is raised where the results are waited for
                finished.put((number, error))

    for _ in range(min(len(items), _MAX_THREADS)):
        Thread(target=work, name="ticketstub-server", daemon=True).start()  # Ctrl-C waits for none
    return _collect(finished, len(items), on_progress)


def _collect(
    finished: Queue[tuple[int, Outcome | BaseException]], count: int, on_progress: Callable[[int], object]
) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    while len(outcomes) < count:
        try:
            number, outcome = finished.get(timeout=_POLL_INTERVAL)
        except Empty:
            continue
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes[number] = outcome
        on_progress(len(outcomes))
    return [outcomes[number] for number in range(count)]


@contextmanager
def show_progress(text: str, count: int = 0) -> Generator[Callable[[int], object]]:
    """Show a text on a terminal, on standard error, as long as the `with` block lasts.

    Args:
        text: what is being done.
        count: of how many it is done; what is yielded is called with the number of those that are.
    """

    def render(number: int) -> str:
        return f"{text}: {number} of {count}" if count else text

    out = output.create_console(sys.stderr)
    if not is_terminal(sys.stderr) or out.is_dumb_terminal:
        yield lambda _: None
        return
    with out.status(render(0)) as status:
        yield lambda number: status.update(render(number))


def print_reports(reports: Sequence[AddressReport], *, indent: int = 2) -> None:
    """Print addresses; below each, what became of it and, once, what to do about it."""
    shown: set[str | None] = {None}
    for report in reports:
        output.print_line(report.url, indent=indent)
        output.print_line(format_fate(report), indent=indent + 2)
        if (advice := FATES[report.fate][1]) not in shown:
            output.print_line(f"hint: {advice}", indent=indent + 2)
        shown.add(advice)


def find_lookup_faults(reports: Iterable[AddressReport]) -> list[tuple[str, str]]:
    """Return what is wrong with the look-ups of names below plex.direct, and what to do about it."""
    found = {report.dns for report in reports}
    return [fault for finding, fault in LOOKUPS.items() if finding in found]
