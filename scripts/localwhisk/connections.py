"""Connections of clients: they go on within time limits, and there are never more than the process may hold open.

A client holds a connection by sending a request slowly, or nothing, or by not taking its answer. Where there is no room for one more,
the one that has kept the engine waiting longest goes; one whose whole request is at work never does. As Apache's mod_reqtimeout, a
body may take longer the more of it comes.
"""

from __future__ import annotations

import resource
from asyncio import BaseTransport, Transport
from typing import Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from localwhisk import messages, targets
from localwhisk.errors import PlainError
from localwhisk.http import TARGET, Scope

_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=UTF-8\r\n"
    b"content-length: %d\r\n\r\n%b"
)
HEAD_S = 10.0
BODY_S = 20.0
IDLE_S = 60.0
UNREAD_S = 30.0
LEAST_RATE = 1000
"""Bytes a second below which a body counts as slow, and an answer as not taken."""
MOST_HEAD_BYTES = 64 * 1024
MOST_HEADERS = 256
MOST_AHEAD = 16
"""Requests that a client may send before it has the answer to an earlier one."""
SWEEP_S = 1.0
_MOST_FILES = 65_536
_MOST = 8192


class TooMuch(Exception):
    """Ends the parsing at what is too much, or too little, so that the connection is closed with a 400."""


class Client(Protocol):
    """One end of a connection."""

    @property
    def waits_for_client(self) -> bool:
        """Whether it is for the client to go on."""

    def abort(self) -> None:
        """End it at once."""

    def check(self, now: float) -> None:
        """Close it if the client lets the engine wait."""


class Connections:
    """All that are open, and of them, in this order, those that wait for their client."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Client, None] = {}
        self._waiting: dict[Client, None] = {}

    def add(self, connection: Client) -> None:
        """Take one in; where all places are taken by requests at work, it is the new one that goes."""
        self._open[connection] = self._waiting[connection] = None
        if len(self._open) > self._most:
            first = next(iter(self._waiting))
            self.remove(first)
            first.abort()

    def remove(self, connection: Client) -> None:
        """Forget one."""
        self._open.pop(connection, None)
        self._waiting.pop(connection, None)

    def note(self, connection: Client) -> None:
        """Keep in mind whose turn it is, the client's or the engine's."""
        if not connection.waits_for_client:
            self._waiting.pop(connection, None)
        elif connection in self._open:
            self._waiting.setdefault(connection)

    def sweep(self, now: float) -> None:
        """Close those beyond their time; call each SWEEP_S with the loop's time."""
        for connection in list(self._open):
            connection.check(now)


class Connection(HttpToolsProtocol):
    """One of uvicorn's that knows how long it has waited, for what, and how much came meanwhile."""

    def __init__(self, *arguments: Any, table: Connections, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._table = table
        self._since = 0.0
        self._received = 0
        self._head_bytes = 0
        self._line = b""
        self._fault: str | None = None
        self._in_message = False
        self._in_head = True
        self._unsent = 0
        self._unread_s = 0.0

    @property
    def waits_for_client(self) -> bool:
        """Whether it is for the client to go on: no request, or one that is not whole yet."""
        return not self.pipeline and (self._answered or self.cycle.more_body)

    @property
    def _answered(self) -> bool:
        """Whether the last request that began has its answer."""
        last = cast("RequestResponseCycle | None", self.cycle)
        return last is None or last.response_complete

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin."""
        super().connection_made(cast("Transport", transport))
        self._wait_from_now()
        self._table.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._table.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; the parser sets no bound to the head of a request, nor to what follows the last chunk of a body."""
        self._received += len(data)
        self._head_bytes += len(data)
        if not self._in_message:
            self._line = data.partition(b"\n")[0]
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(431, messages.HEAD_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser does not take; of a target that is malformed tell what is wrong with it."""
        body = (self._fault or self._fault_of_target() or msg).encode()
        self.transport.write(_BAD_REQUEST % (len(body), body))
        self.transport.close()

    def _fault_of_target(self) -> str | None:
        _, _, rest = self._line.decode("latin-1").partition(" ")
        try:
            targets.check(rest.partition(" ")[0])
        except PlainError as error:
            return error.text
        return None

    def on_message_begin(self) -> None:
        """Expect a head."""
        super().on_message_begin()
        self._in_message = self._in_head = True
        self._wait_from_now()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one; what follows a body is none of the request's."""
        if len(self.headers) >= MOST_HEADERS:
            raise TooMuch
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Expect a body; the application is to see the target as it came, fragment and all. One host is named (RFC 9112, 3.2)."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        named = hosts == 1 or (hosts == 0 and self.parser.get_http_version() != "1.1")
        if not named:
            self._fault = messages.HOST_NOT_ONE
        if len(self.pipeline) >= MOST_AHEAD or not named:
            raise TooMuch
        super().on_headers_complete()
        cast("Scope", self.scope)[TARGET] = self.url
        self._in_head = False
        self._head_bytes = 0
        self._wait_from_now()

    def on_body(self, body: bytes) -> None:
        """Take a part of it."""
        super().on_body(body)
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        """It is the engine's turn."""
        super().on_message_complete()
        self._in_message = False
        self._in_head = True
        self._head_bytes = 0
        self._wait_from_now()
        self._table.note(self)

    def on_response_complete(self) -> None:
        """It is the client's turn, or that of a request that came meanwhile."""
        super().on_response_complete()
        self._wait_from_now()
        self._table.note(self)

    def abort(self) -> None:
        """End it at once."""
        self.transport.abort()

    def check(self, now: float) -> None:
        """Close it if the client lets the engine wait."""
        self._check_answer()
        if self.flow.read_paused:
            self._since += SWEEP_S  # the engine's own doing
        if self.waits_for_client and now - self._since > self._patience_s():
            self._refuse(408, messages.REQUEST_TIMEOUT)

    def _wait_from_now(self) -> None:
        self._since = self.loop.time()
        self._received = 0

    def _patience_s(self) -> float:
        if not self._in_message:
            return IDLE_S
        return HEAD_S if self._in_head else BODY_S + self._received / LEAST_RATE

    def _check_answer(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        slow = unsent > 0 and self._unsent - unsent < LEAST_RATE * SWEEP_S
        self._unread_s = self._unread_s + SWEEP_S if slow else 0.0
        self._unsent = unsent
        if self._unread_s >= UNREAD_S:
            self.transport.abort()

    def _refuse(self, status: int, text: str) -> None:
        """Say why where an answer is expected, and close."""
        if self.transport.is_closing():
            return
        if self._in_message and (self._answered if self._in_head else not self.cycle.response_started):
            body = text.encode()
            head = f"HTTP/1.1 {status} {text}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode() + body)
        self.transport.close()


def room() -> int:
    """How many connections there may be: half of the files the process may have open, the rest is for what runs actions."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(hard if hard != resource.RLIM_INFINITY else _MOST_FILES, _MOST_FILES)
    if files > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, min(max(files, soft) // 2, _MOST))
