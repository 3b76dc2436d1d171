"""The known stream over a real broker that is killed in mid-stream."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from campaign.devices import Devices
from campaign.record_oracle import Rules, judge
from campaign.stream import FLEETING, LEAST, NUMBERED, PLAIN, QOS, Published, Stream
from campaign.verdict import Verdict
from tests.support.campaign import event_of
from tests.support.polling import wait_until
from tests.support.services import Services

RATE = 200
DEVICES = 3
LAST = "iot-2/type/last/id/last/evt/last/fmt/json"


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    services = Services(tmp_path_factory.mktemp("broker"))
    yield services
    services.close()


class Subscriber:
    """Takes everything at QoS 2 in a session of its own."""

    def __init__(self, url: str) -> None:
        self.seen: list[tuple[str, str, dict[str, int], float]] = []
        self._subscribed = threading.Event()
        self._drained = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = lambda client, *_: client.subscribe("iot-2/#", qos=2)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        host, _, port = url.removeprefix("mqtt://").partition(":")
        self._client.connect(host, int(port))
        self._client.loop_start()
        assert self._subscribed.wait(60)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == LAST:
            self._drained.set()
            return
        parts = message.topic.split("/")
        self.seen.append((parts[2], parts[4], json.loads(message.payload), time.time()))

    def drain(self) -> None:
        """Waits for what the broker has for it: a client's messages keep their order, so one to itself comes last."""
        self._client.publish(LAST, b"{}", qos=2)
        assert self._drained.wait(60)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def stored(subscriber: Subscriber, stream: Stream) -> Verdict:
    """What the oracle says of a suite that stored each message as it came, the numbered ones once."""
    known = {(record.group, record.device, record.seq): record for record in stream.published}
    copies: Counter[tuple[str, str, int]] = Counter()
    events = []
    for group, device, data, at in subscriber.seen:
        record = known[group, device, data["seq"]]
        copy = copies[group, device, data["seq"]]
        copies[group, device, data["seq"]] += 1
        if group != NUMBERED or not copy:
            events.append({**event_of(record, copy=copy, received_s=at), "data": data})
    verdict = Verdict()
    judge(stream, events, Rules(), verdict)
    return verdict


def saved_since(broker: Services, moment_s: float) -> bool:
    """Whether the broker has saved its state after a moment."""
    return any(path.stat().st_mtime > moment_s for path in broker.state.rglob("mosquitto.db"))


def grown(devices: Devices, count: str, by: int, *names: str) -> None:
    """Waits until a count of each of these groups has grown."""
    before = {name: devices.counts()[name][count] for name in names}
    wait_until(
        lambda: all(devices.counts()[name][count] > before[name] + by for name in names),
        timeout_s=60,
        what=f"{by} more records {count} of {', '.join(names)}",
    )


def by_group(stream: Stream) -> dict[str, list[Published]]:
    return {name: [record for record in stream.published if record.group == name] for name in QOS}


@pytest.mark.timeout(600)
def test_the_stream_survives_a_kill_of_the_broker(broker: Services, tmp_path: Path) -> None:
    url = broker.url("mosquitto")
    subscriber, subscribed_s = Subscriber(url), time.time()
    devices = Devices(url, seed=5, rate=RATE, devices=DEVICES)
    try:
        devices.start()
        wait_until(lambda: saved_since(broker, subscribed_s), timeout_s=60, what="the broker has saved the subscriber's session")
        grown(devices, "done", 50, NUMBERED, PLAIN)
        pid = broker.pid("mosquitto")
        devices.broker_killed(time.time())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: all(devices.counts()[name]["outages"] for name in QOS), timeout_s=60, what="lost connections")
        grown(devices, "handed", 20, *QOS)
        broker.start("mosquitto")
        wait_until(lambda: devices.counts()[NUMBERED]["again"] > 50, timeout_s=60, what="repeats after the kill")
        grown(devices, "done", 50, PLAIN)
        assert devices.finish(60)
        stream = devices.stream()
        subscriber.drain()
    finally:
        devices.close()
        subscriber.close()
    groups = by_group(stream)
    for name in (NUMBERED, PLAIN, LEAST):
        assert all(record.done_at is not None for record in groups[name])
        for device in {record.device for record in groups[name]}:
            numbers = [record.seq for record in groups[name] if record.device == device]
            assert numbers == list(range(len(numbers)))
    assert any(record.copies > 1 for record in groups[NUMBERED])
    assert any(record.done_at is None for record in groups[FLEETING]), "what is QoS 0 is gone while there is no broker"
    assert all(stream.outages[name] for name in QOS)
    verdict = stored(subscriber, stream)
    assert verdict.ok, [finding.line() for finding in verdict.findings["lost"] + verdict.findings["wrong"]][:10]
    devices.save(tmp_path / "published.jsonl.gz")
    assert (tmp_path / "published.jsonl.gz").stat().st_size > 1_000


@pytest.mark.timeout(300)
def test_devices_without_a_broker_say_so() -> None:
    devices = Devices("mqtt://127.0.0.1:1", seed=1, rate=RATE, devices=1)
    try:
        with pytest.raises(TimeoutError, match="no connection to the broker within"):
            devices.start(timeout_s=0.5)
    finally:
        devices.close()
