"""What the engine adds to the answers of web actions, for servers that stand in for it: CORS, and an origin of its own for a page."""

from http.server import BaseHTTPRequestHandler

from localwhisk import browsers, http, web


class WebAnswers(BaseHTTPRequestHandler):
    """Adds the headers to every answer, and answers preflights."""

    def end_headers(self) -> None:
        """Add them before the last line."""
        wanted = self.headers["access-control-request-headers"]
        self.send_header("access-control-allow-origin", "*")
        self.send_header("access-control-allow-methods", web.METHODS)
        self.send_header("access-control-allow-headers", wanted or http.CORS_HEADERS)
        for name, value in browsers.APART:
            self.send_header(name, value)
        super().end_headers()

    def do_OPTIONS(self) -> None:
        """Let the page ask."""
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
