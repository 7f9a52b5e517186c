"""A user who approves sign-ins: the requests, and a standard error that the user reads.

Rule: nothing here comes from the library under test.
"""

import io
import re
import urllib.request
from collections.abc import Callable
from typing import IO
from urllib.parse import quote


def link(plex_tv: str, code: str, token: str) -> int:
    """Approve a PIN as Plex's link page does: a raw request."""
    headers = {"X-Plex-Token": token, "X-Plex-Client-Identifier": "link-page"}
    url = f"{plex_tv}/api/v2/pins/link?code={quote(code)}"
    request = urllib.request.Request(url, b"", headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as answer:
        status: int = answer.status
    return status


class Watched(io.TextIOBase):
    """Standard error that calls a function with each code that is written to it."""

    encoding = "utf-8"

    def __init__(self, under: IO[str], act: Callable[[str], object], *, terminal: bool) -> None:
        self.under = under
        self._act = act
        self._terminal = terminal
        self._line = ""

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        self.under.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if code := re.search(r"^\s*(?:\x1b\S*?m)?\s*code(?: to compare)?\s+(\w+)", _plain(line)):
                self._act(code[1])
        return len(text)

    def flush(self) -> None:
        self.under.flush()


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
