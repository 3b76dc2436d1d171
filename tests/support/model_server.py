"""A small real HTTP server on loopback that misbehaves on request, as models do."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson

Behave = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request and the socket to answer on."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    socket: socket.socket
    released: threading.Event

    def json(self) -> dict[str, object]:
        value: dict[str, object] = orjson.loads(self.body)
        return value

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hang_up(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@dataclass
class ModelServer:
    url: str
    released: threading.Event
    requests: list[Exchange] = field(default_factory=list)
    connections: int = 0


def predictions(exchange: Exchange) -> None:
    """Answers each instance with its own device data, in any protocol."""
    if exchange.method == "GET":
        exchange.answer(200, orjson.dumps({"seen": exchange.target}))
        return
    value = exchange.json()
    instances = value.get("instances")
    if isinstance(instances, list):
        exchange.answer(200, orjson.dumps({"predictions": [item["device_data"] for item in instances]}))
    else:
        exchange.answer(200, orjson.dumps(value["device_data"]))


def hang(exchange: Exchange) -> None:
    """Takes the request and never answers, until the test is over."""
    exchange.released.wait(60)


def drip(exchange: Exchange) -> None:
    """One byte of an endless header every 20 ms: alive for any timeout that counts from the last byte."""
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not exchange.released.wait(0.02):
        exchange.send(b"x")


@contextmanager
def model_server(behave: Behave, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[ModelServer]:
    """A server whose every request is handed to `behave`; `url` is its address."""
    server = _Server((host, port), _Handler)
    server.behave = behave
    server.model = ModelServer(f"http://{host}:{server.server_address[1]}/model", threading.Event())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.model
    finally:
        server.model.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    behave: Behave
    model: ModelServer


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.model.connections += 1
        try:
            while self._one():
                pass
        except OSError:
            return  # the client went away, or the test closed the socket

    def _one(self) -> bool:
        line = self.rfile.readline()
        if not line:
            return False
        method, target, _ = line.decode().split(" ", 2)
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", "0")))
        exchange = Exchange(method, target, headers, body, self.connection, self.server.model.released)
        self.server.model.requests.append(exchange)
        self.server.behave(exchange)
        return bool(self.connection.fileno() >= 0)
