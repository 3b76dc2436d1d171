"""Plain sockets for tests of proxies."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self


class Echo:
    """A server that says back what it hears and half-closes after its client did."""

    def __init__(self) -> None:
        self.connections = 0
        self.resets = 0
        self._resetting = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.address: tuple[str, int] = self._listener.getsockname()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.reset()

    def reset(self) -> None:
        """Cut all connections with RST."""
        self._resetting = True
        while self._open:  # another one may come meanwhile
            client = self._open.pop()
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.shutdown(socket.SHUT_RD)  # wakes the thread that reads
            client.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                self._open.append(client)
                threading.Thread(target=self._echo, args=[client], daemon=True).start()

    def _echo(self, client: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                client.sendall(data)
            if not self._resetting:
                client.shutdown(socket.SHUT_WR)
        except ConnectionResetError:
            self.resets += 1
        except OSError:
            pass


def read_all(client: socket.socket) -> bytes:
    """Read until the other side closes."""
    pieces = []
    while piece := client.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def is_reset(client: socket.socket) -> bool:
    """Whether the connection ends in RST (and not in order, or in a timeout)."""
    try:
        read_all(client)
    except ConnectionResetError:
        return True
    return False


def resets_who_comes(address: tuple[str, int]) -> bool:
    """Whether a new connection is reset; depending on how quick that is, connecting itself fails or the first reading."""
    try:
        with socket.create_connection(address, timeout=20) as client:
            read_all(client)
    except ConnectionResetError:
        return True
    return False
