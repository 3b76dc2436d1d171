"""Many clients that begin a request and do not go on."""

import resource
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

from tests.support.sockets import read_all


@contextmanager
def half_sent(url: str, count: int, beginnings: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """So many connections with one of the beginnings each."""
    parts = urlsplit(url)
    with _files(count + 500), ExitStack() as stack:
        found = []
        for number in range(count):
            client = stack.enter_context(socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60))
            found.append(client)
            with suppress(OSError):  # it may have had to go at once
                client.sendall(beginnings[number % len(beginnings)])
        yield found


def ended(client: socket.socket) -> bool:
    """Whether the connection comes to its end, with or without an answer."""
    with suppress(ConnectionError):
        read_all(client)
    return True


@contextmanager
def _files(count: int) -> Iterator[None]:
    """Lets this process have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
