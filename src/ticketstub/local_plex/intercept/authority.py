"""The certificate authority of one run, and the only certificate that it issues; and that of a world's addresses.

Rule: private keys stay in memory. The authority's is discarded once it has issued; only that of a world's addresses is
kept, because it issues each certificate when it is first used. Only an authority's certificate is written to disk. It
is valid for servers below plex.tv and plex.direct only, and for hours (days for `serve` and for a world's addresses): a
program that trusts it trusts nothing under any other name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Generator, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ticketstub.local_plex.intercept.variables import PLEX_DOMAINS
from ticketstub.local_plex.world.addresses import CertificateKind

if TYPE_CHECKING:
    import ssl

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

LIFETIME = timedelta(hours=12)
"""The lifetime of a run's certificates."""
ADDRESS_LIFETIME = timedelta(days=30)
"""The lifetime of the certificates of a world's addresses: a container may run for long."""
COMMON_NAME = "Ticketstub local stand-in, not Plex"
"""The common name of every authority of Ticketstub."""


class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """An authority's certificate, to be trusted, and a server's certificate with its key; all as PEM.

    Attributes:
        authority: the authority's certificate.
        certificate: the server's certificate.
        key: the server's private key, encrypted.
        password: decrypts the key.
    """

    authority: bytes
    certificate: bytes
    key: bytes
    password: bytes

    def __repr__(self) -> str:
        return "IssuedCertificate(…)"


class CertificateAuthority:
    """A certificate authority. Its private key never leaves the object.

    Args:
        now: the time of its creation.
        lifetime: how long its own certificate and those that it issues are valid.
    """

    def __init__(self, now: datetime, lifetime: timedelta = LIFETIME) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        self._now = now
        self._not_after = now + lifetime
        self._key = _generate_key()
        name = _build_name(COMMON_NAME)
        # Addresses must be excluded, because a form of name that is not mentioned is permitted (RFC 5280, 4.2.1.10).
        domains = [x509.DNSName(domain) for domain in PLEX_DOMAINS]
        addresses = [x509.IPAddress(ip_network(text)) for text in ("0.0.0.0/0", "::/0")]
        self.certificate = (
            self._create_builder(name, self._key, name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.NameConstraints(domains, addresses), critical=True)
            .add_extension(_build_key_usage(ca=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        """The authority's certificate."""

    def issue(
        self, names: Iterable[str], *, age: timedelta = timedelta(), self_signed: bool = False
    ) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        """Issue a certificate for these host names (`*.` at the start is a wildcard), with a new key.

        Args:
            names: the names.
            age: how long before the authority it would have been issued; with more than `lifetime`, it has expired.
            self_signed: whether to sign it with its own key, so that no authority vouches for it.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        key, subject = _generate_key(), _build_name("Ticketstub")
        issuer, issuer_key = (subject, key) if self_signed else (self.certificate.subject, self._key)
        certificate = (
            self._create_builder(subject, key, issuer, age)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(_build_key_usage(ca=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        return certificate, key

    def _create_builder(
        self, subject: x509.Name, key: EllipticCurvePrivateKey, issuer: x509.Name, age: timedelta = timedelta()
    ) -> x509.CertificateBuilder:
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        return (
            x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - age - timedelta(minutes=5))  # for clients whose clock is slightly behind
            .not_valid_after(self._not_after - age)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )


class AddressCertificates:
    """The certificates of the addresses of a world, and the authority that issues them.

    Args:
        now: the time of its creation.
    """

    def __init__(self, now: datetime) -> None:
        self._authority = CertificateAuthority(now, ADDRESS_LIFETIME)
        self._contexts: dict[tuple[str, CertificateKind], ssl.SSLContext] = {}
        self.pem = _encode_certificate(self._authority.certificate)
        """The authority's certificate as PEM."""

    def create_context(self, plex_direct_id: str, kind: CertificateKind) -> ssl.SSLContext:
        """Return a server context for the plex.direct names of these digits, with a certificate of this kind."""
        if (context := self._contexts.get((plex_direct_id, kind))) is None:
            digits = sha256(plex_direct_id.encode()).hexdigest()[:32] if kind == "other_name" else plex_direct_id
            certificate, key = self._authority.issue(
                [f"*.{digits}.plex.direct"],
                age=2 * ADDRESS_LIFETIME if kind == "expired" else timedelta(),
                self_signed=kind == "self_signed",
            )
            issued = _encode(self._authority, certificate, key)
            with tempfile.TemporaryDirectory() as folder:
                context = self._contexts[plex_direct_id, kind] = create_server_context(issued, Path(folder))
        return context


def issue_certificate(names: Iterable[str], now: datetime, lifetime: timedelta = LIFETIME) -> IssuedCertificate:
    """Create an authority, issue one certificate, and discard the authority's key."""
    authority = CertificateAuthority(now, lifetime)
    return _encode(authority, *authority.issue(names))


def _encode(
    authority: CertificateAuthority, certificate: x509.Certificate, key: EllipticCurvePrivateKey
) -> IssuedCertificate:
    from cryptography.hazmat.primitives import serialization

    password = secrets.token_hex(16).encode()
    encryption = serialization.BestAvailableEncryption(password)
    return IssuedCertificate(
        authority=_encode_certificate(authority.certificate),
        certificate=_encode_certificate(certificate),
        key=key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption),
        password=password,
    )


def _encode_certificate(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def create_server_context(issued: IssuedCertificate, folder: Path) -> ssl.SSLContext:
    """Return a server context with this certificate, for TLS 1.2 or newer and HTTP/1.1 only.

    Args:
        issued: the certificate and its key.
        folder: holds the encrypted key for a moment if the system has no files in memory: Python's TLS reads keys from
            files only.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with _write_temporary_file(issued.certificate + issued.key, folder) as path:
        context.load_cert_chain(path, password=issued.password)
    return context


def is_ticketstub_authority(certificate: bytes) -> bool:
    """Say whether a PEM file has the certificate of a Ticketstub authority, of this run or an earlier one."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(certificate).subject == _build_name(COMMON_NAME)
    except ValueError:
        return False


def _generate_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _build_name(text: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _build_key_usage(*, ca: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


@contextlib.contextmanager
def _write_temporary_file(content: bytes, folder: Path) -> Generator[str, None, None]:
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("ticketstub"), "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        path = folder / "sealed"
        path.write_bytes(content)
        try:
            yield str(path)
        finally:
            path.unlink()
