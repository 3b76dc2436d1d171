"""Back-pressure over a real broker and Redis: three times what the feed may pass on, a 429 in the middle, and all arrives once."""

import time
from collections.abc import Callable

import pytest
import redis

from hort.journal import RedisJournal
from tests.support.polling import wait_until
from tests.support.provider import Consumer, FakeWhisk, Provider, publish, publisher

MAX_RECORDS, MAX_BATCHES = 5, 4
KEEPALIVE_S = 15
CEILING = {
    "max_fires_per_minute": 600,
    "max_records": MAX_RECORDS,
    "max_journal_batches": MAX_BATCHES,
    "linger_ms": 50,
    "keepalive_s": KEEPALIVE_S,
}
RATE = 3 * MAX_RECORDS * 600 // 60
SECONDS = 8
THROTTLED_AT = 60
PADDING = b"x" * 16_000
CHUNK = 262_144 // len(PADDING)
"""What one read of the provider's may bring beyond what it asked for."""
HELD = MAX_BATCHES * MAX_RECORDS + MAX_RECORDS + CHUNK


@pytest.mark.slow(70)
@pytest.mark.timeout(900)
def test_three_times_the_ceiling_waits_in_the_broker_and_arrives_once(
    provider: Provider, openwhisk: FakeWhisk, consumer: Consumer, mqtt_url: str, topic_root: str, redis_client: "redis.Redis"
) -> None:
    throttled = [True]
    openwhisk.answer = lambda number: (429, {"error": "Too many requests"}) if throttled[0] and number >= THROTTLED_AT else (202, None)
    created = provider.create(url=mqtt_url, topics=topic_root, **CEILING)
    journal = f"hort:{{0}}:journal:{created['id']}"
    sizes: list[int] = []

    def look(condition: Callable[[], bool]) -> bool:
        sizes.append(RedisJournal(redis_client).size(journal))
        return condition()

    sent = _publish(mqtt_url, topic_root, look)
    wait_until(lambda: look(lambda: '"kept"' in provider.log), timeout_s=120, what="a fire that was throttled")
    wait_until(lambda: look(lambda: provider.metric("journal_full") == 1), what="the journal is full")
    wait_until(lambda: provider.metric("holding_back") == 1, what="and the feed holds back")
    wait_until(lambda: provider.read()["journal"]["held_back_since"] > 0, what="the feed's status tells of it")
    taken, passed_on = provider.metric("received_total"), len(consumer.payloads)
    assert taken - passed_on <= HELD, "the broker has the rest"
    held = provider.metric("held_back_seconds_total")
    wait_until(lambda: provider.metric("held_back_seconds_total") > held + 2.5 * KEEPALIVE_S, timeout_s=180, what="unread for long")
    assert (provider.read()["connected"], provider.metric("mqtt_connects_total")) == (True, 1), "the connection stands"
    throttled[0] = False
    provider.call("PUT", {"params": {"max_fires_per_minute": 60_000}})
    wait_until(lambda: look(lambda: len(consumer.payloads) >= sent), timeout_s=420, what="arrival of everything")
    wait_until(lambda: provider.metric("holding_back") == 0, timeout_s=60, what="reading again")
    assert sorted(int(payload.split()[0]) for payload in consumer.payloads) == list(range(sent))
    assert max(sizes) <= MAX_BATCHES
    assert provider.metric("held_back_seconds_total") > 0
    assert provider.logged("holding-back")
    assert provider.logged("reading-again")


def _publish(url: str, topic: str, look: Callable[[Callable[[], bool]], bool]) -> int:
    """Numbered messages at the rate; how many."""
    sent = 0
    with publisher(url) as client:
        for _ in range(SECONDS * 10):
            publish(client, topic, [b"%d %b" % (sent + number, PADDING) for number in range(RATE // 10)])
            sent += RATE // 10
            look(bool)
            time.sleep(0.1)
    return sent
