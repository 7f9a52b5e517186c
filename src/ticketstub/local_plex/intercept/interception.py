"""Redirecting programs to a running local Plex: an authority, its files and a proxy, set up and removed again.

Rule: programs need to know the proxy and the authority; `variables.py` has the variables of each language. Only its
owner can read the folder of a run. It contains no key, and one secret: the proxy's URL, for other shells. It is removed
whatever happens to the command: a separate process waits for the command's end and removes what is left.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ticketstub import private_files
from ticketstub.local_plex.domain.media_servers import derive_plex_direct_id
from ticketstub.local_plex.intercept.authority import create_server_context, issue_certificate
from ticketstub.local_plex.intercept.proxy import ConnectionEvent, ProxyServer, UpstreamProxy
from ticketstub.local_plex.intercept.request import HostPort, HostTable
from ticketstub.local_plex.intercept.variables import (
    AUTHORITY_FILE,
    BUNDLE_FILE,
    PROXY_FILE,
    TRUST_STORE_FILE,
    TRUST_STORE_PASSWORD,
    ProgramSettings,
)
from ticketstub.local_plex.listeners import Listeners

if TYPE_CHECKING:
    import ssl

_TLS_FAILED = "the TLS handshake failed: perhaps the program does not trust the run's authority"
_CLEANUP_SCRIPT = "import shutil, sys; sys.stdin.buffer.read(); shutil.rmtree(sys.argv[1], ignore_errors=True)"
_KNOWN_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


@contextmanager
def intercept_traffic(
    plex: Listeners,
    enable_tls: Callable[[ssl.SSLContext, Callable[[int], None]], None],
    environ: Mapping[str, str],
    *,
    offline: bool,
    upstream: UpstreamProxy | None = None,
    on_event: Callable[[ConnectionEvent], None] = lambda _event: None,
) -> Generator[ProgramSettings, None, None]:
    """Redirect programs to a running local Plex for as long as the `with` lasts.

    Args:
        plex: the addresses of the local Plex.
        enable_tls: makes its ports answer HTTPS too; takes a context, and a function that is called with the port
            of each failed handshake.
        environ: the programs' original environment; it may name other authorities and the folder for runtime files.
        offline: whether to refuse everything but Plex's hosts and loopback; then no other authority is trusted.
        upstream: the proxy to use for all other hosts.
        on_event: called with the outcome of each connection.
    """
    from ticketstub.local_plex.http.server import run_in_thread  # loaded when needed

    hosts = build_host_table(plex, offline=offline)
    names = {server.port: server.https_url.removeprefix("https://") for server in plex.media_servers}

    def report_tls_failure(port: int) -> None:
        on_event(ConnectionEvent(target=names.get(port, "plex.tv:443"), outcome="failed", reason=_TLS_FAILED))

    with create_run_folder(environ) as folder:
        context = create_run_context(
            hosts.certificate_names, plex.address_authority, folder=folder, environ=environ, exclusive=offline
        )
        enable_tls(context, report_tls_failure)
        proxy = ProxyServer(hosts, upstream=upstream, on_event=on_event)
        with run_in_thread(proxy.serve, "ticketstub-proxy"):
            # For `ticketstub env`, so that no command line has the secret.
            private_files.write(folder / PROXY_FILE, proxy.url.encode(), sync=False)
            yield ProgramSettings(proxy.url, folder / AUTHORITY_FILE, plex.url)


def build_host_table(plex: Listeners, *, offline: bool) -> HostTable:
    """Return the hosts of a running local Plex."""
    servers = {
        derive_plex_direct_id(server.machine_identifier): HostPort(server.host, server.port)
        for server in plex.media_servers
    }
    return HostTable(HostPort(plex.host, plex.port), servers, offline=offline, addresses=plex.addresses)


def create_run_context(
    names: Iterable[str],
    other_authorities: bytes = b"",
    *,
    folder: Path,
    environ: Mapping[str, str],
    exclusive: bool,
) -> ssl.SSLContext:
    """Create an authority, write its trust files into the run's folder, and return a context with its certificate.

    Args:
        names: the names of the certificate.
        other_authorities: further authorities of this run, as PEM.
        folder: the run's folder.
        environ: may name a file with the authorities that this machine trusts.
        exclusive: whether to trust no others than those of this run.
    """
    issued = issue_certificate(names, datetime.now(UTC))
    write_trust_files(folder, issued.authority + other_authorities, exclusive=exclusive, environ=environ)
    return create_server_context(issued, folder)


@contextmanager
def create_run_folder(environ: Mapping[str, str]) -> Generator[Path, None, None]:
    """Create a folder for as long as the `with` lasts, or this process if that ends first.

    Args:
        environ: its XDG_RUNTIME_DIR is the parent; the default is the folder for temporary files.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    is_usable = os.path.isabs(runtime) and os.path.isdir(runtime) and os.access(runtime, os.W_OK)  # noqa: PTH112, PTH117  # it may be any text
    path = Path(runtime if is_usable else tempfile.gettempdir(), f"ticketstub-run-{secrets.token_hex(8)}")
    # Started before the folder exists, in a session of its own, so that no terminal signal ends it early.
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
        # Killed, because it would not end by itself while a forked process has the other end of its pipe.
        cleaner.kill()
        cleaner.communicate()


def write_trust_files(folder: Path, authority: bytes, *, exclusive: bool, environ: Mapping[str, str]) -> None:
    """Write the trust files.

    Args:
        folder: the folder for them.
        authority: the run's authority as PEM; there may be several.
        exclusive: whether to leave out all other authorities.
        environ: may name a file with the other authorities.
    """
    bundle = authority if exclusive else b"\n".join([authority, read_trusted_authorities(environ)])
    for name, content in (
        (AUTHORITY_FILE, authority),
        (BUNDLE_FILE, bundle),
        (TRUST_STORE_FILE, _build_java_trust_store(bundle)),
    ):
        (folder / name).write_bytes(content)


def read_trusted_authorities(environ: Mapping[str, str]) -> bytes:
    """Return the authorities that this machine trusts, as PEM."""
    import ssl

    configured = [environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    for path in [*configured, ssl.get_default_verify_paths().cafile, *_KNOWN_BUNDLES]:
        if path and os.path.isfile(path):  # noqa: PTH113  # it may be any text
            return Path(path).read_bytes()
    stored = ssl.create_default_context().get_ca_certs(binary_form=True)  # Windows has no such file
    return "".join(map(ssl.DER_cert_to_PEM_cert, stored)).encode()


def _build_java_trust_store(bundle: bytes) -> bytes:
    """Return a trust store for Java; certificates that cannot be parsed are left out."""
    import warnings

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    end = b"-----END CERTIFICATE-----"
    found: list[pkcs12.PKCS12Certificate] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old authorities have invalid serial numbers
        for piece in bundle.split(end)[:-1]:
            with suppress(ValueError):
                certificate = x509.load_pem_x509_certificate(piece + end)
                found.append(pkcs12.PKCS12Certificate(certificate, b"%d" % len(found)))
        return pkcs12.serialize_java_truststore(found, BestAvailableEncryption(TRUST_STORE_PASSWORD.encode()))
