"""HTTPS with a certificate of the engine's own, and the clients that have not yet agreed on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from localwhisk import private
from localwhisk.connections import HEAD_S, Connection, Connections
from localwhisk.instance import CERTIFICATE, CERTIFICATE_KEY

_NAMES = ("localhost", "127.0.0.1", "::1")
_PAUSE_S = 0.1
_VALID = timedelta(days=3650)


def context(state: Path, host: str) -> ssl.SSLContext:
    """Use the certificate and key in the state folder, made where there are none; raises OSError for files that are none."""
    certificate, key = state / CERTIFICATE, state / CERTIFICATE_KEY
    if not certificate.exists():
        _make(certificate, key, host)
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    found.load_cert_chain(certificate, key)
    return found


def _make(certificate: Path, key: Path, host: str) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    private.write(key, pem.decode())
    private.write(certificate, _signed(secret, host).public_bytes(serialization.Encoding.PEM).decode())


def _signed(key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localwhisk")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + _VALID)
    names = x509.SubjectAlternativeName([_general(one) for one in dict.fromkeys((*_NAMES, host))])
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Handshake:
    """A client that has not agreed on keys yet: it has as long as for a head, and makes room as others do."""

    waits_for_client = True

    def __init__(self, client: socket.socket, context: ssl.SSLContext, table: Connections) -> None:
        self._client = client
        self._context = context
        self._table = table

    async def run(self, make: Callable[[], Connection]) -> None:
        """Agree, and let the connection begin."""
        self._table.add(self)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                make, self._client, ssl=self._context, ssl_handshake_timeout=HEAD_S
            )
        except OSError:  # no TLS, none that both know, too slow, or gone
            self._client.close()
        finally:
            self._table.remove(self)

    def check(self, now: float) -> None:
        """Do nothing: a handshake has a time limit of its own."""

    def abort(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)


async def accept(
    listener: socket.socket, context: ssl.SSLContext, table: Connections, make: Callable[[], Connection]
) -> None:
    """Take clients in until it is cancelled."""
    loop = asyncio.get_running_loop()
    begun: set[asyncio.Task[None]] = set()
    while True:
        try:
            client, _ = await loop.sock_accept(listener)
        except OSError:  # gone again, or no file is left for it
            await asyncio.sleep(_PAUSE_S)
            continue
        client.setblocking(False)  # the socket's own signature
        task = loop.create_task(Handshake(client, context, table).run(make))
        begun.add(task)
        task.add_done_callback(begun.discard)
