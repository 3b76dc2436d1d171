"""mosquitto is killed with -9 and comes back as it was at its last autosave: what had its PUBACK is journalled, and once.

What MQTT cannot tell apart, and these tests therefore count as two messages:

- A publisher that did not get its PUBACK sends again; the broker, which has forgotten the first, numbers it anew and sends it on
  without DUP, as if the device had said the same thing twice.
- What waited in the broker's *queue* at the save, never sent (the provider was away, or a whole window of 30,000 behind), comes again
  without DUP: it looks like new messages, which get the numbers after the save again, too.
- A message that the provider took, and that both it and the broker lost before either wrote it to disk, is gone, PUBACK or not: only
  the publisher can repeat it. So the provider is killed together with the broker here when it has journalled what it took.
"""

import os
import signal
import socket
import struct
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import paho.mqtt.client as mqtt
import pytest
import redis
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from feeds.provider.fast_paho import PUBACK, FastClient
from hort import keys
from tests.support.polling import wait_until
from tests.support.provider import Consumer, Provider
from tests.support.services import Services

FAST = {"max_fires_per_minute": 600, "linger_ms": 50}
KILLS = 3


class Broker:
    """A mosquitto of this test's own, set as scripts/stack sets it."""

    def __init__(self, folder: Path) -> None:
        self.services = Services(folder)
        self.url = self.services.url("mosquitto")
        self.pid = self.services.pid("mosquitto")

    @property
    def saved(self) -> int:
        """When it last saved, in ns; 0 where it never did."""
        return max((file.stat().st_mtime_ns for file in self.services.state.rglob("mosquitto.db")), default=0)

    def kill(self, *, also: Callable[[], None] = lambda: None) -> None:
        """`also` in the same breath: a provider that sees its broker gone begins to make a new connection."""
        os.kill(self.pid, signal.SIGKILL)
        also()
        wait_until(lambda: not answers(self.url), what="the broker is gone")

    def start(self) -> None:
        self.services.start("mosquitto")
        self.pid = self.services.pid("mosquitto")


def answers(url: str) -> bool:
    host, _, port = url.rpartition("/")[2].partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "own")
    yield broker
    broker.services.close()


class Publisher:
    """Sends numbered messages, a few at a time; `sure` had their PUBACK, what has none in time is not sent again."""

    def __init__(self, url: str, topic: str, *, name: str = "message") -> None:
        self.url, self.topic, self.name = url, topic, name
        self.sure: list[bytes] = []
        self._number = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> list[bytes]:
        self._stop.set()
        self._thread.join(60)
        return self.sure

    def _run(self) -> None:
        while not self._stop.is_set():
            client = mqtt.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
            host, _, port = self.url.rpartition("/")[2].partition(":")
            try:
                client.connect(host, int(port))
            except OSError:
                self._stop.wait(0.1)
                continue
            client.loop_start()
            self._stream(client)
            client.disconnect()
            client.loop_stop()

    def _stream(self, client: mqtt.Client) -> None:
        for _ in range(100):
            if client.is_connected() or self._stop.wait(0.02):
                break
        while not self._stop.wait(0.02) and client.is_connected():
            payloads = [f"{self.name} {at}".encode() for at in range(self._number, self._number + 10)]
            self._number += len(payloads)
            pending = [(payload, client.publish(self.topic, payload, qos=1)) for payload in payloads]
            for payload, info in pending:
                while not taken(info) and client.is_connected():
                    self._stop.wait(0.002)
                if taken(info):
                    self.sure.append(payload)


def taken(info: mqtt.MQTTMessageInfo) -> bool:
    """Whether its PUBACK came. paho raises for what a connection that broke meanwhile took along: it got none."""
    try:
        return info.is_published()
    except RuntimeError:
        return False


def grown(publisher: Publisher, consumer: Consumer, more: int) -> None:
    start = len(publisher.sure)
    wait_until(lambda: len(publisher.sure) >= start + more, timeout_s=60, what=f"{more} more PUBACKs")
    last = publisher.sure[-1]
    wait_until(lambda: last in set(consumer.payloads), timeout_s=60, what="journalled")


def saved_again(broker: Broker) -> None:
    before = broker.saved
    wait_until(lambda: broker.saved > before, timeout_s=60, interval_s=0.002, what="the next autosave")


def keeps_ids(client: "redis.Redis", registration: str) -> None:
    """Waits until the provider keeps the packet ids of what it has acked: it does once it is sure how the broker numbers, after some reads."""

    def kept() -> bool:
        fields = cast("list[bytes]", client.hkeys(keys.unacked(0, registration)))
        return any(field.startswith(b"~") for field in fields) and not any(field.startswith(b"!") for field in fields)

    wait_until(kept, what="packet ids that are kept")


def all_there(consumer: Consumer, sure: list[bytes]) -> None:
    wait_until(lambda: set(sure) <= set(consumer.payloads), timeout_s=60, what=f"all {len(sure)} messages")


def assert_once_each(consumer: Consumer, sure: list[bytes]) -> None:
    all_there(consumer, sure)
    counts = Counter(consumer.payloads)
    doubled = [payload for payload, count in counts.items() if count > 1]
    assert not doubled, f"{len(doubled)} of {len(sure)} doubled: {doubled[:5]}"


@pytest.mark.slow(30)
def test_broker_killed_in_mid_stream(
    broker: Broker, provider: Provider, consumer: Consumer, topic_root: str, redis_client: "redis.Redis"
) -> None:
    feed = provider.create(url=broker.url, topics=f"{topic_root}/#", **FAST)
    saved_again(broker)
    publisher = Publisher(broker.url, f"{topic_root}/a")
    try:
        for _ in range(KILLS):
            grown(publisher, consumer, 200)
            keeps_ids(redis_client, feed["id"])
            saved_again(broker)
            grown(publisher, consumer, 100)
            broker.kill()
            broker.start()
            provider.wait_connected()
        grown(publisher, consumer, 100)
    finally:
        sure = publisher.stop()
    assert_once_each(consumer, sure)


@pytest.mark.slow(45)
def test_broker_and_provider_killed_together(
    broker: Broker, new_provider: Callable[..., Provider], consumer: Consumer, topic_root: str, redis_client: "redis.Redis"
) -> None:
    provider = new_provider()
    feed = provider.create(url=broker.url, topics=f"{topic_root}/#", **FAST)
    saved_again(broker)
    sure: list[bytes] = []
    for at in range(KILLS):
        publisher = Publisher(broker.url, f"{topic_root}/a", name=f"message {at}")
        try:
            grown(publisher, consumer, 200)
            keeps_ids(redis_client, feed["id"])
            saved_again(broker)
            grown(publisher, consumer, 100)
        finally:
            sure += publisher.stop()
        all_there(consumer, sure)
        broker.kill(also=provider.kill)
        broker.start()
        provider = new_provider()
        provider.wait_connected()
    publisher = Publisher(broker.url, f"{topic_root}/a", name="last")
    try:
        grown(publisher, consumer, 1)  # after what the broker sends again
    finally:
        sure += publisher.stop()
    assert_once_each(consumer, sure)


def test_what_came_before_a_reset_is_read() -> None:
    """As when the broker dies with acks unread: its system resets the connection, and the provider notices by an ack that fails."""
    client = FastClient(clock=lambda: 0, repeated=lambda *_: False, fresh=lambda _: None, cut=lambda *_: None, client_id="c", manual_ack=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        client.connect("127.0.0.1", server.getsockname()[1])
        peer, _ = server.accept()
        peer.sendall(b"\x20\x02\x01\x00")
        wait_until(lambda: client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS and client.is_connected(), what="connected")
        body = b"\x00\x01a\x00\x07" + b"x" * 500  # all of it within the window of a new connection: a reset drops what waits outside
        peer.sendall((b"\x32" + bytes([len(body) % 128 | 128, len(body) // 128]) + body) * 100)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        client.acknowledge(PUBACK, array("H", [7]))
    assert client.socket() is None
    assert len(client.columns) == 100
