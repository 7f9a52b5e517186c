"""Leads the programs of a test, in whatever language, to its local Plex: by a proxy, once that is wanted.

Rule: a test that starts no program pays nothing. What it starts reaches nothing but its local Plex and this machine;
files are in a temporary folder of their own, which goes away with the local Plex, also where the tests were killed.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ticketstub.server.local_plex import LocalPlex


class Lead(contextlib.AbstractContextManager["Lead"]):
    """Leads to one running local Plex. Entering it starts nothing; leaving it ends all that was started.

    Args:
        plex: that one.
    """

    def __init__(self, plex: LocalPlex) -> None:
        self._plex = plex
        self._lock = threading.Lock()
        self._endings = contextlib.ExitStack()
        self._variables: dict[str, str] | None = None
        self._over = False

    def variables(self) -> dict[str, str]:
        """Return the variables of a program's environment; the first time, start what they lead to.

        Raises:
            RuntimeError: the local Plex has ended.
        """
        with self._lock:
            if self._over:
                raise RuntimeError("the local Plex has ended")
            if self._variables is None:
                self._variables = self._begin()
            return dict(self._variables)

    def _begin(self) -> dict[str, str]:
        from ticketstub.server.proxy.leading import leading  # loaded only to be run
        from ticketstub.server.proxy.variables import Pointing, variables  # likewise

        way = self._endings.enter_context(leading(self._plex, {}, offline=True))
        return variables(Pointing(*way, self._plex.url), {})

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        with self._lock:
            self._over = True
            self._endings.close()
