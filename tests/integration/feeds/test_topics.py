"""Topics, quality of service, retained and large messages over a real broker."""

import json

import pytest

from tests.support.polling import wait_until
from tests.support.provider import Consumer, FakeWhisk, Provider, publish, publisher

FAST = {"max_fires_per_minute": 600, "linger_ms": 20}


def everything(consumer: Consumer) -> list[tuple[str, bytes, int, bool]]:
    found = [message for messages in list(consumer.batches.values()) for message in messages]
    return [(message.topic, message.payload, message.qos, message.retained) for message in found]


def test_wildcards_and_several_filters(
    provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=[f"{topic_root}/+/status", f"{topic_root}/all/#"], **FAST)
    with publisher(mqtt_url) as client:
        for topic in ("a/status", "b/status", "a/other", "all/x/y"):
            publish(client, f"{topic_root}/{topic}", [topic.encode()])
    wait_until(lambda: len(consumer.payloads) == 3, what="three messages")
    assert {topic.removeprefix(topic_root) for topic, *_ in everything(consumer)} == {"/a/status", "/b/status", "/all/x/y"}


def test_shared_subscription(provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str) -> None:
    provider.create(url=mqtt_url, topics=f"$share/group/{topic_root}/#", **FAST)
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"%d" % number for number in range(20)])
    wait_until(lambda: len(consumer.payloads) == 20, what="all messages")


def test_retained_flag(provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str) -> None:
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"kept"], retain=True)
        provider.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
        publish(client, f"{topic_root}/a", [b"fresh"])
        wait_until(lambda: len(consumer.payloads) == 2, what="both messages")
        publish(client, f"{topic_root}/a", [b""], retain=True)
    assert {(payload, retained) for _, payload, _, retained in everything(consumer) if payload} == {
        (b"kept", True),
        (b"fresh", False),
    }


def test_one_more_filter_brings_what_is_retained_under_the_others_no_second_time(
    provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"kept"], retain=True)
        publish(client, f"{topic_root}/b", [b"kept too"], retain=True)
        provider.create(url=mqtt_url, topics=f"{topic_root}/a", **FAST)
        wait_until(lambda: consumer.payloads == [b"kept"], what="the retained message")
        provider.call("PUT", {"params": {"topics": [f"{topic_root}/a", f"{topic_root}/b"]}})
        wait_until(lambda: b"kept too" in consumer.payloads, what="that of the new filter")
        publish(client, f"{topic_root}/a", [b"fresh"])
        wait_until(lambda: b"fresh" in consumer.payloads, what="a message after it")
        publish(client, f"{topic_root}/a", [b""], retain=True)
        publish(client, f"{topic_root}/b", [b""], retain=True)
    assert sorted(payload for payload in consumer.payloads if payload) == [b"fresh", b"kept", b"kept too"]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_quality_of_service(
    provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str, qos: int
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", qos=qos, **FAST)
    sent = [b"%d" % number for number in range(300)]
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", sent, qos=2)
    wait_until(lambda: sorted(consumer.payloads) == sorted(sent), what="all messages")
    assert {found for *_, found, _ in everything(consumer)} == {qos}


def test_two_megabytes_go_through_and_the_next_message_too(
    provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    large = bytes(range(256)) * 8192
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [large, b"next"])
    wait_until(lambda: sorted(map(len, consumer.payloads)) == [4, len(large)], what="both messages")
    assert large in consumer.payloads


def test_a_message_too_large_for_an_inline_fire_is_named_and_the_next_flows(
    provider: Provider, openwhisk: FakeWhisk, mqtt_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", delivery="inline", **FAST)
    with publisher(mqtt_url) as client:
        publish(client, f"{topic_root}/a", [b"x" * 2_000_000, b"y" * 600_000, b"z" * 600_000, b"next"])
    wait_until(lambda: sum(len(fire["messages"]) for fire in openwhisk.fires) == 4, what="all messages")
    first, *rest = [row for fire in openwhisk.fires for row in fire["messages"]]
    assert (first["payload"], first["error"]) == (None, "message of 2000000 bytes exceeds 900000")
    assert [len(row["payload"]) for row in rest] == [600_000, 600_000, 4]
    assert max(len(json.dumps(fire)) for fire in openwhisk.fires) < 1_000_000
    wait_until(lambda: provider.read()["journal"]["batches"] == 0, what="done")


def test_two_partitions_split_by_topic(
    provider: Provider, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", partitions=2, **FAST)
    with publisher(mqtt_url) as client:
        for number in range(40):
            publish(client, f"{topic_root}/{number % 10}", [b"%d" % number])
    wait_until(lambda: len(consumer.payloads) == 40, what="all messages")
    where: dict[str, set[str]] = {}
    for batch_id, messages in consumer.batches.items():
        for message in messages:
            where.setdefault(message.topic, set()).add(batch_id.split("-")[1])
    assert all(len(partitions) == 1 for partitions in where.values())
    assert set.union(*where.values()) == {"0", "1"}


def test_fewer_partitions_still_serve_what_lies_in_the_others(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    openwhisk.answer = lambda _number: (503, None)
    provider.create(url=mqtt_url, topics=f"{topic_root}/#", partitions=4, max_records=5, **FAST)
    sent = [b"%d" % number for number in range(40)]
    with publisher(mqtt_url) as client:
        for number, payload in enumerate(sent):
            publish(client, f"{topic_root}/{number % 10}", [payload])
    wait_until(lambda: provider.metric("acked_total") == 40, what="journalled or spooled")
    provider.call("PUT", {"params": {"partitions": 1}})
    openwhisk.answer = lambda _number: (202, None)
    wait_until(lambda: sorted(consumer.payloads) == sorted(sent), what="all delivered")
