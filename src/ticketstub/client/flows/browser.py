"""Showing a person what to do: opening an address in this computer's browser, or printing a text on the terminal.

Rule: a browser that runs in the terminal would take it from the program, so it counts as none; a program that the
variable BROWSER names is used. A browser that does not come back has opened.
"""

from __future__ import annotations

import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import PurePath
from typing import TypeAlias

from ticketstub.dns import run_with_deadline

OpenBrowser: TypeAlias = Callable[[str], object]
"""Opens an address; returns `False` where that is not possible."""

_TERMINAL_BROWSERS = {"www-browser", "links", "links2", "elinks", "lynx", "w3m", "browsh"}
_START_TIMEOUT = 3.0
"""How many seconds a browser has to say that it cannot be opened (ours)."""


def open_browser(opener: bool | OpenBrowser, url: str, timeout: float = _START_TIMEOUT) -> bool:
    """Open an address and tell whether that worked.

    Args:
        opener: the function that does it; `True` for this computer's browser, `False` for not at all.
        url: the address.
        timeout: how many seconds this computer's browser has to say that it cannot be opened.
    """
    if opener is not True:
        return opener is not False and opener(url) is not False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser and PurePath(browser.name).stem in _TERMINAL_BROWSERS:
        return False
    try:  # some stay until their window is closed, and the library waits for them
        return run_with_deadline(lambda: browser.open(url), time.monotonic() + timeout)
    except TimeoutError:
        return True
    except (webbrowser.Error, OSError, ValueError):
        return False


def write_to_terminal(text: str) -> bool:
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
