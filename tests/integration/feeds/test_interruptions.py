"""Whatever is interrupted in mid-stream, each message is journalled, and only once."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from feeds.provider.leases import LEASE_MS
from tests.support.polling import wait_until
from tests.support.provider import Consumer, FakeWhisk, Provider, publish, publisher
from tests.support.services import Services

FAST = {"max_fires_per_minute": 600, "linger_ms": 50}


@contextmanager
def stream(url: str, topic: str, *, rate: int = 400, qos: int = 1) -> Iterator[list[bytes]]:
    """Publishes numbered messages in the background; the list holds what the broker has taken for sure."""
    sent: list[bytes] = []
    stop = threading.Event()

    def run() -> None:
        with publisher(url) as client:
            number = 0
            while not stop.is_set():
                payloads = [b"message %d" % at for at in range(number, number + rate // 20)]
                number += len(payloads)
                try:
                    publish(client, topic, payloads, qos=qos)
                    sent.extend(payloads)
                except (RuntimeError, ValueError, AssertionError):
                    pass  # the broker is away: nobody was promised anything
                stop.wait(0.05)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join(120)


def assert_exactly_once(consumer: Consumer, sent: list[bytes]) -> None:
    wait_until(lambda: set(sent) <= set(consumer.payloads), timeout_s=120, what=f"all {len(sent)} messages")
    counts = Counter(consumer.payloads)
    doubled = {payload: count for payload, count in counts.items() if count > 1}
    assert not doubled, f"{len(doubled)} of {len(sent)} doubled: {dict(list(doubled.items())[:5])}"


def wait_for(consumer: Consumer, more: int) -> None:
    start = len(consumer.payloads)
    wait_until(lambda: len(consumer.payloads) >= start + more, timeout_s=120, what=f"{more} more messages")


@pytest.mark.slow(40)
@pytest.mark.parametrize("qos", [1, 2])
def test_provider_killed_in_mid_stream(
    new_provider: Callable[..., Provider], consumer: Consumer, mqtt_url: str, topic_root: str, qos: int
) -> None:
    provider = new_provider()
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", qos=qos, **FAST)
    with stream(mqtt_url, f"{topic_root}/a", rate=2000, qos=qos) as sent:
        for _ in range(3):
            wait_for(consumer, 500)
            provider.kill()
            provider = new_provider()
            provider.wait_connected()
        wait_for(consumer, 500)
    assert_exactly_once(consumer, sent)


def test_provider_killed_between_journal_and_ack(
    new_provider: Callable[..., Provider],
    consumer: Consumer,
    redis_client: "redis.Redis",
    mqtt_url: str,
    topic_root: str,
) -> None:
    provider = new_provider(module="tests.support.mute_provider")
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    sent = [b"message %d" % at for at in range(50)]
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", sent)
    wait_until(lambda: len(consumer.payloads) >= 50, what="journalled and fired")
    provider.kill()
    again = new_provider()
    wait_until(lambda: again.metric("mqtt_connected") == 1, timeout_s=60, what="taken over: its status still is the dead one's report")
    wait_until(lambda: again.metric("duplicates_total") == 50, what="repetitions recognised")
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"later"])
    assert_exactly_once(consumer, [*sent, b"later"])


def test_broker_restarted(
    provider: Provider, consumer: Consumer, stack: Services, mqtt_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    with publisher(mqtt_url) as client:
        sent = [b"before %d" % at for at in range(100)]
        publish(client, f"{topic_root}/a", sent)
    stack.stop("mosquitto")
    try:
        wait_until(lambda: not provider.read()["connected"], what="loss noticed")
    finally:
        stack.start("mosquitto")
    wait_until(lambda: provider.read()["connected"], what="connected again")
    with publisher(mqtt_url) as client:
        later = [b"after %d" % at for at in range(100)]
        publish(client, f"{topic_root}/a", later)
    assert_exactly_once(consumer, sent + later)
    assert provider.process.poll() is None


def test_broker_restarted_in_mid_stream_loses_nothing(
    provider: Provider, consumer: Consumer, stack: Services, mqtt_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    with stream(mqtt_url, f"{topic_root}/a", rate=2000) as sent:
        for _ in range(2):
            wait_for(consumer, 500)
            stack.stop("mosquitto")
            stack.start("mosquitto")
            wait_for(consumer, 500)
    wait_until(lambda: set(sent) <= set(consumer.payloads), timeout_s=120, what=f"all {len(sent)} messages")


def test_connection_cut_in_mid_stream(
    provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    answer = provider.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    client_id = answer["config"]["client_id"]
    with stream(mqtt_url, f"{topic_root}/a", rate=2000) as sent:
        for _ in range(4):
            wait_for(consumer, 500)
            cut(provider, mqtt_url, client_id)
        wait_for(consumer, 500)
    assert_exactly_once(consumer, sent)
    assert provider.metric("mqtt_connects_total") >= 5


def cut(provider: Provider, url: str, client_id: str) -> None:
    """Cuts its connection, and waits for another one: by the count, as its status is of before for up to a second."""
    made = provider.metric("mqtt_connects_total")
    steal_session(url, client_id)
    wait_until(lambda: provider.metric("mqtt_connects_total") > made, what="connected again")


def steal_session(url: str, client_id: str) -> None:
    """Connects with another's client id and leaves at once: the broker cuts the other's connection."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04\x00\x00\x3c" + len(name).to_bytes(2, "big") + name
    with socket.create_connection((parts.hostname, parts.port), 60) as sock:
        sock.sendall(b"\x10" + bytes([len(body)]) + body)
        sock.recv(4)


@pytest.mark.slow(35)
def test_redis_restarted(
    provider: Provider, consumer: Consumer, stack: Services, mqtt_url: str, redis_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    with stream(mqtt_url, f"{topic_root}/a") as sent:
        wait_for(consumer, 200)
        stack.stop("redis")
        try:
            before = len(sent)
            wait_until(lambda: len(sent) > before + 500, what="stream goes on")
        finally:
            stack.start("redis")
        wait_for(consumer, 600)
    assert_exactly_once(consumer, sent)
    assert provider.process.poll() is None


@pytest.mark.slow(30)
def test_qos_0_messages_outlive_an_outage_of_redis_that_is_longer_than_the_lease(
    provider: Provider, consumer: Consumer, stack: Services, mqtt_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", qos=0, **FAST)
    stack.stop("redis")
    try:
        sent = [b"message %d" % at for at in range(20)]
        with publisher(mqtt_url) as client:
            publish(client, f"{topic_root}/a", sent, qos=0)
        wait_until(lambda: provider.metric("received_total") >= 20, what="in memory")
        time.sleep(LEASE_MS / 1000 + 1)  # what is tested is that this time passes
    finally:
        stack.start("redis")
    assert_exactly_once(consumer, sent)
    assert '"lease-lost"' not in provider.log


def test_stop_journals_what_is_in_memory(
    new_provider: Callable[..., Provider],
    consumer: Consumer,
    openwhisk: FakeWhisk,
    mqtt_url: str,
    topic_root: str,
) -> None:
    openwhisk.answer = lambda _number: (204, None)
    first = new_provider()
    first.create(url=mqtt_url, topics=f"{topic_root}/#", linger_ms=60_000)
    sent = [b"message %d" % at for at in range(20)]
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", sent)
    wait_until(lambda: first.metric("received_total") >= 20, what="received")
    assert first.stop() == 0
    openwhisk.answer = lambda _number: (202, None)
    new_provider()
    assert_exactly_once(consumer, sent)
