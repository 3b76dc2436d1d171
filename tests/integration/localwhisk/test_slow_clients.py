"""An engine that may hold 1,024 files open, and clients that leave 1,500 requests half sent."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.engine import Engine
from tests.support.paths import SCRIPTS

CLIENTS = 1500
WEB = b"POST /api/v1/web/guest/default/page HTTP/1.1\r\nHost: localhost\r\n"
HALF_SENT = {
    "nothing": b"",
    "head": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "body": WEB + b"Content-Length: 1000\r\n\r\nabc",
    "chunks": WEB + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}


class NarrowEngine(Engine):
    """One that may open as many files as most shells allow."""

    COMMAND = ("bash", "-c", 'ulimit -n 1024; exec "$0" "$@"', str(SCRIPTS / "whisk"))


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = NarrowEngine(tmp_path_factory.mktemp("narrow"), "--limits", "raised")
    code = "def main(args):\n    return {'ran': True}\n"
    engine.call("PUT", "actions/page", {"exec": {"kind": "python:3.11", "code": code}})
    yield engine
    engine.stop()


@pytest.fixture(scope="module", autouse=True)
def _enough_files() -> Iterator[None]:
    """This process holds the clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * CLIENTS:
        pytest.skip(f"{CLIENTS} clients are more than the {hard} files this process may open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CLIENTS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("kind", HALF_SENT)
def test_half_sent_requests_keep_nobody_out(narrow: Engine, kind: str) -> None:
    host, _, port = narrow.apihost.removeprefix("http://").partition(":")
    with ExitStack() as held:
        for _ in range(CLIENTS):
            client = held.enter_context(socket.create_connection((host, int(port)), timeout=60))
            client.sendall(HALF_SENT[kind])
        for _ in range(5):
            assert narrow.call("POST", "actions/page?blocking=true&result=true", {}) == (200, {"ran": True})
    assert len(list(Path(f"/proc/{narrow.pid}/fd").iterdir())) < 1024
