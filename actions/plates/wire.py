"""Messages between the server and its worker over a socket: a JSON object and some bytes, each with its length before it."""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from typing import Any

_LENGTHS = struct.Struct(">II")
_PIECE = 1 << 20

Message = tuple[dict[str, Any], bytes]


class Ended(Exception):
    """The other side closed the socket."""


def send(channel: socket.socket, head: dict[str, Any], body: bytes = b"") -> None:
    """Sends one message; Ended where nobody reads any more."""
    text = json.dumps(head).encode()
    try:
        channel.sendall(_LENGTHS.pack(len(text), len(body)) + text)
        channel.sendall(body)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Ended from error


def receive(channel: socket.socket, *, deadline: float | None = None) -> Message:
    """The next message; TimeoutError at a deadline of time.monotonic, Ended where none comes any more."""
    text_length, body_length = _LENGTHS.unpack(_exactly(channel, _LENGTHS.size, deadline))
    text = _exactly(channel, text_length, deadline)
    return json.loads(text), _exactly(channel, body_length, deadline)


def _exactly(channel: socket.socket, count: int, deadline: float | None) -> bytes:
    pieces: list[bytes] = []
    while count:
        if deadline is not None:
            ready, _, _ = select.select([channel], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
        try:
            piece = channel.recv(min(count, _PIECE))
        except ConnectionResetError as error:
            raise Ended from error
        if not piece:
            raise Ended
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
