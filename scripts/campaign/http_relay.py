"""HTTP/1.1 requests and answers, whole in memory, from a client's connection to a server's and back (h11 does the protocol).

A connection's failure is passed on as one: a client whose server cannot be reached, or goes in the middle, is reset.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import h11

from campaign.link import reset

LARGEST_BODY = 256 * 1024 * 1024
LARGEST_HEAD = 64 * 1024
_READ = 1024 * 1024

Headers = tuple[tuple[bytes, bytes], ...]
_OF_ONE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"te", b"upgrade", b"expect"}
)
"""Headers that are not passed on (RFC 9110, section 7.6.1); bodies are whole here, so each gets its length anew."""

E = TypeVar("E")


@dataclass(frozen=True)
class Request:
    """What a client asked; header names are in lower case."""

    method: bytes
    target: bytes
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes:
        """The value of a header, empty when it is missing."""
        return dict(self.headers).get(name, b"")


@dataclass(frozen=True)
class Answer:
    """What the client gets."""

    status: int
    headers: Headers
    body: bytes


Forward = Callable[[Request], Awaitable[Answer]]
Exchange = Callable[[Request, Forward], Awaitable[Answer]]
"""What answers a request, by means of the server or without."""


async def serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    upstream: tuple[str, int],
    exchange: Exchange,
) -> None:
    """Serves one client until it goes; its requests share one connection to the server."""
    wire = _Wire(h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD), reader, writer)
    server = _Server(upstream)
    try:
        while (request := await _request(wire)) is not None:
            await _respond(wire, request, await exchange(request, server.forward))
            if wire.connection.our_state is not h11.DONE:
                break
            wire.connection.start_next_cycle()
    except (OSError, h11.ProtocolError):
        reset(writer.transport)
    finally:
        server.close()
        writer.close()


class _Wire:
    """A connection of h11 and its streams."""

    def __init__(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connection = connection
        self.reader = reader
        self.writer = writer

    async def next(self) -> h11.Event | type[h11.PAUSED]:
        """The next event; one that needs the other side's bytes waits for them."""
        while (event := self.connection.next_event()) is h11.NEED_DATA:
            if self.connection.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.connection.receive_data(await self.reader.read(_READ))
        return event  # type: ignore[return-value]  # NEED_DATA is excluded above

    async def body(self) -> bytes:
        """The rest of a message; raises h11.RemoteProtocolError when it breaks off or is too large."""
        pieces: list[bytes] = []
        size = 0
        while isinstance(event := await self.next(), h11.Data):
            pieces.append(bytes(event.data))
            size += len(event.data)
            if size > LARGEST_BODY:
                raise h11.RemoteProtocolError(f"a body above {LARGEST_BODY} bytes")
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("a message without its end")
        return b"".join(pieces)

    async def send(self, *events: h11.Event) -> None:
        """Writes events."""
        for event in events:
            self.writer.write(self.connection.send(event) or b"")
        await self.writer.drain()


class _Server:
    """The server's side of one client: connects when first needed, and again when the server has closed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._wire: _Wire | None = None

    async def forward(self, request: Request) -> Answer:
        wire = await self._connected()
        await wire.send(
            h11.Request(method=request.method, target=request.target, headers=_sized(request.headers, request.body)),
            h11.Data(data=request.body),
            h11.EndOfMessage(),
        )
        while isinstance(event := await wire.next(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise h11.RemoteProtocolError("the server closed without an answer")
        return Answer(event.status_code, _passed_on(event.headers), await wire.body())

    async def _connected(self) -> _Wire:
        wire = self._wire
        if wire and wire.connection.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE} and not wire.reader.at_eof():
            wire.connection.start_next_cycle()
            return wire
        self.close()
        reader, writer = await asyncio.open_connection(*self._address, limit=_READ)
        self._wire = _Wire(h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD), reader, writer)
        return self._wire

    def close(self) -> None:
        if self._wire:
            self._wire.writer.close()


async def _request(wire: _Wire) -> Request | None:
    event = await wire.next()
    if not isinstance(event, h11.Request):
        return None  # it has closed
    return Request(event.method, event.target, _passed_on(event.headers), await wire.body())


async def _respond(wire: _Wire, request: Request, answer: Answer) -> None:
    if request.method == b"HEAD":
        headers, body = list(answer.headers), b""
    else:
        headers, body = _sized(answer.headers, answer.body), answer.body
    events: list[h11.Event] = [h11.Response(status_code=answer.status, headers=headers)]
    if body:
        events.append(h11.Data(data=body))
    with contextlib.suppress(ConnectionError):  # who has gone needs no answer; the next read says so
        await wire.send(*events, h11.EndOfMessage())


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((name, value) for name, value in headers if name not in _OF_ONE_CONNECTION)


def _sized(headers: Headers, body: bytes) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name != b"content-length"]
    return [*kept, (b"content-length", str(len(body)).encode())]
