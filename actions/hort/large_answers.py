"""Redis' large answers, read into the bytes that become the value.

redis-py's parser in Python holds an answer four times while it reads it: a batch's documents would want 100 MB. What is overridden
here is not public, so the client's version is locked, and a test measures what an answer takes.
"""

from __future__ import annotations

import io
from typing import Any

import redis
from redis._parsers import _RESP3Parser
from redis._parsers.socket import SERVER_CLOSED_CONNECTION_ERROR, SocketBuffer
from redis.utils import SENTINEL

LARGE = 256 * 1024
READ_AT_ONCE = 128 * 1024


class LargeReads(SocketBuffer):
    """The bytes of a connection; those of a large value do not go through the buffer."""

    def read(self, length: int, timeout: float | object = SENTINEL) -> bytes:
        """Return the next `length` bytes."""
        if length < LARGE or timeout is not SENTINEL:
            return super().read(length, timeout)
        value = io.BytesIO()
        value.write(self._buffer.read(length))
        if not self.unread_bytes():
            self._buffer.seek(0)
            self._buffer.truncate()
        while (missing := length - value.tell()) > 0:
            value.write(self._received(min(missing, READ_AT_ONCE)))
        super().read(0)  # what ends the value
        return value.getvalue()  # the bytes themselves, not a copy

    def _received(self, most: int) -> bytes:
        try:
            data = self._sock.recv(most)
        except TimeoutError:
            raise redis.TimeoutError("Timeout reading from socket") from None
        if not data:
            raise redis.ConnectionError(SERVER_CLOSED_CONNECTION_ERROR)
        return data


class Parser(_RESP3Parser):
    """The parser of a connection that speaks protocol 3, redis-py's default."""

    def on_connect(self, connection: Any) -> None:
        """Read from the connection's new socket."""
        super().on_connect(connection)  # type: ignore[no-untyped-call]
        sock: Any = self._sock
        self._buffer = LargeReads(sock, self.socket_read_size, connection.socket_timeout)


def use(client: redis.Redis) -> redis.Redis:
    """Have the client's connections read like this, unless its address asks for protocol 2; to be called before the first one."""
    options = client.connection_pool.connection_kwargs
    if str(options.get("protocol") or 3) == "3":
        options["parser_class"] = Parser
    return client
