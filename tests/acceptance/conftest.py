"""The whole suite, running as a user runs it: services, engine, provider, our manifest deployed by wskdeploy."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
import pytest
import redis
from elasticsearch import ApiError, Elasticsearch
from paho.mqtt.enums import CallbackAPIVersion

from hort import keys
from tests.support.plates_suite import IMAGE
from tests.support.polling import wait_until
from workloads.machine import Machine, services, suite

T = TypeVar("T")
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
NO_SHARD_S = 60.0
RAISED = (
    "--limits",
    "raised",
    "--invocations-per-minute",
    "3000",
    "--fires-per-minute",
    "3000",
    "--concurrent",
    "100",
    "--map-image",
    f"{IMAGE}=http://127.0.0.1:9",  # nobody reads plates here, and no container engine is asked for the image
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless chromium; a module's own, since its loop keeps others of the thread from running."""
    if not CHROMIUM.exists():
        pytest.skip(f"the page is not tested: no browser at {CHROMIUM} (apt-get install chromium)")
    sync = pytest.importorskip("playwright.sync_api", reason="the page is not tested: the package playwright is not installed")
    with sync.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGUMENTS, timeout=120_000)
        yield found
        found.close()


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Everything up, the feed subscribed to `iot-2/#`, no model registered."""
    with (
        services() as running,
        suite(running, limits=RAISED, topics="iot-2/#", max_fires_per_minute="600", linger_ms="100", score_budget_ms="45000"),
    ):
        yield running


@pytest.fixture
def search(machine: Machine) -> Iterator[Elasticsearch]:
    """A client of the suite's Elasticsearch."""
    with Elasticsearch(
        machine.elasticsearch_url, request_timeout=60, max_retries=5, retry_on_timeout=True
    ) as client:
        yield client


def patient(condition: Callable[[], bool]) -> Callable[[], bool]:
    """The condition, not met as long as an index that is just being made has no shard to ask."""

    def met() -> bool:
        try:
            return condition()
        except ApiError as error:
            if error.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return False

    return met


def patiently(look: Callable[[], T]) -> T:
    """What a look at Elasticsearch finds; an index that is just being made may have no shard to ask for a while."""
    until = time.monotonic() + NO_SHARD_S
    while True:
        try:
            return look()
        except ApiError as error:
            if error.status_code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until:
                raise
        time.sleep(0.2)


def under_way(machine: Machine) -> set[str]:
    """Ids of the batches in the feed's journal: fired or not, none of them is stored whole."""
    with redis.Redis.from_url(machine.redis_url) as client:
        rows: Any = client.zrange(keys.journal(0, keys.registration_id("/guest/device-events")), 0, -1)
    return {row.decode() for row in rows}


class Device:
    """A publisher with a session of its own at QoS 2, so that what it counts as published is published once."""

    def __init__(self, url: str, device_type: str) -> None:
        self.device_type = device_type
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"device-{uuid.uuid4().hex}", clean_session=False
        )
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(min_delay=1, max_delay=2)
        host, _, port = url.removeprefix("mqtt://").partition(":")
        self._client.on_publish = self._on_publish
        self._client.connect(host, int(port))
        self._client.loop_start()
        self._sent = 0
        self._taken: set[int] = set()

    def publish(self, data: dict[str, Any] | bytes, *, device: str = "1", topic: str | None = None) -> None:
        """Queues one message; it is sent when the broker is there."""
        payload = data if isinstance(data, bytes) else json.dumps(data).encode()
        where = topic or f"iot-2/type/{self.device_type}/id/{device}/evt/status/fmt/json"
        self._client.publish(where, payload, qos=2)
        self._sent += 1

    def published(self, timeout_s: float = 180) -> int:
        """Waits until the broker has everything; how many that were."""
        wait_until(lambda: len(self._taken) == self._sent, timeout_s=timeout_s, what="publication")
        return self._sent

    def _on_publish(self, _client: mqtt.Client, _data: object, mid: int, *_: object) -> None:
        self._taken.add(mid)

    def close(self) -> None:
        """Ends the connection."""
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def device(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Device]:
    """A publisher whose device type is this test's name."""
    publisher = Device(
        machine.mqtt_url,
        f"t{uuid.uuid4().hex[:6]}-{request.node.name[:40].translate(str.maketrans('[]', '--'))}",
    )
    yield publisher
    publisher.close()


@pytest.fixture
def stored(search: Elasticsearch) -> Callable[[str, str], list[dict[str, Any]]]:
    """`stored(index, device_type)`: the documents of one device type, as a search sees them now."""

    def look(index: str, device_type: str) -> list[dict[str, Any]]:
        search.indices.refresh(index=index, ignore_unavailable=True)
        field = "devicetype" if index == "analytics" else "device_type"
        found = search.search(
            index=index,
            query={"term": {field: device_type}},
            size=10_000,
            ignore_unavailable=True,
            allow_no_indices=True,
        )
        return [{**hit["_source"], "_id": hit["_id"]} for hit in found["hits"]["hits"]]

    def find(index: str, device_type: str) -> list[dict[str, Any]]:
        return patiently(lambda: look(index, device_type))

    return find
