"""A model whose answer is a function of the record, so that every stored result can be checked; it counts its calls.

POST /score takes `{"instances": [{"device_data": {...}}, ...]}`, GET /counts answers `{"calls", "instances"}`.
"""

from __future__ import annotations

import argparse
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from campaign.stream import prediction


class Handler(BaseHTTPRequestHandler):
    """The KServe V1 form."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        """One prediction an instance; 400 where the request is none."""
        try:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            predictions = [prediction(instance["device_data"]) for instance in request["instances"]]
        except (KeyError, TypeError, ValueError) as error:
            self._answer(400, {"error": f"no instances of the campaign: {type(error).__name__} {error}"})
            return
        self.server.count(len(predictions))
        self._answer(200, {"predictions": predictions})

    def do_GET(self) -> None:
        """How often it was called."""
        self._answer(200, self.server.counts())

    def log_message(self, *_: object) -> None:
        """Silent."""

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    """A thread a connection, one count over all of them."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self._lock = threading.Lock()
        self._calls = 0
        self._instances = 0

    def count(self, instances: int) -> None:
        """Adds a call."""
        with self._lock:
            self._calls += 1
            self._instances += instances

    def counts(self) -> dict[str, int]:
        """Calls and instances so far."""
        with self._lock:
            return {"calls": self._calls, "instances": self._instances}


def main() -> None:
    """Serves on a port of loopback, written into the ready file as the address to register."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with Server(("127.0.0.1", given.port)) as server:
        waiting = given.ready_file.with_suffix(".part")
        waiting.write_text(f"http://127.0.0.1:{server.server_address[1]}/score")
        waiting.replace(given.ready_file)
        server.serve_forever()


if __name__ == "__main__":
    main()
