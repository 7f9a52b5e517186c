"""The folder of `ticketstub serve --tls`: what the programs of other containers are to trust.

Rule: only certificates are in it, and everybody may read them: other containers run as other users. Each file appears
whole. A folder that holds somebody else's files of these names is left alone.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ticketstub.cli.failures import Complaint
from ticketstub.local_plex.intercept.variables import AUTHORITY, BUNDLE, TRUST_STORE

LASTS = timedelta(days=30)
"""How long the authority of a local Plex that serves is good for: containers live longer than runs."""
FILES = (AUTHORITY, BUNDLE, TRUST_STORE)
"""What is in the folder: the authority, the same with what is trusted here, and that for Java."""


class Certificates:
    """Makes an authority, writes what is to be trusted into a folder, and gives what TLS is spoken with.

    Args:
        folder: where to; it is made where there is none.
        environ: may name a file with who else is trusted.
        now: when the authority is made.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], now: datetime | None = None) -> None:
        self.folder = folder
        self.until = (now or datetime.now(UTC)) + LASTS
        """When the certificates end."""
        self._environ = environ

    def context(self, names: Sequence[str]) -> ssl.SSLContext:
        """Write the files, and return what a server shows with these names; raises `Complaint`."""
        from ticketstub.local_plex.intercept.authority import issue_for_run, server_context

        issued = issue_for_run(names, self.until - LASTS, LASTS)
        try:
            self._write(issued.authority)
        except OSError as error:
            raise Complaint(f"{self.folder} cannot be written to: {error.strerror}") from None
        with tempfile.TemporaryDirectory() as private:
            return server_context(issued, Path(private))

    def _write(self, authority: bytes) -> None:
        """Write the files, but into no folder in which one of them is not ours; raises `Complaint`."""
        from ticketstub.local_plex.intercept.authority import is_ours
        from ticketstub.local_plex.intercept.interception import fill

        if not self.folder.exists():
            self.folder.mkdir()
            self.folder.chmod(0o755)  # whatever the umask is
        there = {name: (self.folder / name).read_bytes() for name in FILES if (self.folder / name).exists()}
        ours = {name for name in (AUTHORITY, BUNDLE) if is_ours(there.get(name, b""))}
        # Java's cannot be told by itself: it is ours where another one is.
        strange = [name for name in there if name not in ours and not (name == TRUST_STORE and ours)]
        if strange:
            raise Complaint(f"{self.folder} has a {strange[0]} that is not ours: name another folder, or an empty one")
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder) as new:
            fill(Path(new), authority, alone=False, environ=self._environ)
            for name in FILES:
                Path(new, name).chmod(0o644)  # public, for the users of other containers
                Path(new, name).replace(self.folder / name)
