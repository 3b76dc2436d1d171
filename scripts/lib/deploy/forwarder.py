"""A forwarder on loopback between wskdeploy and an OpenWhisk: /api/info is answered from /, everything else is passed on as it is."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult

from lib.deploy.target import CONTENT_TYPE, connection

TIMEOUT_S = 120.0
BODY_LIMIT_BYTES = 64_000_000
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
    }
)


@contextlib.contextmanager
def forwarding(parts: SplitResult, *, insecure: bool) -> Iterator[str]:
    """Run the forwarder while the block runs; yields its address."""

    class Handler(_Handler):
        target, unchecked = parts, insecure

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="forwarder", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    target: SplitResult
    unchecked: bool
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_LIMIT_BYTES:
            self.close_connection = True
            self._answer(413, {"Content-Type": "text/plain"}, b"Request too large")
            return
        body = self.rfile.read(length) if length else None
        info = self.path == "/api/info"
        link = connection(self.target, insecure=self.unchecked, timeout=TIMEOUT_S)
        try:
            link.request(
                self.command,
                "/" if info else self.path,
                body=body,
                headers=_passed_on(dict(self.headers.items())),
            )
            answer = link.getresponse()
            content, headers = answer.read(), _passed_on(dict(answer.getheaders()))
        except (OSError, http.client.HTTPException) as error:
            self._answer(
                502, {"Content-Type": CONTENT_TYPE}, f'{{"error":"{type(error).__name__}"}}'.encode()
            )
            return
        finally:
            link.close()
        if info:
            headers = {name: value for name, value in headers.items() if name.lower() != "content-type"} | {
                "Content-Type": CONTENT_TYPE
            }
        self._answer(answer.status, headers, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = _forward  # noqa: N815 (names that http.server calls)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Say nothing: wskdeploy reports what it did."""


def _passed_on(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
