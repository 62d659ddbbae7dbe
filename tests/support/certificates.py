"""Self-signed certificates for servers on this machine, and folders of CA certificates."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path


def write_certificate(
    path: Path, *, hosts: tuple[str, ...] = ("127.0.0.1", "localhost"), days: tuple[int, int] = (-1, 1)
) -> Path:
    """Write a key and its self-signed certificate to a file, and return its path.

    :param hosts: names and IPv4 addresses that the certificate is valid for.
    :param days: the start and the end of its validity, in days from now.
    """
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    start, end = (now + timedelta(days=day) for day in days)
    builder = builder.not_valid_before(start).not_valid_after(end)
    names = [x509.IPAddress(ipaddress.ip_address(host)) if host[-1].isdigit() else x509.DNSName(host) for host in hosts]
    signed = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + signed.public_bytes(serialization.Encoding.PEM))
    return path


def write_ca_folder(folder: Path, *certificates: Path) -> Path:
    """Create a folder with a certificate under the name that OpenSSL looks for, as ``openssl rehash`` does."""
    folder.mkdir()
    for path in certificates:
        subject = x509.load_pem_x509_certificate(path.read_bytes()).subject.public_bytes()
        # The canonical form of a lower-case name is its DER without the two bytes of the outer sequence.
        digest = hashlib.sha1(subject[2:], usedforsecurity=False).digest()
        (folder / f"{int.from_bytes(digest[:4], 'little'):08x}.0").write_bytes(path.read_bytes())
    return folder
