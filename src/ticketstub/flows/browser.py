"""Showing a person what to do: an address in this computer's browser, or a text on the terminal; for a `Do` step.

Rule: a browser that runs in the terminal would take it from the program, so it counts as none; a program that the
variable BROWSER names is used. A browser that does not come back has opened.
"""

from __future__ import annotations

import queue
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePath
from typing import TypeAlias

OpenBrowser: TypeAlias = Callable[[str], object]
"""Opens an address; returns `False` where that is not possible."""

_IN_THE_TERMINAL = {"www-browser", "links", "links2", "elinks", "lynx", "w3m", "browsh"}
_STARTING = 3.0
"""How many seconds a browser has to say that it cannot be opened (ours)."""


def opened(how: bool | OpenBrowser, url: str) -> bool:
    """Open an address and tell whether that worked.

    Args:
        how: the function that does it; `True` for this computer's browser, `False` for not at all.
        url: the address.
    """
    if how is True:
        return _opened(url)
    return how is not False and how(url) is not False


def _opened(url: str, patience: float = _STARTING) -> bool:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser and PurePath(browser.name).stem in _IN_THE_TERMINAL:
        return False
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def start() -> None:
        there = False
        with suppress(webbrowser.Error, OSError, ValueError):
            there = browser.open(url)
        answers.put(there)

    # Some stay until their window is closed, and the library waits for them.
    threading.Thread(target=start, name="ticketstub browser", daemon=True).start()
    try:
        return answers.get(timeout=patience)
    except queue.Empty:
        return True


def tell_terminal(text: str) -> bool:
    """Write to standard error if that is a terminal, and tell whether it is: for a person who has to act.

    This is all that the library ever writes by itself, and `on_code` takes its place.
    """
    stream = sys.stderr
    if stream is None or stream.closed or not stream.isatty():  # pyright: ignore[reportUnnecessaryComparison]  # it is None in a program without a console
        return False
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        return False
    return True
