"""Leads programs to one running local Plex: an authority, files, and a proxy, put together and taken away again.

Rule: programs have to be told two things, the proxy and the authority; `variables.py` says how each language is. The
folder of a run is readable by its owner only. It holds no key, and one secret: the proxy's address, for other shells.
It goes away whatever happens to the command: a process that waits for its end removes what is left.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ticketstub.local_plex.domain.media_servers import derive_plex_direct_id
from ticketstub.local_plex.intercept.authority import create_server_context, issue_certificate
from ticketstub.local_plex.intercept.hosts import HostPort, HostTable
from ticketstub.local_plex.intercept.proxy import ConnectionEvent, ProxyServer, UpstreamProxy
from ticketstub.local_plex.intercept.variables import (
    AUTHORITY_FILE,
    BUNDLE_FILE,
    PROXY_FILE,
    TRUST_STORE_FILE,
    TRUST_STORE_PASSWORD,
)

if TYPE_CHECKING:
    import ssl

    from ticketstub.local_plex.local_plex import LocalPlex

_TLS_FAILED = "TLS could not be agreed on: perhaps the program does not trust the run's authority"
_CLEANUP_SCRIPT = "import shutil, sys; sys.stdin.buffer.read(); shutil.rmtree(sys.argv[1], ignore_errors=True)"
_KNOWN_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


class Interception(NamedTuple):
    """What programs are told: the proxy's address, and the file with the authority."""

    proxy: str
    authority: Path


@contextmanager
def intercept_traffic(
    plex: LocalPlex,
    environ: Mapping[str, str],
    *,
    offline: bool,
    upstream: UpstreamProxy | None = None,
    on_event: Callable[[ConnectionEvent], None] | None = None,
) -> Generator[Interception, None, None]:
    """Lead programs to a running local Plex for as long as the `with` lasts.

    Args:
        plex: that one.
        environ: what they would have without it: it says who else is trusted, and where folders of programs belong.
        offline: whether everything that is not Plex's is refused, loopback excepted; nobody else is trusted then.
        upstream: the proxy by which everything else is reached.
        on_event: told what became of each connection.
    """
    hosts = build_host_table(plex, offline=offline)
    names = {server.port: server.https_url.removeprefix("https://") for server in plex.media_servers}

    def report_tls_failure(port: int) -> None:
        if on_event is not None:
            on_event(ConnectionEvent(target=names.get(port, "plex.tv:443"), outcome="failed", reason=_TLS_FAILED))

    with create_run_folder(environ) as folder:
        plex.enable_tls(
            create_run_context(hosts.certificate_names, folder, environ, exclusive=offline), report_tls_failure
        )
        proxy = ProxyServer(hosts, upstream=upstream, on_event=on_event)
        with proxy.run_in_thread():
            address_file = folder / PROXY_FILE  # where `ticketstub env` finds it; its secret is on no command line then
            address_file.touch(0o600)
            address_file.write_text(proxy.url, "utf-8")
            yield Interception(proxy.url, folder / AUTHORITY_FILE)


def build_host_table(plex: LocalPlex, *, offline: bool) -> HostTable:
    """Return the hosts of a running local Plex."""
    servers = {
        derive_plex_direct_id(server.machine_identifier): HostPort(server.host, server.port)
        for server in plex.media_servers
    }
    own = urlsplit(plex.url)
    return HostTable(HostPort(own.hostname or "", own.port or 0), servers, offline=offline)


def create_run_context(
    names: Iterable[str], folder: Path, environ: Mapping[str, str], *, exclusive: bool
) -> ssl.SSLContext:
    """Make an authority, write what programs are to trust into the run's folder, and return what TLS is spoken with."""
    issued = issue_certificate(names, datetime.now(UTC))
    write_trust_files(folder, issued.authority, exclusive=exclusive, environ=environ)
    return create_server_context(issued, folder)


@contextmanager
def create_run_folder(environ: Mapping[str, str]) -> Generator[Path, None, None]:
    """Make a folder for as long as the `with` lasts, or this process does.

    Args:
        environ: may say where folders of running programs belong.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    is_usable = os.path.isabs(runtime) and os.path.isdir(runtime) and os.access(runtime, os.W_OK)  # noqa: PTH112, PTH117  # it may be any text
    path = Path(runtime if is_usable else tempfile.gettempdir(), f"ticketstub-run-{secrets.token_hex(8)}")
    # It is there before the folder is. A session of its own: no terminal's signal ends it early.
    cleaner = subprocess.Popen(  # noqa: S603  # ourselves
        [sys.executable, "-I", "-S", "-c", _CLEANUP_SCRIPT, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=path.parent,
        start_new_session=True,
    )
    try:
        path.mkdir(0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        # Not waited for by itself: a process that was forked meanwhile has the other end of its pipe, too.
        cleaner.kill()
        cleaner.communicate()


def write_trust_files(folder: Path, authority: bytes, *, exclusive: bool, environ: Mapping[str, str]) -> None:
    """Write the files that programs are to trust.

    Args:
        folder: where to.
        authority: the run's authority as PEM.
        exclusive: whether nobody else is to be trusted.
        environ: may name a file with who else is.
    """
    bundle = authority if exclusive else b"\n".join([authority, read_trusted_authorities(environ)])
    for name, content in (
        (AUTHORITY_FILE, authority),
        (BUNDLE_FILE, bundle),
        (TRUST_STORE_FILE, _build_java_trust_store(bundle)),
    ):
        (folder / name).write_bytes(content)


def read_trusted_authorities(environ: Mapping[str, str]) -> bytes:
    """Return, as PEM, the authorities that programs of this machine trust."""
    import ssl

    configured = [environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    for path in [*configured, ssl.get_default_verify_paths().cafile, *_KNOWN_BUNDLES]:
        if path and os.path.isfile(path):  # noqa: PTH113  # it may be any text
            return Path(path).read_bytes()
    stored = ssl.create_default_context().get_ca_certs(binary_form=True)  # Windows keeps them elsewhere
    return "".join(map(ssl.DER_cert_to_PEM_cert, stored)).encode()


def _build_java_trust_store(bundle: bytes) -> bytes:
    """Write certificates as Java reads them; those that are no proper certificates are left out."""
    import warnings

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    end = b"-----END CERTIFICATE-----"
    found: list[pkcs12.PKCS12Certificate] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old authorities have odd numbers, which is not for us to complain about
        for piece in bundle.split(end)[:-1]:
            try:
                certificate = x509.load_pem_x509_certificate(piece + end)
            except ValueError:
                continue
            found.append(pkcs12.PKCS12Certificate(certificate, b"%d" % len(found)))
        return pkcs12.serialize_java_truststore(found, BestAvailableEncryption(TRUST_STORE_PASSWORD.encode()))
