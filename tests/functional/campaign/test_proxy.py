"""The TCP proxy on real loopback sockets; timing decides nothing but that slow is not at once."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from campaign.pipe import HELD_BYTES
from campaign.proxy import Network, Proxy
from tests.support.polling import wait_until
from tests.support.sockets import Echo, is_reset, read_all, resets_who_comes

MIB = 1024 * 1024


@pytest.fixture(params=["uvloop", "asyncio"])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    made = Network(loop=asyncio.new_event_loop() if request.param == "asyncio" else None)
    yield made
    made.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        yield server


@pytest.fixture
def proxy(network: Network, echo: Echo) -> Proxy:
    return network.proxy("echo", upstream=echo.address)


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def one() -> socket.socket:
        opened.append(socket.create_connection(proxy.address, timeout=20))
        return opened[-1]

    yield one
    for client in opened:
        client.close()


def said(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    answer = b""
    while len(answer) < len(text):
        piece = client.recv(len(text) - len(answer))
        if not piece:
            break
        answer += piece
    return answer


def is_stuck(client: socket.socket) -> bool:
    """Whether nobody takes 400 MiB of the client."""
    client.settimeout(0.5)
    try:
        for _ in range(400):
            client.sendall(bytes(MIB))
    except TimeoutError:
        return True
    return False


def test_what_is_said_comes_through_and_is_counted(
    proxy: Proxy, connect: Callable[[], socket.socket]
) -> None:
    assert said(connect(), b"hello") == b"hello"
    traffic = proxy.traffic
    assert (traffic.connections, traffic.live, traffic.bytes_up, traffic.bytes_down) == (1, 1, 5, 5)
    assert proxy.url("mqtt") == f"mqtt://127.0.0.1:{proxy.address[1]}"


def test_a_half_closed_client_still_gets_its_answer(
    proxy: Proxy, connect: Callable[[], socket.socket]
) -> None:
    client = connect()
    body = bytes(range(256)) * 4 * 8192

    def send() -> None:
        client.sendall(body)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert read_all(client) == body
    sender.join()
    wait_until(lambda: proxy.traffic.live == 0, what="the connection's end")


def test_reset_cuts_both_sides_with_rst(
    proxy: Proxy, echo: Echo, connect: Callable[[], socket.socket]
) -> None:
    clients = [connect(), connect()]
    for client in clients:
        said(client, b"x")
    assert proxy.reset() == 2
    assert all(is_reset(client) for client in clients)
    wait_until(lambda: echo.resets == 2, what="RST at the server")
    assert proxy.traffic.resets == 2
    assert said(connect(), b"again") == b"again"


def test_refused_connections_are_reset_and_live_ones_go_on(
    proxy: Proxy, connect: Callable[[], socket.socket]
) -> None:
    live = connect()
    said(live, b"x")
    proxy.refuse()
    assert resets_who_comes(proxy.address)
    assert said(live, b"still here") == b"still here"
    proxy.heal()
    assert said(connect(), b"again") == b"again"
    assert proxy.traffic.refused == 1


def test_a_black_hole_keeps_what_is_said_until_it_is_healed(
    proxy: Proxy, echo: Echo, connect: Callable[[], socket.socket]
) -> None:
    live = connect()
    said(live, b"x")
    proxy.hang()
    new = connect()
    for client in (live, new):
        client.sendall(b"into the dark")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(20)
    assert echo.connections == 1
    proxy.heal()
    for client in (live, new):
        assert client.recv(13, socket.MSG_WAITALL) == b"into the dark"


def test_a_black_hole_swallows_what_was_only_late(
    proxy: Proxy, connect: Callable[[], socket.socket]
) -> None:
    client = connect()
    said(client, b"x")
    proxy.slow(delay_s=3600)
    client.sendall(b"late")
    wait_until(lambda: all(link.up._held for link in proxy._links), what="held bytes")
    proxy.hang()
    assert proxy.traffic.bytes_up == 1
    proxy.heal()
    assert client.recv(4, socket.MSG_WAITALL) == b"late"


def test_a_black_hole_can_be_cut(proxy: Proxy, connect: Callable[[], socket.socket]) -> None:
    proxy.hang()
    client = connect()
    wait_until(lambda: proxy.traffic.live == 1, what="the connection")
    assert proxy.reset() == 1
    assert is_reset(client)


def test_delay_and_rate_hold_back_and_keep_the_order(
    proxy: Proxy, connect: Callable[[], socket.socket]
) -> None:
    client = connect()
    proxy.slow(delay_s=0.1)
    began = time.monotonic()
    assert said(client, b"ping") == b"ping"
    assert time.monotonic() - began >= 0.195  # of 0.2 s: loops count in whole milliseconds
    proxy.slow(bytes_per_s=100_000)
    body = bytes(index % 251 for index in range(20_000))
    began = time.monotonic()
    assert said(client, body) == body
    assert time.monotonic() - began >= 0.195
    proxy.slow(delay_s=3600)
    client.sendall(b"late")
    wait_until(lambda: proxy._links and all(link.up._held for link in proxy._links), what="held bytes")
    proxy.heal()
    assert client.recv(4, socket.MSG_WAITALL) == b"late"


def test_a_client_that_does_not_read_fills_no_memory(network: Network, echo: Echo) -> None:
    proxy = network.proxy("echo", upstream=echo.address)
    with socket.create_connection(proxy.address) as client:
        assert said(client, b"x") == b"x"
        assert is_stuck(client)
        (link,) = proxy._links
        assert link.up._held_bytes + link.down._held_bytes <= 4 * HELD_BYTES
        transports = [pipe.sink for pipe in (link.up, link.down)]
        assert sum(sink.get_write_buffer_size() for sink in transports if sink) <= MIB


def test_an_hour_of_delay_holds_a_bounded_number_of_bytes(network: Network, echo: Echo) -> None:
    proxy = network.proxy("echo", upstream=echo.address)
    proxy.slow(delay_s=3600)
    with socket.create_connection(proxy.address) as client:
        assert is_stuck(client)
        wait_until(lambda: any(link.up._held_bytes for link in proxy._links), what="the proxy's first look at it")
        assert is_stuck(client)
        (link,) = proxy._links
        assert 0 < link.up._held_bytes <= 2 * HELD_BYTES


def test_a_server_that_is_down_resets_its_clients(network: Network) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        proxy = network.proxy("down", upstream=taken.getsockname())
        assert resets_who_comes(proxy.address)
    assert proxy.traffic.unreachable == 1


def test_a_server_that_resets_resets_the_client(
    proxy: Proxy, echo: Echo, connect: Callable[[], socket.socket]
) -> None:
    client = connect()
    said(client, b"x")
    echo.reset()
    assert is_reset(client)


def test_many_bytes_both_ways_come_through_whole(
    proxy: Proxy, connect: Callable[[], socket.socket]
) -> None:
    client = connect()
    body = bytes(index % 253 for index in range(8 * MIB))
    answers: list[bytes] = []
    reader = threading.Thread(target=lambda: answers.append(read_all(client)))
    reader.start()
    for at in range(0, len(body), 70_001):
        client.sendall(body[at : at + 70_001])
    client.shutdown(socket.SHUT_WR)
    reader.join(timeout=60)
    assert answers == [body]


def test_a_closed_network_listens_no_more_and_closes_twice(network: Network, echo: Echo) -> None:
    proxy = network.proxy("echo", upstream=echo.address)
    network.close()
    network.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(proxy.address, timeout=5)


def test_nonsense_is_refused(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match="bytes_per_s=0"):
        proxy.slow(bytes_per_s=0)
    with pytest.raises(ValueError, match="times=0"):
        proxy.cut_after_effect(b"x", times=0)
