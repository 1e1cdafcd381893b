"""Certificates of this machine: an authority whose key is never written, and what it signs for whom."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Identity"]

_LIFETIME = timedelta(days=90)
_ORGANISATION = "Preceptor"


@dataclass(frozen=True)
class Identity:
    """PEM texts of one certificate; ``key`` is secret."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Identity(...)"


class Authority:
    """Signs certificates for servers, nodes and clients of this machine. Its key is never written."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP384R1())
        self._name = _name("local authority")
        self._certificate = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate: what both sides trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    def server(self, common_name: str) -> Identity:
        """Sign for a server at this machine's loopback names."""
        return self._sign(common_name, [ExtendedKeyUsageOID.SERVER_AUTH], _loopback())

    def node(self, common_name: str) -> Identity:
        """Sign for a node of a cluster; nodes are servers and clients of each other."""
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._sign(common_name, uses, _loopback())

    def client(self, common_name: str, *, lifetime: timedelta = _LIFETIME) -> Identity:
        """Sign for a client; its common name is who it is."""
        return self._sign(common_name, [ExtendedKeyUsageOID.CLIENT_AUTH], [], lifetime)

    def _sign(
        self,
        common_name: str,
        uses: list[x509.ObjectIdentifier],
        names: list[x509.GeneralName],
        lifetime: timedelta = _LIFETIME,
    ) -> Identity:
        key = ec.generate_private_key(ec.SECP384R1())
        builder = (
            self._builder(_name(common_name), key, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Identity(
            builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: timedelta = _LIFETIME
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + lifetime) - timedelta(minutes=5))
            .not_valid_after(now + lifetime)
        )


def _loopback() -> list[x509.GeneralName]:
    return [
        x509.DNSName("localhost"),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")),
    ]


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
