"""The HTTP side: auto-discovery and feeds in every version, and how far the source is."""

from __future__ import annotations

import json
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gbfs_server import documents
from gbfs_server.source import Source

REQUEST_TIMEOUT_S = 10


class Server(ThreadingHTTPServer):
    """Serves one source on loopback. The feeds' addresses hold a token of this run, so that a client which remembers what
    it has seen takes a second run of a recording for what it is: another source.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, source: Source, *, port: int = 0, version: str = "2.3") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._source = source
        self._version = version
        self._run = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._last = self._documents = 0
        self._requests = 0

    @property
    def address(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str) -> dict[str, Any] | None:
        """The document of a path, or None where there is none."""
        parts = path.partition("?")[0].strip("/").split("/")
        with self._lock:
            match parts:
                case ["progress"]:
                    return self.progress()
                case ["gbfs.json"]:
                    return self._discovery(self._version)
                case [version, "gbfs.json"] if version in documents.VERSIONS:
                    return self._discovery(version)
                case [version, run, feed] if version in documents.VERSIONS and run == self._run:
                    return self._feed(version, feed.removesuffix(".json"))
        return None

    def progress(self) -> dict[str, Any]:
        """How far the source is: `documents` counts the different status documents that were asked for."""
        return {
            **self._source.progress(),
            "documents": self._documents,
            "requests": self._requests,
            "url": f"{self.address}/gbfs.json",
        }

    def _discovery(self, version: str) -> dict[str, Any]:
        return documents.discovery(version, f"{self.address}/{version}/{self._run}", now=int(time.time()))

    def _feed(self, version: str, feed: str) -> dict[str, Any] | None:
        match feed:
            case "system_information":
                return documents.system_information(version, self._source.name, now=int(time.time()))
            case "station_information":
                return documents.station_information(version, self._source.information())
            case "station_status":
                snapshot = self._source.status()
                self._documents += snapshot.number != self._last
                self._last = snapshot.number
                self._requests += 1
                return documents.station_status(version, snapshot)
        return None


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = REQUEST_TIMEOUT_S
    server_version = "gbfs"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers with a document or 404."""
        document = self.server.answer(self.path)
        if document is None:
            self._send(HTTPStatus.NOT_FOUND, {"error": "no such document; start at /gbfs.json"})
        else:
            self._send(HTTPStatus.OK, document)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Requests are not logged: there is one every few seconds, /progress counts them."""

    def _send(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        body = json.dumps(document, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
