"""HTTPS with a certificate of the engine's own, and the clients that have not yet agreed on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from localwhisk.connections import HEAD_S, Connection, Connections
from localwhisk.instance import CERTIFICATE, CERTIFICATE_KEY

_PAUSE_S = 0.1


def context(state: Path, host: str) -> ssl.SSLContext:
    """Use the certificate and key in the state folder, made where there are none; raises OSError for files that are none.

    A key that is there is never replaced: without a certificate it gets one.
    """
    certificate, key = state / CERTIFICATE, state / CERTIFICATE_KEY
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        if not certificate.exists():
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
