import socket
import threading
import time
from collections.abc import Iterator

import pytest

from plates import wire


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_head_and_body_arrive_as_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    body = bytes(range(256)) * 20_000
    sender = threading.Thread(target=lambda: wire.send(pair[0], {"a": [1, "ü"]}, body))
    sender.start()
    assert wire.receive(pair[1]) == ({"a": [1, "ü"]}, body)
    sender.join()


def test_no_message_until_the_deadline_is_a_timeout(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        wire.receive(pair[1], deadline=time.monotonic() + 0.01)
    pair[0].sendall(b"\0\0")
    with pytest.raises(TimeoutError):
        wire.receive(pair[1], deadline=time.monotonic() + 0.01)


def test_a_closed_socket_is_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    with pytest.raises(wire.Ended):
        wire.receive(pair[1])
    with pytest.raises(wire.Ended):
        wire.send(pair[1], {}, bytes(1_000_000))
