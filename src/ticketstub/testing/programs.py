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

from ticketstub.local_plex.local_plex import LocalPlex


class Interceptor(contextlib.ExitStack):
    """Leads to one running local Plex. Entering it starts nothing; leaving it ends all that was started.

    Args:
        plex: that one.
    """

    def __init__(self, plex: LocalPlex) -> None:
        super().__init__()
        self._plex = plex
        self._lock = threading.Lock()
        self._variables: dict[str, str] | None = None
        self._closed = False
        self.callback(self._mark_closed)

    def get_variables(self) -> dict[str, str]:
        """Return the variables of a program's environment; the first time, start what they lead to.

        Raises:
            RuntimeError: the local Plex has ended.
        """
        from ticketstub.local_plex.intercept.interception import intercept_traffic  # loaded only to be run
        from ticketstub.local_plex.intercept.variables import ProgramSettings, build_variables  # likewise

        with self._lock:
            if self._closed:
                raise RuntimeError("the local Plex has ended")
            if self._variables is None:
                endpoint = self.enter_context(intercept_traffic(self._plex, {}, offline=True))
                self._variables = build_variables(ProgramSettings(*endpoint, self._plex.url), {})
            return dict(self._variables)

    def _mark_closed(self) -> None:
        self._closed = True


@contextlib.contextmanager
def intercept_this_process(variables: Mapping[str, str]) -> Generator[None, None, None]:
    """Lead what runs in this process for as long as the `with` lasts, and put everything back afterwards.

    Two libraries do not read the variables each time: urllib keeps the opener of its first `urlopen`, and aiohttp the
    certificates of its import. Both are replaced here, if they are loaded.

    Args:
        variables: of the environment, as for a program.
    """
    from unittest import mock  # it loads much

    before = {name: os.environ.get(name) for name in variables}
    with contextlib.ExitStack() as stack:
        stack.callback(_update_environ, before)
        _update_environ(variables)
        if urllib_request := sys.modules.get("urllib.request"):
            stack.enter_context(
                mock.patch.object(urllib_request, "_opener", None)
            )  # one made in the `with` goes by our proxy
        if connector := sys.modules.get("aiohttp.connector"):
            context = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
            stack.enter_context(mock.patch.object(connector, "_SSL_CONTEXT_VERIFIED", context, create=True))
        yield


def _update_environ(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
