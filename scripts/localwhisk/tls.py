"""HTTPS with a certificate of the engine's own, and the clients that have not yet agreed on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from localwhisk import private
from localwhisk.connections import HEAD_S, Connection, Connections
from localwhisk.instance import CERTIFICATE, CERTIFICATE_KEY

log = logging.getLogger("localwhisk.tls")
_PAUSE_S = 0.1
_RENEW_S = 30 * 86_400
_OURS = ((("commonName", "localwhisk"),),)
_TELL_S = 60.0


def context(state: Path, host: str) -> ssl.SSLContext:
    """Use the certificate and key in the state folder, made where there are none; raises OSError for files that are none.

    A key that is there is never replaced: without a certificate it gets one. A certificate that this engine drew is drawn anew when it is about
    to expire or does not name `host`; another's that has expired is told.
    """
    certificate, key = state / CERTIFICATE, state / CERTIFICATE_KEY
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        _close(key)
        if not certificate.exists() or _is_outdated(certificate, host):
            from localwhisk import self_signed  # its library is large, and needed once

            self_signed.make(certificate, key, host)
        found.load_cert_chain(certificate, key, _passphrase)
    except FileNotFoundError:
        message = f"{certificate} has no key: {key} is missing (without both a pair is made)"
        raise OSError(message) from None
    except (OSError, ValueError) as error:
        message = f"{certificate} and {key} are no certificate with its key: {error}"
        raise OSError(message) from error
    return found


def _close(key: Path) -> None:
    """Take a key that others may read from them; one that is not this user's to change is told."""
    if key.is_file() and key.stat().st_mode & 0o077:
        try:
            private.close(key)
        except OSError as error:
            log.warning("%s may be read by others, and cannot be kept from them: %s", key, error.strerror)
        else:
            log.warning("%s could be read by others until now; its mode is 0600 from now on", key)


def _is_outdated(certificate: Path, host: str) -> bool:
    """Tell whether a certificate of this engine's has to be drawn anew; raises OSError for a file that is none."""
    found = _read(certificate)
    if found is None:
        return False
    left = ssl.cert_time_to_seconds(found["notAfter"]) - time.time()
    if found["subject"] != _OURS or found["issuer"] != _OURS:
        if left <= 0:
            log.warning("%s has expired (%s): clients will refuse it", certificate, found["notAfter"])
        return False
    return left < _RENEW_S or _plain(host) not in {_plain(name) for _, name in found["subjectAltName"]}


def _read(certificate: Path) -> Any:
    """Return what Python's ssl tells of a certificate; None for one that may sign nothing, of which it tells nothing."""
    reader = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    reader.load_verify_locations(certificate)
    return next(iter(reader.get_ca_certs()), None)


def _plain(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _passphrase() -> str:
    """Keep OpenSSL from asking on the terminal, where nobody may sit."""
    message = "the key has a passphrase"
    raise ValueError(message)


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
        except OSError as error:  # no TLS, none that both know, too slow, or gone
            if getattr(error, "reason", None) == "HTTP_REQUEST":
                _tell_plain()
            self._client.close()
        finally:
            self._table.remove(self)

    def check(self, now: float) -> None:
        """Do nothing: a handshake has a time limit of its own."""

    def abort(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)


_next_told = 0.0


def _tell_plain() -> None:
    """Say, once a minute, why a client that does not speak TLS gets no answer."""
    global _next_told  # noqa: PLW0603  # one line for all connections
    if time.monotonic() >= _next_told:
        _next_told = time.monotonic() + _TELL_S
        log.warning("a client sent plain HTTP to the port of HTTPS and was refused: its address has to begin with https://")


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
