"""Slow clients, without sockets: a transport that holds what is written, and a clock that is moved by hand."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from localwhisk.connections import (
    BODY_S,
    HEAD_S,
    IDLE_S,
    LEAST_RATE,
    MOST_AHEAD,
    MOST_HEAD_BYTES,
    MOST_HEADERS,
    UNREAD_S,
    Connection,
    Connections,
)

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: h\r\nX: "


class Transport(asyncio.Transport):
    """What a client has sent and taken is up to the test."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unread = 0
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Service:
    """Connections of one server, whose application answers when it is let."""

    def __init__(self, most: int = 100) -> None:
        self.table = Connections(most)
        self.answering = asyncio.Event()
        self.answering.set()
        self.bodies: list[bytes] = []
        self._state = ServerState()
        self._config = uvicorn.Config(self._answer, log_config=None, lifespan="off", interface="asgi3", proxy_headers=False)

    async def _answer(self, _scope: Any, receive: Any, send: Any) -> None:
        await self.answering.wait()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def open(self, *parts: bytes) -> tuple[Connection, Transport]:
        connection, transport = Connection(self._config, self._state, {}, table=self.table), Transport()
        connection.connection_made(transport)
        for part in parts:
            connection.data_received(part)
        await settle()
        return connection, transport

    def after(self, seconds: float) -> None:
        self.table.sweep(asyncio.get_running_loop().time() + seconds)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sent", "patience_s", "said"),
    [
        ((), IDLE_S, b""),
        ((GET,), IDLE_S, b"200"),
        ((GET, b"\r\n"), IDLE_S, b"200"),
        ((HALF,), HEAD_S, b"408"),
        ((GET, HALF), HEAD_S, b"408"),
        ((POST,), BODY_S, b"408"),
        ((POST, b"x" * 20 * LEAST_RATE), BODY_S + 20, b"408"),
        ((CHUNKED, b"5\r\nab"), BODY_S, b"408"),
        ((CHUNKED, b"0\r\nX: "), BODY_S, b"408"),
    ],
)
def test_a_client_that_does_not_go_on_is_sent_away(sent: tuple[bytes, ...], patience_s: float, said: bytes) -> None:
    async def scenario() -> None:
        service = Service()
        _, transport = await service.open(*sent)
        service.after(patience_s - 0.5)
        assert not transport.is_closing()
        service.after(patience_s + 1.5)
        assert transport.closed
        assert transport.written.rpartition(b"HTTP/1.1 ")[2].startswith(said)

    run(scenario)


def test_a_request_at_work_takes_its_time_and_so_do_those_sent_after_it() -> None:
    async def scenario() -> None:
        service = Service()
        service.answering.clear()
        connection, transport = await service.open(GET, GET + HALF)
        service.after(1000)
        assert not transport.is_closing()
        service.answering.set()
        await settle()
        assert transport.written.count(b"200 OK") == 2
        assert not transport.is_closing()
        service.after(HEAD_S + 1.5)
        assert transport.closed
        assert connection.waits_for_client

    run(scenario)


def test_an_answer_that_nobody_takes_is_thrown_away() -> None:
    async def scenario() -> None:
        service = Service()
        _, transport = await service.open(GET)
        transport.unread = 1_000_000
        for second in range(int(UNREAD_S) * 2):
            transport.unread -= LEAST_RATE if second < UNREAD_S else 1
            service.after(0)
            assert not transport.aborted or second >= 2 * UNREAD_S - 2
        assert transport.aborted

    run(scenario)


@pytest.mark.parametrize(
    ("start", "said"),
    [(b"GET / HTTP/1.1\r\nX: ", b" 431 "), (b"GET /", b" 431 "), (CHUNKED + b"0\r\nX: ", b" 431 "), (b"", b"")],
)
def test_a_head_has_a_bound(start: bytes, said: bytes) -> None:
    async def scenario() -> None:
        service = Service()
        connection, transport = await service.open(start)
        filler = (b"x" if start else b"\r\n") * 1000
        sent = 0
        while not transport.closed:
            connection.data_received(filler)
            sent += len(filler)
            assert sent < 2 * MOST_HEAD_BYTES + 4000
        assert said in transport.written

    run(scenario)


def test_requests_sent_ahead_and_headers_have_a_bound() -> None:
    async def scenario() -> None:
        service = Service()
        service.answering.clear()
        connection, transport = await service.open(GET * 1000)
        assert transport.closed
        assert len(connection.pipeline) == MOST_AHEAD
        connection, transport = await service.open(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 10_000)
        assert transport.closed
        assert len(connection.headers) == MOST_HEADERS

    run(scenario)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.0\r\n\r\n", b" 200 "),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b" 200 "),
    ],
)
def test_a_request_names_one_host(head: bytes, status: bytes) -> None:
    async def scenario() -> None:
        _, transport = await Service().open(head)
        assert status in transport.written.partition(b"\r\n")[0]
        assert transport.written.endswith(b"`Host` header") is (status == b" 400 ")

    run(scenario)


def test_what_follows_a_body_is_no_header() -> None:
    async def scenario() -> None:
        service = Service()
        connection, transport = await service.open(CHUNKED + b"1\r\na\r\n0\r\nAuthorization: x\r\n\r\n")
        assert connection.headers == [(b"host", b"h"), (b"transfer-encoding", b"chunked")]
        assert b"200 OK" in transport.written
        assert service.bodies == [b"a"]

    run(scenario)


def test_a_long_body_is_no_head() -> None:
    async def scenario() -> None:
        service = Service()
        chunk = b"%x\r\n%b\r\n" % (1000, b"x" * 1000)
        connection, transport = await service.open(CHUNKED)
        for _ in range(200):
            connection.data_received(chunk)
            await settle()
        connection.data_received(b"0\r\n\r\n")
        await settle()
        assert b"200 OK" in transport.written
        assert len(service.bodies[0]) == 200_000

    run(scenario)


@pytest.mark.parametrize("sent", [(), (HALF,), (POST,), (CHUNKED, b"5\r\na"), (GET,), (GET, HALF)])
def test_where_there_is_no_room_who_has_waited_longest_goes(sent: tuple[bytes, ...]) -> None:
    async def scenario() -> None:
        service = Service(most=3)
        held = [(await service.open(*sent))[1] for _ in range(3)]
        _, other = await service.open(GET)
        assert [one.aborted for one in held] == [True, False, False]
        assert b"200 OK" in other.written
        await service.open(GET)
        assert [one.aborted for one in held] == [True, True, False]
        assert not other.aborted

    run(scenario)


def test_a_request_at_work_never_makes_room() -> None:
    async def scenario() -> None:
        service = Service(most=2)
        service.answering.clear()
        held = [(await service.open(GET))[1] for _ in range(2)]
        _, late = await service.open()
        assert late.aborted
        assert not any(one.aborted for one in held)
        service.answering.set()
        await settle()
        assert all(b"200 OK" in one.written for one in held)
        _, served = await service.open(GET)
        assert b"200 OK" in served.written
        assert [one.aborted for one in held] == [True, False]

    run(scenario)


def test_one_that_is_gone_leaves_its_place() -> None:
    async def scenario() -> None:
        service = Service(most=1)
        for _ in range(3):
            connection, transport = await service.open(HALF)
            connection.connection_lost(None)
            assert not transport.aborted

    run(scenario)
