"""The certificate by which a host's command server and its service nodes know each other (docs/adr/0011).

Self-signed: nobody is asked who it belongs to, both sides compare it with the row of the `member` table.
Key and certificate are one PEM file, made once and never replaced, so they cannot be of two makings.
"""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import RequestError
from drivers.seal import NAME, write_once

#: Trust ends when the member is forgotten, not on a day; a service node may boot with a wrong clock.
FROM, UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def make_certificate(folder: Path, name: str) -> str:
    """The certificate of host `name` as PEM text; with its private key it is made at the first call.

    Raises RequestError when `name` is no host name or the file cannot be written or read.
    """
    file = certificate_file(folder, name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            write_once(file, _new_pair(name))
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: the certificate cannot be written or read: {error}") from error
    return text[text.find("-----BEGIN CERTIFICATE-----") :]


def certificate_file(folder: Path, name: str) -> Path:
    """Where private key and certificate of `name` are kept."""
    if not NAME.fullmatch(name):
        raise RequestError(f"{name!r} is no host name")
    return folder / f"{name}.pem"


def fingerprint(certificate: str) -> bytes:
    """The certificate as it travels, to compare. Raises RequestError when the text is none."""
    try:
        return ssl.PEM_cert_to_DER_cert(certificate.strip())
    except ValueError as error:
        raise RequestError(f"not a certificate: {certificate[:60]!r}") from error


def _new_pair(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + made.public_bytes(serialization.Encoding.PEM)
