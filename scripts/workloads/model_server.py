"""A model that costs next to nothing, outside OpenWhisk: counts the instances of a request and answers one prediction each."""

from __future__ import annotations

import argparse
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path

PREDICTION = b'{"status":"all-is-well"}'


class Handler(BaseHTTPRequestHandler):
    """POST {"instances": [...]} -> {"predictions": [...]}."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answers without parsing: what is measured is the suite, not the model."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        count = body.count(b'{"device_data":')
        answer = b'{"predictions":[' + b",".join([PREDICTION] * count) + b"]}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silent."""


class Server(socketserver.ThreadingTCPServer):
    """A thread a connection."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Serves on a free port, written into the ready file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready-file", type=Path, required=True)
    given = parser.parse_args()
    with Server(("127.0.0.1", 0), Handler) as server:
        given.ready_file.write_text(f"http://127.0.0.1:{server.server_address[1]}/score")
        server.serve_forever()


if __name__ == "__main__":
    main()
