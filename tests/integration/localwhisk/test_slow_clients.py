"""An engine that may hold 1,024 files open, and clients that leave 1,500 requests half sent."""

import resource
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.engine import Engine
from tests.support.paths import SCRIPTS

CLIENTS = 1500
MOST_FILES = 800
"""Half of 1,024 are for connections; others run actions."""
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


def files(whisk: Engine) -> int:
    return len(list(Path(f"/proc/{whisk.pid}/fd").iterdir()))


def hold(held: ExitStack, whisk: Engine, sent: bytes) -> None:
    host, _, port = whisk.apihost.partition("://")[2].partition(":")
    for _ in range(CLIENTS):
        client = held.enter_context(socket.create_connection((host, int(port)), timeout=60))
        client.sendall(sent)


@pytest.mark.parametrize("kind", HALF_SENT)
def test_half_sent_requests_keep_nobody_out(narrow: Engine, kind: str) -> None:
    with ExitStack() as held:
        hold(held, narrow, HALF_SENT[kind])
        for _ in range(5):
            assert narrow.call("POST", "actions/page?blocking=true&result=true", {}) == (200, {"ran": True})
        assert files(narrow) < MOST_FILES


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
def test_nor_do_those_that_do_not_agree_on_keys(tmp_path: Path, sent: bytes) -> None:
    engine = NarrowEngine(tmp_path, "--tls")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "entities" / "tls.crt"))
    try:
        with ExitStack() as held:
            hold(held, engine, sent)
            for _ in range(5):
                with urllib.request.urlopen(f"{engine.apihost}/ping", timeout=60, context=trusting) as answer:
                    assert answer.read() == b"pong"
            assert files(engine) < MOST_FILES
    finally:
        engine.stop()
