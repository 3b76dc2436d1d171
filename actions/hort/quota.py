"""What strangers may use up of a namespace's minute: so many requests of a kind for all of them together.

OpenWhisk counts the invocation of a web action before the action runs, so a refusal cannot give it back; it costs nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from redis import RedisError

from hort import clock, config, keys, store, web
from hort.counters import RedisCounters

READS = "reads_per_minute"
"""Parameter: how often strangers may read each of our pages and the registry."""
DEFAULT_READS = 60
MAX_PER_MINUTE = 100_000
MINUTE_S = 60
KEPT_S = 2 * MINUTE_S


class Counts(Protocol):
    """Counts requests of a minute."""

    def count(self, kind: str, minute: int, *, most: int) -> int:
        """One more; how many there are. What is more than `most` need not be counted."""


class RedisCounts:
    """A count over all processes; one that has seen the end of a share notes it once for all and asks Redis no more in that minute."""

    def __init__(self, client: store.Client) -> None:
        self._client: Any = client
        self._seen: dict[str, tuple[int, int]] = {}

    def count(self, kind: str, minute: int, *, most: int) -> int:
        """See `Counts`."""
        seen_minute, seen = self._seen.get(kind, (0, 0))
        if seen_minute == minute and seen > most:
            return seen
        key = keys.quota(kind, minute)
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, KEPT_S)
            found = int(pipeline.execute()[0])
        self._seen[kind] = (minute, found)
        if found > most:
            RedisCounters(self._client).add({f"quota.used-up.{kind}": 1}, token=f"quota-{kind}-{minute}")
        return found


class MemoryCounts:
    """A count of one process, for tests."""

    def __init__(self) -> None:
        self._found: Counter[tuple[str, int]] = Counter()

    def count(self, kind: str, minute: int, *, most: int) -> int:
        """See `Counts`."""
        self._found[kind, minute] += 1
        return min(self._found[kind, minute], most + 1)


@lru_cache(maxsize=8)
def redis_counts(client: store.Client) -> RedisCounts:
    """The counts in one Redis, kept between warm calls."""
    return RedisCounts(client)


@dataclass(frozen=True, slots=True)
class Quota:
    """A share: `per_minute` requests of a kind; 0: none."""

    counts: Counts
    kind: str
    per_minute: int
    now: Callable[[], int] = clock.now_ms

    def wait_s(self) -> int:
        """Counts one request; 0 where it may be, else the seconds until the next share."""
        minute, second = divmod(self.now() // 1000, MINUTE_S)
        over = self.counts.count(self.kind, minute, most=self.per_minute) > self.per_minute
        return MINUTE_S - second if over else 0


def reads_per_minute(settings: config.Params) -> int:
    """Return the share of strangers who read; ConfigError names a value that is none."""
    return config.integer(settings, READS, default=DEFAULT_READS, maximum=MAX_PER_MINUTE)


def reader_waits_s(request: web.Request, settings: web.Settings, action: str, *, key: str = "") -> int:
    """How long whoever reads an action's answers has to wait; 0 for the namespace's owner and holders of `key`.

    Without Redis nobody counts, and a page says what it can.
    """
    if web.may_write(request, key=key):
        return 0
    most = reads_per_minute(settings)
    try:
        return Quota(redis_counts(store.looked_at(settings)), action, most).wait_s()
    except RedisError:
        return 0


def too_many(wait_s: int) -> web.Result:
    """The answer to data that strangers ask for too often."""
    return web.refusal(429, f"too many ask in this minute: try again in {wait_s} s", retry_s=wait_s, code="quota")
