"""Large answers of Redis: read once, whole, and past whatever lies around them."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import redis

from hort import large_answers, store
from hort.large_answers import LARGE
from tests.support.paths import ROOT
from tests.support.services import environment

SIZE = 24_000_000
NAMES = ("first", "small", "last")
SIZES = (0, 1, LARGE - 3, LARGE - 2, LARGE - 1, LARGE, LARGE + 1, 1_000_000)


@pytest.fixture
def client(redis_client: redis.Redis, redis_url: str) -> redis.Redis:
    assert redis_client.ping()
    return store.client(redis_url)


@pytest.mark.parametrize("size", SIZES)
def test_answers_of_any_size_come_whole_with_what_stands_beside_them(client: redis.Redis, size: int) -> None:
    values: dict[Any, Any] = {"first": os.urandom(size), "small": b"\r\n$3\r\n", "last": os.urandom(size) + b"\r\n"}
    client.hset("big", mapping=values)
    pipeline = client.pipeline(transaction=False)
    pipeline.hmget("big", *NAMES, "nothing")
    pipeline.get("nothing")
    pipeline.hget("big", "last")
    pipeline.time()
    several, none, last, (seconds, _) = pipeline.execute()
    assert several == [*values.values(), None]
    assert (none, last, seconds > 0) == (None, values["last"], True)
    assert client.hgetall("big") == {name.encode(): value for name, value in values.items()}


def test_an_address_that_asks_for_protocol_2_gets_it(client: redis.Redis, redis_url: str) -> None:
    client.set("big", bytes(LARGE))
    with large_answers.use(redis.Redis.from_url(redis_url, protocol=2)) as other:
        assert (other.get("big"), other.get("nothing")) == (bytes(LARGE), None)


@pytest.mark.parametrize("ends", ["closes", "stalls"])
def test_an_answer_that_breaks_off_is_an_error_of_redis(ends: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_half, args=(server, ends), daemon=True)
        thread.start()
        address = f"redis://127.0.0.1:{server.getsockname()[1]}"
        wanted = redis.ConnectionError if ends == "closes" else redis.TimeoutError
        with large_answers.use(redis.Redis.from_url(address, socket_timeout=0.5, retry=None)) as client, pytest.raises(wanted):
            client.get("big")
        thread.join(10)


def _half(server: socket.socket, ends: str) -> None:
    """Answer the greeting, then half of a value."""
    taken, _ = server.accept()
    with taken:
        taken.recv(65_536)
        taken.sendall(b"%1\r\n$5\r\nproto\r\n:3\r\n")
        while b"big" not in (asked := taken.recv(65_536)):
            taken.sendall(b"+OK\r\n" * asked.count(b"CLIENT"))
        taken.sendall(b"$%d\r\n" % (2 * LARGE) + bytes(LARGE))
        if ends == "stalls":
            taken.recv(1)


def test_a_large_answer_takes_its_own_size_of_memory(client: redis.Redis, redis_url: str) -> None:
    client.set("big", bytes(SIZE))
    path = os.pathsep.join(str(ROOT / part) for part in (".", "actions", "scripts"))
    argv = [sys.executable, "-m", __spec__.name, redis_url]
    done = subprocess.run(argv, env=environment(PYTHONPATH=path), stdout=subprocess.PIPE, timeout=120, check=True)
    assert SIZE <= int(done.stdout) < 1.3 * SIZE


def most_resident() -> int:
    """Bytes that this process held at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024


if __name__ == "__main__":
    with store.client(sys.argv[1]) as asker:
        asker.ping()
        before = most_resident()
        value = asker.get("big")
        assert isinstance(value, bytes)
        assert len(value) == SIZE
        sys.stdout.write(str(most_resident() - before))
