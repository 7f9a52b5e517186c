"""Direct the programs that a test starts, in any language, to its local Plex. The proxy for this starts on first use.

Rule: a test that starts no program pays nothing. The programs reach only their local Plex and this machine. The files
are in a temporary folder that is removed with the local Plex, even when the tests are killed.
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
    """Intercepts traffic for one running local Plex. Entering it starts nothing; leaving it stops what it started.

    Args:
        plex: the running local Plex.
    """

    def __init__(self, plex: LocalPlex) -> None:
        super().__init__()
        self._plex = plex
        self._lock = threading.Lock()
        self._variables: dict[str, str] | None = None
        self._stopped = threading.Event()
        self.callback(self._stopped.set)

    def get_variables(self) -> dict[str, str]:
        """Return the environment variables for a program. The first call starts the proxy.

        Raises:
            RuntimeError: the local Plex has stopped.
        """
        from ticketstub.local_plex.intercept.interception import intercept_traffic  # loaded only when used
        from ticketstub.local_plex.intercept.variables import build_variables  # as above

        with self._lock:
            if self._stopped.is_set():
                raise RuntimeError("the local Plex has stopped")
            if self._variables is None:
                settings = self.enter_context(intercept_traffic(self._plex, self._plex.enable_tls, {}, offline=True))
                self._variables = build_variables(settings, {})
            return dict(self._variables)


@contextlib.contextmanager
def intercept_this_process(variables: Mapping[str, str]) -> Generator[None, None, None]:
    """Direct this process for as long as the `with` block lasts, and restore everything afterwards.

    Two libraries do not read the variables each time: urllib keeps the opener of its first `urlopen`, and aiohttp keeps
    the certificates that it loaded on import. Both are replaced here, if they are loaded.

    Args:
        variables: the environment variables, as for a program.
    """
    from unittest import mock  # slow to import

    with contextlib.ExitStack() as stack:
        stack.callback(os.environ.update, {name: os.environ[name] for name in variables if name in os.environ})
        for name in variables.keys() - os.environ.keys():
            stack.callback(os.environ.pop, name, None)
        os.environ.update(variables)
        if urllib_request := sys.modules.get("urllib.request"):
            # An opener that is made inside the block uses the proxy.
            stack.enter_context(mock.patch.object(urllib_request, "_opener", None))
        if connector := sys.modules.get("aiohttp.connector"):
            context = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
            stack.enter_context(mock.patch.object(connector, "_SSL_CONTEXT_VERIFIED", context, create=True))
        yield
