"""Opening an address in this computer's browser, for a `Do` step.

Rule: a browser that runs in the terminal would take it from the program, so it counts as none.
"""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from typing import TypeAlias

OpenBrowser: TypeAlias = Callable[[str], object]
"""Opens an address; returns `False` where that is not possible."""


def opened(how: bool | OpenBrowser, url: str) -> bool:
    """Open an address and tell whether that worked.

    Args:
        how: the function that does it; `True` for this computer's browser, `False` for not at all.
        url: the address.
    """
    if how is True:
        return _opened(url)
    return how is not False and how(url) is not False


def _opened(url: str) -> bool:
    try:
        browser = webbrowser.get()
        return type(browser) is not webbrowser.GenericBrowser and browser.open(url)
    except (webbrowser.Error, OSError):
        return False
