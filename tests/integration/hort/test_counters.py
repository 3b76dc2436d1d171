"""Counters in a real Redis, also when an answer is lost between its effect and the client."""

from collections.abc import Iterator

import pytest
import redis

from campaign.proxy import Network, Proxy
from feeds.provider.meters import Meters
from feeds.provider.tally import Tally
from hort import keys, store
from hort.counters import CALLERS_KEPT_S, KEPT_S, RedisCounters
from hort.model_store import RedisModelStore
from hort.quota import RedisCounts

NOW = 1_700_000_000_000


@pytest.fixture
def proxy(redis_client: redis.Redis) -> Iterator[Proxy]:
    given, network = redis_client.get_connection_kwargs(), Network()
    yield network.proxy("redis", upstream=(given["host"], given["port"]))
    network.close()


@pytest.fixture
def counters(proxy: Proxy) -> RedisCounters:
    """Over the client that actions use: it sends again what was not answered."""
    made = RedisCounters(store.client(f"{proxy.url('redis')}/0"), now=lambda: NOW)
    made.add({"warm.up": 1})
    return made


def tokens(client: redis.Redis) -> list[str]:
    return [key.decode() for key in client.scan_iter(keys.counted("*"))]


def test_counts_and_times_are_added_and_zeros_are_not(redis_client: redis.Redis) -> None:
    counters = RedisCounters(redis_client, now=lambda: NOW)
    counters.add({"a.x": 2, "a.y": 0})
    counters.add({"a.x": 3, "b.z": 1})
    counters.add({"a.y": 0})
    assert counters.all() == {"a.x": 5, "b.z": 1}
    assert counters.last() == {"a.x": NOW, "b.z": NOW}
    assert len(tokens(redis_client)) == 2, "nothing is sent where nothing was counted"


def test_a_lost_answer_counts_nothing_twice(redis_client: redis.Redis, proxy: Proxy, counters: RedisCounters) -> None:
    proxy.cut_after_effect(b"window.records", times=2)
    counters.add({"window.records": 7, "window.late": 1})
    assert proxy.effects == {"cut": 2}
    assert RedisCounters(redis_client).all() == {"warm.up": 1, "window.records": 7, "window.late": 1}


def test_the_tally_counts_nothing_twice_when_all_answers_of_a_call_are_lost(
    redis_client: redis.Redis, proxy: Proxy, counters: RedisCounters
) -> None:
    meters = Meters()
    tally = Tally(meters, counters)
    meters.disables.labels("/guest/a", "401").inc(4)
    proxy.cut_after_effect(b"feed.disabled.401", times=store.RETRIES + 1)
    with pytest.raises(redis.ConnectionError):
        tally.flush()
    meters.disables.labels("/guest/a", "401").inc()
    tally.flush()
    assert proxy.effects == {"cut": store.RETRIES + 1}
    assert RedisCounters(redis_client).all() == {"warm.up": 1, "feed.disabled.401": 5}


def test_a_models_numbers_are_not_added_twice_either(redis_client: redis.Redis, proxy: Proxy) -> None:
    models = RedisModelStore(store.client(f"{proxy.url('redis')}/0"))
    models.add_stats("m", counts={"ok": 1}, facts={})
    proxy.cut_after_effect(b"latency_ms", times=2)
    models.add_stats("m", counts={"ok": 2, "error": 0, "latency_ms": 30}, facts={"last_at": "now"})
    assert proxy.effects == {"cut": 2}
    assert RedisModelStore(redis_client).stats(["m"]) == {"m": {"ok": "3", "latency_ms": "30", "last_at": "now"}}
    spent = [redis_client.ttl(key) for key in redis_client.scan_iter(keys.model_counted("*"))]
    assert len(spent) == 2
    assert all(0 < ttl <= KEPT_S for ttl in spent)


@pytest.mark.parametrize(("token", "kept_s"), [("", KEPT_S), ("mine", CALLERS_KEPT_S)])
def test_what_is_remembered_goes_by_itself(redis_client: redis.Redis, token: str, kept_s: int) -> None:
    RedisCounters(redis_client).add({"a.x": 1}, token=token)
    (key,) = tokens(redis_client)
    assert kept_s - 60 < redis_client.ttl(key) <= kept_s
    attempts = store.RETRIES + 1
    assert attempts * (store.CONNECT_TIMEOUT_S + store.ANSWER_TIMEOUT_S + 0.5) < KEPT_S, "longer than the client's own retries"


def test_all_keys_are_in_one_slot(redis_client: redis.Redis) -> None:
    RedisCounters(redis_client).add({"a.x": 1})
    assert {key.decode().split(":")[1] for key in redis_client.scan_iter()} == {"{stats}"}


def test_a_share_is_one_for_all_processes_and_its_end_is_counted_once(redis_client: "redis.Redis") -> None:
    processes = [RedisCounts(redis_client) for _ in range(3)]
    assert [one.count("dashboard", 7, most=2) for one in processes] == [1, 2, 3]
    assert [one.count("dashboard", 7, most=2) for one in processes] == [4, 5, 3], "one that saw the end asks no more"
    assert RedisCounters(redis_client).all() == {"quota.used-up.dashboard": 1}
    assert redis_client.ttl(keys.quota("dashboard", 7)) > 0
    assert processes[0].count("dashboard", 8, most=2) == processes[0].count("plates-page", 7, most=2) == 1
