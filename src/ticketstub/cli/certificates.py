"""The folder of `ticketstub serve --tls`: the certificates that programs in other containers trust.

Rule: it contains only certificates, readable by everybody, because other containers run as other users. Each file is
replaced atomically. A folder with files of these names that Ticketstub did not write is left unchanged.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ticketstub.cli.errors import CommandError
from ticketstub.local_plex.intercept.variables import AUTHORITY_FILE, BUNDLE_FILE, TRUST_STORE_FILE

VALIDITY = timedelta(days=30)
"""How long the authority is valid: containers run longer than a `ticketstub run`."""
FILE_NAMES = (AUTHORITY_FILE, BUNDLE_FILE, TRUST_STORE_FILE)
"""The files in the folder: the authority, a bundle with what this system trusts, and the same for Java."""


class CertificateFolder:
    """Creates an authority, writes its certificates to a folder, and creates the TLS context of the server.

    Args:
        folder: the folder; it is created if it does not exist.
        environ: the environment, which may name a file of further trusted authorities.
        now: the time at which the authority is created.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], now: datetime | None = None) -> None:
        self.folder = folder
        self.expires_at = (now or datetime.now(UTC)) + VALIDITY
        """When the certificates expire."""
        self._environ = environ

    def create_ssl_context(self, names: Sequence[str], other_authorities: bytes = b"") -> ssl.SSLContext:
        """Write the files, and return the TLS context of a server with these names; raises `CommandError`.

        Args:
            names: the names.
            other_authorities: further authorities that the local Plex uses, as PEM.
        """
        from ticketstub.local_plex.intercept.authority import create_server_context, issue_certificate

        issued = issue_certificate(names, self.expires_at - VALIDITY, VALIDITY)
        try:
            self._write_files(issued.authority + other_authorities)
        except OSError as error:
            raise CommandError(f"{self.folder} cannot be written: {error.strerror}") from None
        with tempfile.TemporaryDirectory() as private:
            return create_server_context(issued, Path(private))

    def _write_files(self, authority: bytes) -> None:
        """Write the files, unless one of them exists that Ticketstub did not write; raises `CommandError`."""
        from ticketstub.local_plex.intercept.authority import is_ticketstub_authority
        from ticketstub.local_plex.intercept.interception import write_trust_files

        if not self.folder.exists():
            self.folder.mkdir()
            self.folder.chmod(0o755)  # independent of the umask
        existing = {name: (self.folder / name).read_bytes() for name in FILE_NAMES if (self.folder / name).exists()}
        ours = {name for name in (AUTHORITY_FILE, BUNDLE_FILE) if is_ticketstub_authority(existing.get(name, b""))}
        # Java's file does not show who wrote it: it counts as ours if another one is.
        foreign = [name for name in existing if name not in ours and not (name == TRUST_STORE_FILE and ours)]
        if foreign:
            raise CommandError(
                f"{self.folder} has a {foreign[0]} that Ticketstub did not write: name another folder, or an empty one"
            )
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.folder) as temporary:
            write_trust_files(Path(temporary), authority, exclusive=False, environ=self._environ)
            for name in FILE_NAMES:
                Path(temporary, name).chmod(0o644)  # readable by the users of other containers
                Path(temporary, name).replace(self.folder / name)
