"""A provider that Redis cannot be reached from, and only it: another one takes over, and has the session in peace."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from campaign.proxy import Network, Proxy
from tests.integration.feeds.test_interruptions import FAST, assert_exactly_once, stream, wait_for
from tests.integration.feeds.test_takeover import serving
from tests.support.polling import wait_until
from tests.support.provider import Consumer, Provider


@pytest.fixture
def to_redis(redis_url: str) -> Iterator[Proxy]:
    parts = urlsplit(redis_url)
    network = Network()
    yield network.proxy("redis", upstream=(parts.hostname or "", parts.port or 0))
    network.close()


@pytest.mark.slow(25)
def test_provider_cut_off_from_redis_leaves_the_session_to_its_successor(
    new_provider: Callable[..., Provider], consumer: Consumer, mqtt_url: str, topic_root: str, to_redis: Proxy
) -> None:
    first = new_provider(HORT_REDIS_URL=to_redis.url("redis"))
    first.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    second = new_provider()
    to_redis.refuse()
    to_redis.reset()  # before any message: what it could not write would keep it from connecting, too
    wait_until(lambda: serving(second), what="taken over")
    wait_until(lambda: '"mqtt-lost"' in first.log, what="the broker gave the session away")
    with stream(mqtt_url, f"{topic_root}/a") as sent:
        tried = first.log.count('"redis-failed"')
        wait_until(lambda: first.log.count('"redis-failed"') >= tried + 4, what="the old owner would like to connect again")
        wait_for(consumer, 100)
        to_redis.heal()
        wait_until(lambda: '"fenced"' in first.log or '"lease-lost"' in first.log, what="the old owner noticed")
        wait_for(consumer, 100)
    assert first.log.count('"mqtt-connected"') == 1
    assert second.metric("mqtt_connects_total") == 1, "no one took the session from it"
    assert_exactly_once(consumer, sent)
