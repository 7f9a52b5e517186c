"""Leads the programs of a test, in whatever language, to its local Plex: by a proxy, once that is wanted.

Rule: a test that starts no program pays nothing. What it starts reaches nothing but its local Plex and this machine;
files are in a temporary folder of their own, which goes away with the local Plex, also where the tests were killed.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
import threading
from collections.abc import Generator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

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


@contextlib.contextmanager
def lead_this_process(variables: Mapping[str, str]) -> Generator[None, None, None]:
    """Lead what runs in this process for as long as the `with` lasts, and put everything back afterwards.

    Two libraries do not read the variables each time: urllib keeps the opener of its first `urlopen`, and aiohttp the
    certificates of its import. Both are replaced here, if they are loaded.

    Args:
        variables: of the environment, as for a program.
    """
    before = {name: os.environ.get(name) for name in variables}
    with contextlib.ExitStack() as ends:
        ends.callback(_set, before)
        _set(variables)
        if asking := sys.modules.get("urllib.request"):
            ends.enter_context(_replaced(asking, "_opener", None))
        ends.callback(_forget_opener, "urllib.request" in sys.modules)
        if connector := sys.modules.get("aiohttp.connector"):
            context = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
            ends.enter_context(_replaced(connector, "_SSL_CONTEXT_VERIFIED", context))
        yield


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _replaced(module: ModuleType, name: str, value: object) -> Generator[None, None, None]:
    """Give a module another value for a name that it has, and its own one back."""
    if not hasattr(module, name):  # another version of the library
        yield
        return
    before: object = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _forget_opener(known_before: bool) -> None:
    """Where urllib was loaded within the `with`, its opener goes by a proxy that ends."""
    asking: Any = sys.modules.get("urllib.request")
    if asking and not known_before:
        asking.install_opener(None)
