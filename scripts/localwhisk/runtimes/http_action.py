"""A server that implements /init and /run itself: the protocol of OpenWhisk's action containers."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from localwhisk.runtime_api import ActionSpec, RunContext
from localwhisk.runtimes import texts, verdicts
from localwhisk.runtimes.verdicts import Verdict
from localwhisk.runtimes.worker import init_environment, request_line

_CONNECT_RETRY_S = 0.05
_threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="http-action")


class Unanswered(Exception):
    """The server did not answer; `late` when the time limit passed."""

    def __init__(self, *, late: bool) -> None:
        super().__init__("no answer in time" if late else "no answer")
        self.late = late


@dataclass(frozen=True, slots=True)
class Response:
    """Status, the body up to the result limit, and the body's whole length."""

    code: int
    body: bytes
    length: int


class HttpAction:
    """One connection to such a server, kept open between runs; one request at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"url {url!r} of an action server must be http://host[:port][/path]")
        self.url = url
        self._path = parts.path.rstrip("/")
        self._host, self._port = parts.hostname, parts.port or 80
        self._connection: http.client.HTTPConnection | None = None

    async def init(self, spec: ActionSpec, context: RunContext, *, again: bool = False) -> Verdict | None:
        """POST /init; with `again` a server that refuses a second init counts as initialised."""
        value: dict[str, object] = {
            "name": spec.fqn.rsplit("/", 1)[-1],
            "main": spec.main or "main",
            "binary": spec.binary,
            "env": init_environment(spec, context),
        }
        if spec.code:
            value["code"] = spec.code
        try:
            response = await self.post("/init", orjson.dumps({"value": value}), spec.timeout_ms / 1000)
        except Unanswered as error:
            return _unanswered(error, spec, init=True)
        if response.code == 200 or (again and response.code == 403):
            return None
        return verdicts.of_init_response(response.body)

    async def run(self, spec: ActionSpec, context: RunContext, params: bytes) -> Verdict:
        """POST /run and judge the answer."""
        body = request_line(spec, context, params)[:-1]
        try:
            response = await self.post("/run", body, spec.timeout_ms / 1000)
        except Unanswered as error:
            return _unanswered(error, spec, init=False)
        return verdicts.of_run_response(response.code, response.body, response.length)

    async def reachable(self, timeout_s: float) -> bool:
        """Wait until the port accepts a connection."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                _, writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                if time.monotonic() >= end:
                    return False
                await asyncio.sleep(_CONNECT_RETRY_S)
            else:
                writer.close()
                return True

    async def post(self, path: str, body: bytes, timeout_s: float) -> Response:
        """Send JSON and read the answer; raises Unanswered."""
        given_up = threading.Event()
        future = asyncio.get_running_loop().run_in_executor(_threads, self._post, path, body, timeout_s, given_up)
        try:
            return await asyncio.wait_for(asyncio.shield(future), timeout_s)
        except TimeoutError:
            raise Unanswered(late=True) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(late=False) from error
        finally:
            if not future.done():
                future.add_done_callback(_forget)
                given_up.set()
                self.close()

    def _post(self, path: str, body: bytes, timeout_s: float, given_up: threading.Event) -> Response:
        fresh = self._connection is None
        try:
            return self._exchange(path, body, timeout_s, given_up)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if fresh:
                raise
            # a kept connection may have been closed by the server while idle
            return self._exchange(path, body, timeout_s, given_up)

    def _exchange(self, path: str, body: bytes, timeout_s: float, given_up: threading.Event) -> Response:
        connection = self._connection
        if connection is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
            self._connection = connection
        headers = {"Content-Type": "application/json"}
        try:
            if given_up.is_set():
                raise ConnectionAbortedError
            connection.request("POST", self._path + path, body, headers)
            response = connection.getresponse()
            return _read(response)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection, waking a thread that reads from it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()


def _read(response: http.client.HTTPResponse) -> Response:
    kept = response.read(texts.RESULT_LIMIT + 1)
    length = len(kept)
    while chunk := response.read(1 << 16):
        length += len(chunk)
    return Response(response.status, kept, length)


def _forget(future: asyncio.Future[Response]) -> None:
    if not future.cancelled():
        future.exception()


def _unanswered(error: Unanswered, spec: ActionSpec, *, init: bool) -> Verdict:
    if error.late:
        return verdicts.developer_error(texts.time_limit(spec.timeout_ms, init=init), timeout=True)
    return verdicts.developer_error(texts.ABNORMAL_INIT if init else texts.ABNORMAL_RUN)
