"""One HTTP/1.1 client connection: a request out, a bounded answer in; asyncio is the wire, httptools (llhttp) the parser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httptools

from hort.errors import CallFailed

MAX_HEADER_BYTES = 64 * 1024
JOINED_BODY = 64 * 1024
"""A body up to this size goes out in one piece with its head; a larger one is not copied."""


@dataclass(slots=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


class Stale(Exception):
    """The connection ended before one byte of the answer came."""


class Connection(asyncio.Protocol):
    """One connection and the one answer it is reading; the parser calls the `on_` methods."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._open = False
        self._waiter: asyncio.Future[None] | None = None
        self._keep = False
        self._reset(0)

    def _reset(self, max_bytes: int) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._chunks: list[bytes] = []
        self._size = self._status = 0
        self._max_bytes = max_bytes
        self._begun = self._headed = self._done = False

    @property
    def reusable(self) -> bool:
        """True while another request may be sent."""
        return self._open and self._keep and (self._waiter is None or self._done)

    def abort(self) -> None:
        """Closes at once, whatever is still to be sent."""
        self._open = False
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: tuple[bytes, bytes], url: str, max_bytes: int) -> Answer:
        """Sends a request and waits for its answer."""
        if not self._open or self._transport is None:
            raise Stale
        self._reset(max_bytes)
        self._waiter = asyncio.get_running_loop().create_future()
        head, body = request
        if len(body) <= JOINED_BODY:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        await self._waiter
        return Answer(self._status, self._headers, b"".join(self._chunks), url)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection stands."""
        self._transport = transport if isinstance(transport, asyncio.Transport) else None
        self._open = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio passes it by position
        """asyncio: it is gone; an answer without a length ends here."""
        self._open = False
        if not self._begun:
            self._fail(Stale())
        elif self._headed and not self._framed():
            self._finish()
        else:
            self._fail(CallFailed("closed", "the server closed the connection within its answer"))

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes for the parser."""
        if self._waiter is None or self._waiter.done():
            self.abort()  # bytes nobody asked for: the connection cannot be trusted for the next answer
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
            if not self._headed:
                self._count_header(len(data))
        except CallFailed as error:
            self._fail(error)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, CallFailed) else CallFailed("protocol", str(error)))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(CallFailed("protocol", f"the answer is not HTTP/1.1 ({type(error).__name__})"))

    def on_message_begin(self) -> None:
        """Parser: an answer begins."""
        if self._done:
            raise CallFailed("protocol", "a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: one header."""
        self._count_header(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise CallFailed("too-large", f"more than {MAX_HEADER_BYTES} bytes of headers")

    def on_headers_complete(self) -> None:
        """Parser: the headers are whole; those of an interim answer (1xx) are forgotten."""
        self._status = self._parser.get_status_code()
        self._headed = self._status >= 200
        if not self._headed:
            self._headers = {}

    def on_body(self, body: bytes) -> None:
        """Parser: a piece of the body."""
        self._size += len(body)
        if self._size > self._max_bytes:
            raise CallFailed("too-large", f"more than {self._max_bytes} bytes")
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Parser: the answer is whole."""
        if self._headed:
            self._keep = self._parser.should_keep_alive()
            self._finish()

    def _framed(self) -> bool:
        return "content-length" in self._headers or "chunked" in self._headers.get("transfer-encoding", "")

    def _finish(self) -> None:
        self._done = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._keep = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
