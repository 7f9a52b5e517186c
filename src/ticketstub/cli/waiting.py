"""What somebody sees who signs in with a browser or a code: address, picture, code, and the time that is left.

Rule: all of it goes to standard error, so that results stand alone. On a terminal a line counts down and is gone
afterwards; in a pipe nothing moves. The address is always written out, to be copied.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from ticketstub.cli import show
from ticketstub.cli.over import REASONS
from ticketstub.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from ticketstub.flows.begun import Begun


class Waiting:
    """Shows a begun sign-in, and that it is waited for.

    Args:
        typed: whether the code is to be typed, and not the address to be opened.
        patience: after how many seconds the command gives up, if before the PIN's own time.
        clock: seconds that only ever grow.
        now: epoch seconds.
    """

    def __init__(
        self,
        *,
        typed: bool,
        patience: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._typed = typed
        self._patience = patience
        self._clock = clock
        self._now = now
        self._ends = 0.0
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, begun: Begun) -> None:
        """Show it, and begin to count down."""
        out = show.console(sys.stderr)
        if reason := REASONS.get(begun.because):
            out.print(f"The sign-in that was kept no longer works: {reason}.\n")
        self._tell(out, begun)
        left = max(begun.expires_at.timestamp() - self._now(), 0.0)
        self._ends = self._clock() + min(left, self._patience if self._patience is not None else left)
        if _can_draw(out):
            self._count_down(out)
        else:
            out.print(f"Waiting for the approval, {_about(self._left())} at most.")
            out.file.flush()

    def _tell(self, out: Console, begun: Begun) -> None:
        from rich.text import Text

        url, code = printable(begun.url, 2000), printable(begun.code)
        picture = begun.qr() if _can_draw(out) else ""
        if self._typed:
            out.print("To sign in, open this page on any device and type the code:\n")
            out.print(Text(f"  {printable(begun.link_page, 500)}"))
            out.print(Text.assemble("  code  ", (code, "bold")))
            out.print(Text(f"\nor, with the code in it:  {url}"))
        else:
            out.print("To sign in, open this page, here or on another device:\n")
            out.print(Text(f"  {url}"))
            out.print(Text.assemble("\n  code to compare  ", (code, "bold")))
        if picture and max(map(len, picture.splitlines())) <= out.width:
            out.print(f"\n{picture}", end="")
        out.print()

    def _count_down(self, out: Console) -> None:
        from rich.live import Live

        self._live = Live(get_renderable=self._line, console=out, refresh_per_second=4, transient=True)
        self._live.start()

    def _line(self) -> Text:
        from rich.text import Text

        return Text(f"Waiting: {_span(self._left())} left (Ctrl-C gives up)", style="dim")

    def _left(self) -> float:
        return max(self._ends - self._clock(), 0.0)


def _can_draw(out: Console) -> bool:
    return out.is_terminal and not out.is_dumb_terminal  # of a dumb one not even the width is known


def opened_in_browser(url: str) -> bool:
    """Open an address in this computer's browser and say so; tell whether that worked."""
    from ticketstub.flows.browser import opened

    there = opened(True, url)  # noqa: FBT003  # the function's own meaning of true
    if there:
        print("Your browser was asked to open it.", file=sys.stderr, flush=True)
    return there


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def _about(seconds: float) -> str:
    return f"{math.ceil(seconds / 60)} minutes" if seconds > 60 else f"{math.ceil(seconds)} s"
