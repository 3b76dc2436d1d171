"""Connections to the server: each request comes within a time limit, and slow clients keep no others out.

Where all places are taken, the connection that has let the server wait longest goes; one whose whole request is at work never does.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

MOST = 64
"""Open at once, each with its thread."""
IDLE_S = 60.0
"""Until a request begins."""
REQUEST_S = 30.0
"""From its first line to its last byte: 30 MB at most, from a machine nearby."""


class Places:
    """The places of one server; connections that wait for their client stand in the order in which they began to."""

    def __init__(self, most: int = MOST, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._limits: dict[socket.socket, float] = {}

    def take(self, connection: socket.socket) -> bool:
        """Whether there is a place for a new connection, perhaps another one's."""
        with self._lock:
            if len(self._open) >= self._most:
                if not self._limits:
                    return False
                self._end(next(iter(self._limits)))
            self._open.add(connection)
            self._limits[connection] = self._now() + IDLE_S
            return True

    def begun(self, connection: socket.socket) -> None:
        """A request has begun; its connection keeps its turn among those that wait."""
        self._limit(connection, REQUEST_S, again=False)

    def at_work(self, connection: socket.socket) -> None:
        """A request is whole."""
        with self._lock:
            self._limits.pop(connection, None)

    def answered(self, connection: socket.socket) -> None:
        """It is the client's turn again."""
        self._limit(connection, IDLE_S, again=True)

    def leave(self, connection: socket.socket) -> None:
        """A connection that ended."""
        with self._lock:
            self._open.discard(connection)
            self._limits.pop(connection, None)

    def sweep(self) -> None:
        """Ends the connections beyond their time."""
        with self._lock:
            now = self._now()
            for connection in [found for found, limit in self._limits.items() if limit <= now]:
                self._end(connection)

    def _limit(self, connection: socket.socket, seconds: float, *, again: bool) -> None:
        with self._lock:
            if connection in self._open:
                if again:
                    self._limits.pop(connection, None)
                self._limits[connection] = self._now() + seconds

    def _end(self, connection: socket.socket) -> None:
        """Wakes the connection's thread, which finds it at its end."""
        self._open.discard(connection)
        self._limits.pop(connection, None)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
