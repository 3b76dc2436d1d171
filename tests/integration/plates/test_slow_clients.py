"""Clients of the plates server that send slowly: others are served all the same."""

import resource
import select
import socket
import threading
from collections.abc import Iterator

import pytest
import requests

from plates import connections, server
from plates.server import Handler, Reply, Server, Service
from tests.support.half_sent import ended, half_sent
from tests.support.plates import PlatesServer
from tests.support.polling import wait_until

HALVES = [b"", b"POST /ru", b"POST /run HTTP/1.1\r\nHost: x\r\nX-", b'POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{"value"']

LARGE = 16_000_000
"""Bytes of an answer that no buffer of a connection holds."""


class Answers(Service):
    """A service without a worker; `free` lets its requests end."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.working = threading.Semaphore(0)
        self.server: Server

    def run(self, body: object) -> Reply:
        self.working.release()
        if body == "wait":
            assert self.free.wait(60)
        return 200, {"ok": "x" * LARGE if body == "large" else True}


@pytest.fixture
def served() -> Iterator[tuple[str, Answers]]:
    service = Answers()
    with Server(("127.0.0.1", 0), service) as found:
        service.server = found
        threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}", service
        service.free.set()
        found.shutdown()


def run(url: str, body: object) -> int:
    return requests.post(f"{url}/run", json=body, timeout=60).status_code


def test_few_large_bodies_come_in_at_once(served: tuple[str, Answers]) -> None:
    """64 of 30 MB took the memory of the whole action four times."""
    url, service = served
    host, _, port = url.removeprefix("http://").rpartition(":")

    def begun() -> socket.socket:
        client = socket.create_connection((host, int(port)))
        client.sendall(b"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 25000000\r\n\r\n")
        client.settimeout(60)
        return client

    clients = [begun() for _ in range(server.MOST_LARGE + 1)]
    told = [client for client in select.select(clients, [], [], 60)[0] if client.recv(99).startswith(b"HTTP/1.1 503 ")]
    assert len(told) == 1
    assert run(url, "small") == 200
    for client in clients:
        client.close()
    wait_until(lambda: service.server.large.acquire(blocking=False))
    service.server.large.release()
    assert run(url, "x" * 2 * server.LARGE) == 200


def test_half_sent_requests_keep_nobody_out(plates: PlatesServer) -> None:
    resource.prlimit(plates.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    with half_sent(plates.url, 1_500, HALVES) as clients:
        for _ in range(20):
            assert requests.get(plates.url, timeout=60).status_code == 200
        assert all(map(ended, clients[: 1_500 - connections.MOST]))


def test_a_request_at_work_is_never_given_up_for_others(served: tuple[str, Answers]) -> None:
    url, service = served
    answers: list[int] = []
    first = threading.Thread(target=lambda: answers.append(run(url, "wait")))
    first.start()
    assert service.working.acquire(timeout=60)
    with half_sent(url, 2 * connections.MOST, HALVES):
        assert run(url, {}) == 200
        service.free.set()
        first.join(60)
    assert answers == [200]


def test_a_request_that_is_not_whole_in_time_is_given_up(served: tuple[str, Answers], monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = served
    monkeypatch.setattr(connections, "REQUEST_S", 0.2)
    with half_sent(url, 2, HALVES[2:]) as clients:
        assert all(map(ended, clients))
    monkeypatch.setattr(connections, "IDLE_S", 0.2)
    with half_sent(url, 2, HALVES[:2]) as clients, socket.create_connection(clients[0].getpeername()) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert all(map(ended, [*clients, kept]))
    assert run(url, {}) == 200


def test_answers_that_nobody_takes_keep_nobody_out(served: tuple[str, Answers], monkeypatch: pytest.MonkeyPatch) -> None:
    url, service = served
    monkeypatch.setattr(Handler, "timeout", None)  # or they would be given up after a minute
    few, asking = 4, b'POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n"large"'
    service.server.places = connections.Places(few)
    with half_sent(url, few, [asking]):
        for _ in range(few):
            assert service.working.acquire(timeout=60)
        wait_until(lambda: _served(url), what="a place among those who do not read")


def _served(url: str) -> bool:
    try:
        return run(url, {}) == 200
    except requests.ConnectionError:
        return False
