"""Clients that send slowly or never take their answers: the API stays there for others."""

import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from feeds.provider import connections
from feeds.provider.__main__ import Server, _uvicorn
from tests.support.half_sent import ended, half_sent
from tests.support.polling import wait_until
from tests.support.provider import Provider

HALVES = [b"", b"GET /health HT", b"POST /registrations HTTP/1.1\r\nHost: x\r\nX-", b"POST /alarms HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{"]


def health(url: str) -> int:
    return requests.get(f"{url}/health", timeout=60).status_code


@pytest.mark.parametrize("files", [256, 1024])
def test_half_sent_requests_keep_nobody_out(new_provider: Callable[..., Provider], files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))  # which it is started with
    try:
        provider = new_provider()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    provider.healthy()
    with half_sent(provider.url, 1_500, HALVES) as clients:
        for _ in range(20):
            assert health(provider.url) == 200
        assert all(map(ended, clients[: 1_500 - connections.MOST]))
    wait_until(lambda: health(provider.url) == 200, what="there as ever")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An API in this process whose clients have little time."""
    monkeypatch.setattr(connections, "REQUEST_S", 0.3)
    server = Server(_uvicorn(Starlette(routes=[Route("/health", lambda _request: PlainTextResponse("x" * 1_000_000))])))
    monkeypatch.setattr(server, "capture_signals", nullcontext)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(60)


def test_a_request_that_is_not_whole_in_time_is_given_up(api: str) -> None:
    with half_sent(api, len(HALVES), HALVES) as clients:
        assert all(map(ended, clients))
    assert health(api) == 200


def test_an_answer_that_is_not_taken_is_given_up(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_S", 0.3)
    parts = urlsplit(api)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((parts.hostname, parts.port))
        for _ in range(20):
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: _cut(client), what="cut")
    assert health(api) == 200


def _cut(client: socket.socket) -> bool:
    """Whether the server is no longer there, which sending tells without reading."""
    try:
        client.send(b"\r\n")
    except OSError:
        return True
    return False
