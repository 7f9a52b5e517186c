"""What a run's authority can certify, for how long, and where its keys are."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ticketstub.local_plex.intercept.authority import CertificateAuthority, create_server_context, issue_certificate

NOW = datetime.now(UTC)
PEM = serialization.Encoding.PEM


def chain(certificate: x509.Certificate, key, folder: Path) -> ssl.SSLContext:
    """Return a server context with this certificate."""
    file = folder / "chain.pem"
    text = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(certificate.public_bytes(PEM) + text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def shake_hands(server: ssl.SSLContext, authority: bytes, name: str) -> None:
    """Make a TLS handshake in memory, with a client that trusts only this authority."""
    trusting = ssl.create_default_context(cadata=authority.decode())
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [trusting.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    waiting = ends
    while waiting:
        left = []
        for end in waiting:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                left.append(end)
        waiting = left


@pytest.mark.parametrize("name", ["plex.tv", "clients.plex.tv", "127-0-0-1.5d0c3a9b.plex.direct"])
def test_it_speaks_for_plex(tmp_path: Path, name: str) -> None:
    """A client that trusts the authority accepts its certificates for Plex's names."""
    authority = CertificateAuthority(NOW)
    server = chain(*authority.issue([name]), tmp_path)
    shake_hands(server, authority.certificate.public_bytes(PEM), name)


@pytest.mark.parametrize("name", ["example.com", "notplex.tv", "plex.tv.example.com", "direct", "plex.tv.evil"])
def test_it_speaks_for_nobody_else(tmp_path: Path, name: str) -> None:
    """A stolen key would be useless for other names: a certificate for one is not accepted."""
    authority = CertificateAuthority(NOW)
    server = chain(*authority.issue([name]), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(server, authority.certificate.public_bytes(PEM), name)


def test_it_speaks_for_no_address(tmp_path: Path) -> None:
    """IP addresses are not permitted, either."""
    authority = CertificateAuthority(NOW)
    _, key = authority.issue(["plex.tv"])
    builder = authority._create_builder(x509.Name([]), key, authority.certificate.subject)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=True).sign(authority._key, hashes.SHA256())
    with pytest.raises(ssl.SSLCertVerificationError, match="excluded subtree violation"):
        shake_hands(chain(certificate, key, tmp_path), authority.certificate.public_bytes(PEM), "127.0.0.1")


def test_it_makes_no_further_authority(tmp_path: Path) -> None:
    """It issues server certificates only, and no subordinate authority."""
    constraints = CertificateAuthority(NOW).certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (True, True, 0) == (constraints.critical, constraints.value.ca, constraints.value.path_length)


def test_it_lasts_for_hours() -> None:
    """Both certificates expire after twelve hours."""
    issued = issue_certificate(["plex.tv"], NOW)
    ends = [x509.load_pem_x509_certificate(each).not_valid_after_utc for each in (issued.authority, issued.certificate)]
    assert [(NOW + timedelta(hours=12)).replace(microsecond=0)] * 2 == ends


def test_two_runs_have_nothing_in_common(tmp_path: Path) -> None:
    """What trusts one run's authority does not trust another's."""
    one, other = issue_certificate(["plex.tv"], NOW), issue_certificate(["plex.tv"], NOW)
    shake_hands(create_server_context(one, tmp_path), one.authority, "plex.tv")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(create_server_context(one, tmp_path), other.authority, "plex.tv")


@pytest.mark.parametrize("has_memory_files", [True, False])
def test_no_key_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_memory_files: bool) -> None:
    """With files in memory nothing is written; without them the key is encrypted, and removed at once."""
    if has_memory_files and not hasattr(os, "memfd_create"):
        pytest.skip("only Linux has files in memory")
    if not has_memory_files:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    issued = issue_certificate(["plex.tv"], NOW)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in issued.key
    shake_hands(create_server_context(issued, tmp_path), issued.authority, "plex.tv")
    assert [] == list(tmp_path.iterdir())
    assert "IssuedCertificate(…)" == repr(issued)
