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

from ticketstub.cli.failures import CommandError
from ticketstub.local_plex.intercept.variables import AUTHORITY_FILE, BUNDLE_FILE, TRUST_STORE_FILE

VALIDITY = timedelta(days=30)
"""How long the authority of a local Plex that serves is good for: containers live longer than runs."""
FILE_NAMES = (AUTHORITY_FILE, BUNDLE_FILE, TRUST_STORE_FILE)
"""What is in the folder: the authority, the same with what is trusted here, and that for Java."""


class CertificateFolder:
    """Makes an authority, writes what is to be trusted into a folder, and gives what TLS is spoken with.

    Args:
        folder: where to; it is made where there is none.
        environ: may name a file with who else is trusted.
        now: when the authority is made.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], now: datetime | None = None) -> None:
        self.folder = folder
        self.expires_at = (now or datetime.now(UTC)) + VALIDITY
        """When the certificates end."""
        self._environ = environ

    def create_ssl_context(self, names: Sequence[str]) -> ssl.SSLContext:
        """Write the files, and return what a server shows with these names; raises `CommandError`."""
        from ticketstub.local_plex.intercept.authority import create_server_context, issue_certificate

        issued = issue_certificate(names, self.expires_at - VALIDITY, VALIDITY)
        try:
            self._write_files(issued.authority)
        except OSError as error:
            raise CommandError(f"{self.folder} cannot be written to: {error.strerror}") from None
        with tempfile.TemporaryDirectory() as private:
            return create_server_context(issued, Path(private))

    def _write_files(self, authority: bytes) -> None:
        """Write the files, but into no folder in which one of them is not ours; raises `CommandError`."""
        from ticketstub.local_plex.intercept.authority import is_ticketstub_authority
        from ticketstub.local_plex.intercept.interception import write_trust_files

        if not self.folder.exists():
            self.folder.mkdir()
            self.folder.chmod(0o755)  # whatever the umask is
        existing = {name: (self.folder / name).read_bytes() for name in FILE_NAMES if (self.folder / name).exists()}
        ours = {name for name in (AUTHORITY_FILE, BUNDLE_FILE) if is_ticketstub_authority(existing.get(name, b""))}
        # Java's cannot be told by itself: it is ours where another one is.
        foreign = [name for name in existing if name not in ours and not (name == TRUST_STORE_FILE and ours)]
        if foreign:
            raise CommandError(
                f"{self.folder} has a {foreign[0]} that is not ours: name another folder, or an empty one"
            )
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder) as temporary:
            write_trust_files(Path(temporary), authority, exclusive=False, environ=self._environ)
            for name in FILE_NAMES:
                Path(temporary, name).chmod(0o644)  # public, for the users of other containers
                Path(temporary, name).replace(self.folder / name)
