"""Request targets as they come over a socket: what the engine's parser hands on is checked whole."""

import socket
from urllib.parse import urlsplit

import pytest

from tests.support.engine import Engine


def answer(whisk: Engine, target: str) -> tuple[int, str]:
    """Status and body of a GET of a target exactly as given."""
    address = urlsplit(whisk.apihost)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as client:
        head = f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = received.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/ping?a[]=1", 400, "Invalid input '[', expected query-char, pct-encoded or 'EOI' (line 1, column 8)"),
        ("/ping#x", 400, "Invalid input '#', expected pchar, '/', '?' or 'EOI' (line 1, column 6)"),
        ("/ping?a#x", 400, "Invalid input '#', expected query-char, pct-encoded or 'EOI' (line 1, column 8)"),
        ("/a/../p{i}ng", 400, "Invalid input '{', expected pchar, '/', '?' or 'EOI' (line 1, column 8)"),
        ("/%zz", 400, "Invalid input 'z', expected HEXDIG (line 1, column 3)"),
        ("/p\u00e9", 400, "Invalid input '\u00c3', expected pchar, '/', '?' or 'EOI' (line 1, column 3)"),
        ("/ping?\u00e9", 400, "Invalid input '\u00c3', expected rawQueryString or 'EOI' (line 1, column 7)"),
        ("/ping?", 200, "pong"),
        ("/a/../ping?x=%5B%5D", 200, "pong"),
    ],
)
def test_malformed_targets(whisk: Engine, target: str, status: int, text: str) -> None:
    assert answer(whisk, target) == (status, f"Illegal request-target: {text}" if status == 400 else text)
