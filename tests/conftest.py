"""Fixtures for all tests; README.md beside this file says how to use them."""

import gc
import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from elasticsearch import Elasticsearch
from hypothesis import HealthCheck, settings

from tests.support.engine import OTHER_KEY, Engine
from tests.support.fuzz import examples
from tests.support.paths import ROOT, SCRIPTS, SHARED
from tests.support.plates import PlatesServer
from tests.support.services import Services

pytest_plugins = ("tests.support.schedule", "tests.support.logs", "tests.support.summary", "tests.support.stalls")

TIMEOUTS_S = {"functional": 600, "integration": 600, "acceptance": 900}
"""Longer than pyproject.toml's: real files wait for their disk, and the first test with servers has the start of all of them in its time."""

gc.disable()  # until all is collected

settings.register_profile(
    "hort",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=examples(50),
    derandomize=not os.environ.get("HORT_FUZZ_EXAMPLES"),  # a change breaks a property or it does not, whenever it is looked at
)
settings.load_profile("hort")


def pytest_configure() -> None:
    """Let a polite kill of the run (a time limit's, a CI's) stop the started servers too, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("HORT_ELASTICSEARCH_JVM", "-XX:TieredStopAtLevel=1")  # starts with half the work; what it would gain later is little


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies under tests/functional, tests/integration and tests/acceptance, with a time limit where it has none of its own."""
    for item in items:
        folder = item.path.relative_to(ROOT).parts[1:2]
        if not folder or folder[0] not in TIMEOUTS_S:
            continue
        item.add_marker(folder[0])
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUTS_S[folder[0]]))


def pytest_collection_finish() -> None:
    """What collecting made stays to the end: the garbage collector, quiet until now, need not look at it again and again."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a value that holds binary bytes by their length: gzip's carry the second in which a worker made them."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One folder for all that a worker's tests leave in temporary files, so that the logs of a failed one are found (support/logs.py)."""
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def paho_without_its_own_listener() -> Iterator[None]:
    """paho wakes its thread through a pair of TCP sockets and waits for the second without a time limit: for ever where a container's
    firewall rule takes connections to the port it got, as once in a long run. A pair the kernel makes needs no port."""

    def pair() -> tuple[socket.socket, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        return ours, theirs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paho.mqtt.client._socketpair_compat", pair)
        yield


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("services"))
    yield services
    services.close()


@pytest.fixture
def mqtt_url(stack: Services) -> str:
    return stack.url("mosquitto")


@pytest.fixture
def redis_url(stack: Services) -> str:
    return stack.url("redis")


@pytest.fixture
def elasticsearch_url(stack: Services) -> str:
    return stack.url("elasticsearch")


@pytest.fixture
def redis_client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def elasticsearch_client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        for index in client.indices.get(index="*"):
            client.indices.delete(index=index)
        found = client.options(ignore_status=404).indices.get_index_template(name="*")
        for template in found["index_templates"]:
            if template["name"].startswith(("hort", "test")):
                client.indices.delete_index_template(name=template["name"])
        yield client


@pytest.fixture(scope="session")
def shared_whisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("engine"), "--limits", "raised", "--identity", f"other={OTHER_KEY}")
    yield engine
    engine.stop()


@pytest.fixture
def whisk(shared_whisk: Engine) -> Engine:
    shared_whisk.empty()
    return shared_whisk


@pytest.fixture
def new_whisk(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    started: list[Engine] = []

    def start(*options: str) -> Engine:
        started.append(Engine(tmp_path / f"engine-{len(started)}", *options))
        return started[-1]

    yield start
    for engine in started:
        engine.stop()


@pytest.fixture(scope="session")
def zips() -> Path:
    """The folder with every action's zip, as `./scripts/deploy` takes them; those that are built already are not built again."""
    done = subprocess.run([SCRIPTS / "build"], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build"


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatesServer]:
    server = PlatesServer(tmp_path_factory.mktemp("plates"))
    yield server
    server.stop()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def topic_root(request: pytest.FixtureRequest) -> str:
    return "test/" + re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.nodeid)[-120:]


@pytest.fixture
def shared() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs ../shared/{name}, which is not beside the repository")
        return path

    return find
