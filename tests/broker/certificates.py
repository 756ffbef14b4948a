"""Certificates made on the fly: a CA of the test's own, and what it signs for this machine."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(hours=2)


class Authority(NamedTuple):
    """A CA: its certificate, its key, and the file of the certificate."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    path: Path


def _begin(
    name: str, issuer: str, key: ec.EllipticCurvePublicKey, *, ca: bool
) -> x509.CertificateBuilder:
    def named(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def make_authority(directory: Path, name: str) -> Authority:
    """Make a CA; its certificate stands in a PEM file of its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _begin(name, name, key.public_key(), ca=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Authority(certificate, key, path)


def make_keystore(directory: Path, authority: Authority) -> Path:
    """Make a broker's key and certificate for 127.0.0.1, in the one PEM file that Kafka reads."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        _begin("broker", authority.path.stem, key.public_key(), ca=False)
        .add_extension(here, critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    path = directory / "broker.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
        + authority.certificate.public_bytes(Encoding.PEM)
    )
    return path
