"""How the demonstration is told: sections, requests, records, errors.

Rule: it shows what the client's hooks report and what a program would catch; never a query, a header or a body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

from ticketstub.cli import show
from ticketstub.cli.show import Facts
from ticketstub.errors import PlexError, printable
from ticketstub.wire.http import Request, Response, origin_of


class Story:
    """Tells what happens, as it happens.

    Args:
        places: the name of each address.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._number = 0
        self._unanswered: Request | None = None
        self._asked_at = 0.0

    def introduce(self, text: str) -> None:
        """Print what this is, and the addresses."""
        show.heading(text)
        show.facts((name, url) for url, name in self._places.items())

    def section(self, title: str, more: str = "") -> None:
        """Begin a section."""
        from rich.text import Text

        self._number += 1
        show.console().print(
            Text.assemble(f"\n{self._number}  ", (title, "bold"), (f": {more}" if more else "", "dim"))
        )

    def on_request(self, request: Request) -> None:
        """Remember a request until its answer comes."""
        self._unanswered, self._asked_at = request, perf_counter()

    def on_response(self, request: Request, response: Response, seconds: float) -> None:
        """Print a request and how it was answered."""
        self._unanswered = None
        self._line(request, str(response.status), "green" if response.status < 400 else "red", seconds)

    def _line(self, request: Request, status: str, colour: str, seconds: float) -> None:
        from rich.text import Text

        place = self._places.get(origin_of(request.url), origin_of(request.url))
        took = f"  {seconds * 1000:.1f} ms"
        line = Text.assemble("   ", (request.method, "cyan"), f" {printable(request.path)}  ", (status, colour), took)
        show.console().print(line.append(f"  {place}", "dim"))

    def record(self, kind: str, pairs: Facts) -> None:
        """Print what came back: its class and the fields that matter."""
        from rich.text import Text

        show.console().print(Text(f"   {kind}", style="italic"))
        show.facts(pairs, indent=5)

    def expect(self, call: Callable[[], object]) -> None:
        """Make a call that fails, and print the error as a program sees it."""
        try:
            call()
        except PlexError as error:
            if self._unanswered:
                self._line(self._unanswered, "no answer", "red", perf_counter() - self._asked_at)
            self._error(error)
        else:
            raise AssertionError("this was to fail")

    def _error(self, error: PlexError) -> None:
        kind, parent = type(error).__mro__[:2]
        numbers = " / ".join(str(number) for number in (error.status, error.code) if number is not None)
        facts = [("message", error.message), ("hint", error.hint), ("status / code", numbers)]
        self.record(f"{kind.__name__}, a kind of {parent.__name__}", facts)
