"""The divvy action as a whole: real GBFS over HTTP, real broker, real Redis."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest
import redis
from paho.mqtt.enums import CallbackAPIVersion

from gbfs_server.server import Server
from gbfs_server.source import Information, Row, Snapshot
from hort import divvy_action, keys
from hort.counters import RedisCounters
from hort.divvy_state import Memory, RedisPollState
from hort.errors import PublishFailed
from hort.publisher import Broker, PahoPublisher
from tests.support.polling import wait_until
from tests.support.services import Services


class Fixed:
    """A source with one document at a time."""

    name = "fixed"

    def __init__(self, stations: int) -> None:
        self.number = 1
        self.stations = stations

    def information(self) -> Information:
        return Information(
            1, [{"station_id": str(at), "name": f"S{at}", "capacity": 9} for at in range(self.stations)]
        )

    def status(self) -> Snapshot:
        rows: list[Row] = [
            {"station_id": str(at), "num_bikes_available": at % 9, "is_renting": 1, "last_reported": 5}
            for at in range(self.stations)
        ]
        return Snapshot(self.number, 1_400_000_000 + self.number, 1, rows)

    def progress(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def source() -> Iterator[tuple[Fixed, str]]:
    fixed = Fixed(300)
    server = Server(fixed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield fixed, f"{server.address}/gbfs.json"
    server.shutdown()
    server.server_close()


@pytest.fixture
def received(mqtt_url: str) -> Iterator[list[paho.MQTTMessage]]:
    broker, found, ready = Broker.of({"mqtt_url": mqtt_url}), [], threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: found.append(message)
    client.on_subscribe = lambda *_: ready.set()
    client.connect(broker.host, broker.port)
    client.subscribe("iot-2/type/divvy/#", qos=1)
    client.loop_start()
    assert ready.wait(60)
    yield found
    client.disconnect()
    client.loop_stop()


def test_each_document_reaches_the_broker_once(
    source: tuple[Fixed, str],
    received: list[paho.MQTTMessage],
    mqtt_url: str,
    redis_url: str,
    redis_client: "redis.Redis",
) -> None:
    fixed, url = source
    args = {"gbfs_url": url, "mqtt_url": mqtt_url, "redis_url": redis_url, "allow_private": True}
    assert divvy_action.run(args)["published"] == 300
    assert divvy_action.run(args)["published"] == 0
    fixed.number = 2
    assert divvy_action.run(args)["published"] == 300
    wait_until(lambda: len(received) >= 600, what="600 messages")
    assert len({message.topic for message in received}) == 300
    assert {message.qos for message in received} == {1}
    first = json.loads(next(message.payload for message in received if "/id/7/" in message.topic))
    assert first == {
        "station_id": "7", "num_bikes_available": 7, "is_renting": 1, "last_reported": 5, "name": "S7", "capacity": 9
    }  # fmt: skip
    counted = RedisCounters(redis_client).all()
    assert counted == {"divvy.published": 600, "divvy.polls": 3, "divvy.unchanged": 1}
    assert not redis_client.exists(keys.GBFS_LOCK)


def test_a_private_source_must_be_allowed(
    source: tuple[Fixed, str], mqtt_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    result = divvy_action.run({"gbfs_url": source[1], "mqtt_url": mqtt_url, "redis_url": redis_url})
    assert result["published"] == 0
    assert "not a public address" in result["reason"]


def test_without_a_source_there_is_nothing_to_do() -> None:
    assert divvy_action.run({"gbfs_url": ""})["published"] == 0


def test_a_source_that_is_gone_is_no_error(
    mqtt_url: str, redis_url: str, redis_client: "redis.Redis"
) -> None:
    result = divvy_action.run(
        {
            "gbfs_url": "http://127.0.0.1:9/gbfs.json",
            "mqtt_url": mqtt_url,
            "redis_url": redis_url,
            "allow_private": True,
        }
    )
    assert result["published"] == 0
    assert "127.0.0.1:9" in result["reason"]


def test_a_broker_that_is_gone_is_an_error_without_its_password(
    source: tuple[Fixed, str], redis_url: str, redis_client: "redis.Redis"
) -> None:
    result = divvy_action.run(
        {
            "gbfs_url": source[1],
            "mqtt_url": "mqtt://me:s3cret@127.0.0.1:9",
            "redis_url": redis_url,
            "allow_private": True,
            "publish_timeout_s": 0.3,
        }
    )
    assert "127.0.0.1:9" in result["error"]
    assert "s3cret" not in result["error"]
    assert RedisPollState(redis_client).load() == Memory()


def taken(publisher: PahoPublisher) -> bool:
    """Whether a message is acknowledged; a connection that broke may be noticed before or after it is sent."""
    try:
        return all(publisher.publish([("t", b"2")], qos=1, timeout_s=0.5))
    except PublishFailed:
        return False


def test_a_publisher_comes_back_after_the_broker_was_away(stack: Services, mqtt_url: str) -> None:
    publisher = PahoPublisher(Broker.of({"mqtt_url": mqtt_url}))
    assert publisher.publish([("t", b"1")], qos=1, timeout_s=60) == [True]
    stack.stop("mosquitto")
    try:
        assert not taken(publisher)
        with pytest.raises(PublishFailed):
            publisher.publish([("t", b"2")], qos=1, timeout_s=0.5)
    finally:
        stack.start("mosquitto")
    assert publisher.publish([("t", b"3")], qos=1, timeout_s=60) == [True]
    publisher.close()


def test_the_state_in_redis_keeps_lock_and_memory(redis_client: "redis.Redis") -> None:
    state = RedisPollState(redis_client)
    token = state.lock(60_000)
    assert token is not None
    assert state.lock(60_000) is None
    state.unlock("someone else's")
    assert state.lock(60_000) is None
    state.unlock(token)
    assert state.lock(60_000) is not None
    memory = Memory(["a"], "b", ["5"], {"5": "x"})
    state.save(memory)
    assert state.load() == memory
    redis_client.hset(keys.GBFS_STATE, "memory", "{")
    assert state.load() == Memory()
