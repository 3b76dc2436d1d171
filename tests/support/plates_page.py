"""The plates page served with its real headers, and a `/read` and `report` of the test's."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hort import page, plates_page
from tests.support.paths import ROOT
from tests.support.web_answers import WebAnswers

FOLDER = ROOT / "actions" / "plates-page"
BASE = "/api/v1/web/guest/hort"

Reply = Callable[[str, str, dict[str, Any], dict[str, str]], tuple[int, dict[str, Any]]]
"""Method, path below the package, body and headers of a request -> status and answer."""


@contextmanager
def served(reply: Reply) -> Iterator[str]:
    """The page's address, on loopback."""

    class Handler(WebAnswers, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == f"{BASE}/plates-page":
                html, headers = page.assemble(FOLDER, styles=plates_page.STYLES, scripts=plates_page.SCRIPTS)
                self._answer(200, html.encode(), headers)
            else:
                self._ask({})

        def do_POST(self) -> None:
            self._ask(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _ask(self, body: dict[str, Any]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, value = reply(self.command, self.path.removeprefix(f"{BASE}/"), body, headers)
            self._answer(status, json.dumps(value).encode(), {"content-type": "application/json"})

        def _answer(self, status: int, raw: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{BASE}/plates-page"
    finally:
        server.shutdown()
        server.server_close()
