"""How the pages say things: how long ago, how long still, what a device is called.

Rule: what clients say of themselves is somebody else's text: printable, and at most 128 characters of it.
"""

from __future__ import annotations

from ticketstub.errors import printable

_LONGEST = 128
_UNITS = ((24 * 3600, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def shown(text: str | None) -> str:
    """Make somebody else's text fit to show; empty where there is none."""
    return printable(text or "")[:_LONGEST]


def ago(seconds: int) -> str:
    """Say how long ago something was: `23 seconds ago`."""
    return f"{span(seconds)} ago" if seconds > 0 else "just now"


def span(seconds: int) -> str:
    """Say how long something takes, in one unit, rounded down: `2 minutes`."""
    for size, unit in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "a moment"


def wait(seconds: int) -> str:
    """Say how long to wait, in one unit, rounded up."""
    size = next((size for size, _unit in _UNITS if seconds >= size), 1)
    return span(-(-seconds // size) * size)
