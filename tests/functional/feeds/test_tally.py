"""The provider's troubles among the suite's counters."""

from collections.abc import Mapping

import pytest
import redis

from feeds.provider.meters import Meters
from feeds.provider.tally import Tally
from hort.counters import MemoryCounters


class Counters(MemoryCounters):
    away = False
    answer_lost = False

    def add(self, counts: Mapping[str, int], *, token: str = "") -> None:
        if self.away:
            raise redis.ConnectionError("away")
        super().add(counts, token=token)
        if self.answer_lost:
            raise redis.TimeoutError("no answer")


def test_what_is_new_is_added_once_over_all_feeds() -> None:
    meters, counters = Meters(), Counters()
    tally = Tally(meters, counters)
    tally.flush()
    assert counters.all() == {}
    for name in ("/guest/a", "/guest/b"):
        meters.fires.labels(name, "204").inc(2)
        meters.fires.labels(name, "202").inc(9)
    meters.refires.labels("/guest/a").inc()
    tally.flush()
    tally.flush()
    assert counters.all() == {"feed.fire.204": 4, "feed.fired-again.unfinished": 1}
    meters.fires.labels("/guest/a", "204").inc()
    meters.lost.labels("/guest/a", "broken").inc()
    tally.flush()
    assert counters.all() == {"feed.fire.204": 5, "feed.fired-again.unfinished": 1, "feed.mqtt-lost.broken": 1}


def test_nothing_is_forgotten_while_redis_is_away() -> None:
    meters, counters = Meters(), Counters()
    tally = Tally(meters, counters)
    counters.away = True
    meters.disables.labels("/guest/a", "401").inc()
    with pytest.raises(redis.RedisError):
        tally.flush()
    counters.away = False
    meters.disables.labels("/guest/a", "401").inc()
    tally.flush()
    assert counters.all() == {"feed.disabled.401": 2}


def test_nothing_is_counted_twice_when_an_answer_is_lost() -> None:
    meters, counters = Meters(), Counters()
    tally = Tally(meters, counters)
    counters.answer_lost = True
    for _ in range(3):  # what came meanwhile must not go under the token of what arrived
        meters.disables.labels("/guest/a", "401").inc()
        with pytest.raises(redis.TimeoutError):
            tally.flush()
    assert counters.all() == {"feed.disabled.401": 1}
    counters.answer_lost = False
    tally.flush()
    tally.flush()
    assert counters.all() == {"feed.disabled.401": 3}
