"""A certificate that nobody but its maker vouches for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from localwhisk import private

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_NAMES = ("localhost", "127.0.0.1", "::1")
_VALID = timedelta(days=3650)


def make(certificate: Path, key: Path, host: str) -> None:
    """Write a certificate for this machine's names and `host`, and its key unless there is one.

    Raises OSError, and ValueError for a key that signs nothing.
    """
    secret = _read(key) if key.exists() else _written(key)
    private.write(certificate, _signed(secret, host).public_bytes(serialization.Encoding.PEM).decode())


def _read(key: Path) -> _Key:
    try:
        found = serialization.load_pem_private_key(key.read_bytes(), None)
    except TypeError as error:  # its way to say that there is a passphrase
        raise ValueError(str(error)) from None
    if not isinstance(found, _Key):
        message = f"{type(found).__name__} is neither of RSA nor of an elliptic curve"
        raise ValueError(message)  # noqa: TRY004  # the value of a file
    return found


def _written(key: Path) -> _Key:
    secret = ec.generate_private_key(ec.SECP256R1())
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    private.write(key, pem.decode())
    return secret


def _signed(key: _Key, host: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localwhisk")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + _VALID)
    names = x509.SubjectAlternativeName([_general(one) for one in dict.fromkeys((*_NAMES, host)) if one])
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
