"""Two providers share the registrations; when one dies, the other takes over."""

from collections.abc import Callable

import redis
import requests

from feeds.provider.leases import LEASE_MS
from hort import keys
from tests.integration.feeds.test_interruptions import assert_exactly_once, stream, wait_for
from tests.support.polling import wait_until
from tests.support.provider import SECRET, TRIGGER, Consumer, Provider

FAST = {"max_fires_per_minute": 600, "linger_ms": 20}
LEASE = keys.lease(keys.registration_id(TRIGGER))


def serving(provider: Provider) -> list[str]:
    return sorted(requests.get(f"{provider.url}/health", timeout=60).json()["serving"])


def test_dead_provider_is_replaced(
    new_provider: Callable[..., Provider], consumer: Consumer, mqtt_url: str, topic_root: str, redis_client: "redis.Redis"
) -> None:
    first, second = new_provider(), new_provider()
    first.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    owner = first if serving(first) else second
    other = second if owner is first else first
    assert serving(other) == []
    with stream(mqtt_url, f"{topic_root}/a") as sent:
        wait_for(consumer, 100)
        assert 0 < redis_client.pttl(LEASE) <= LEASE_MS, "how long a take-over may take"
        owner.kill()
        wait_until(lambda: serving(other), what="taken over")
        wait_for(consumer, 100)
    assert_exactly_once(consumer, sent)


def test_stopped_provider_hands_over_at_once(
    new_provider: Callable[..., Provider], consumer: Consumer, mqtt_url: str, topic_root: str, redis_client: "redis.Redis"
) -> None:
    first = new_provider()
    first.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    second = new_provider()
    with stream(mqtt_url, f"{topic_root}/a") as sent:
        wait_for(consumer, 100)
        owner = redis_client.get(LEASE)
        assert owner is not None
        assert first.stop() == 0
        assert redis_client.get(LEASE) != owner, "given up at once: nobody waits for its end"
        wait_until(lambda: serving(second), what="handed over")
        wait_for(consumer, 100)
    assert_exactly_once(consumer, sent)


def test_frozen_provider_is_fenced(
    new_provider: Callable[..., Provider], consumer: Consumer, mqtt_url: str, topic_root: str
) -> None:
    import signal

    first = new_provider()
    first.create(url=mqtt_url, topics=f"{topic_root}/#", **FAST)
    second = new_provider()
    with stream(mqtt_url, f"{topic_root}/a") as sent:
        wait_for(consumer, 100)

        def taken_over_while_it_stands_still() -> bool:
            first.process.send_signal(signal.SIGSTOP)  # each time: who stalled it (./scripts/test --stalls) lets it go on
            return bool(serving(second))

        wait_until(taken_over_while_it_stands_still, what="taken over")
        wait_for(consumer, 100)
        first.process.send_signal(signal.SIGCONT)
        wait_until(lambda: serving(first) == [], what="the old owner noticed")
        wait_for(consumer, 100)
    assert_exactly_once(consumer, sent)


def test_registrations_are_shared_evenly(new_provider: Callable[..., Provider], mqtt_url: str) -> None:
    first, second = new_provider(), new_provider()
    for name in "abcd":
        answer = first.call("POST", {"params": {"url": mqtt_url, "topics": name}}, trigger=f"/guest/{name}")
        assert answer.status_code == 200, answer.text
    wait_until(lambda: len(serving(first)) == 2 and len(serving(second)) == 2, what="two registrations each")
    rows = requests.get(f"{second.url}/registrations", headers={"X-HoRT-Secret": SECRET}, timeout=60).json()
    assert len(rows["registrations"]) == 4
