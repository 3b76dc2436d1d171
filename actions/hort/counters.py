"""Counters of everything that happens, kept in Redis so that they hold over containers; `hort.meanings` says what each means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from hort import clock, keys, store


class Counters(Protocol):
    """What a counter store must do."""

    def add(self, counts: Mapping[str, int]) -> None:
        """Adds each count to the counter of its name (`<part>.<what>`)."""

    def all(self) -> dict[str, int]:
        """Every counter by name."""

    def last(self) -> dict[str, int]:
        """When each counter was last added to (ms)."""


class RedisCounters:
    """Counters in one Redis hash, their times in another."""

    def __init__(self, client: store.Client, *, now: Callable[[], int] = clock.now_ms) -> None:
        self._client = client
        self._now = now

    def add(self, counts: Mapping[str, int]) -> None:
        """Adds each count in one transaction; zeros are left out."""
        found = {name: count for name, count in counts.items() if count}
        if not found:
            return
        pipeline = self._client.pipeline(transaction=True)
        for name, count in found.items():
            pipeline.hincrby(keys.COUNTERS, name, count)
        pipeline.hset(keys.COUNTED_AT, mapping=dict.fromkeys(found, self._now()))
        pipeline.execute()

    def all(self) -> dict[str, int]:
        """Every counter by name."""
        return _numbers(self._client.hgetall(keys.COUNTERS))

    def last(self) -> dict[str, int]:
        """When each counter was last added to (ms)."""
        return _numbers(self._client.hgetall(keys.COUNTED_AT))


class MemoryCounters:
    """Counters of one process, for tests."""

    def __init__(self, *, now: Callable[[], int] = clock.now_ms) -> None:
        self._counts: Counter[str] = Counter()
        self._last: dict[str, int] = {}
        self._now = now

    def add(self, counts: Mapping[str, int]) -> None:
        """Adds each count; zeros are left out."""
        found = {name: count for name, count in counts.items() if count}
        self._counts.update(found)
        self._last.update(dict.fromkeys(found, self._now()))

    def all(self) -> dict[str, int]:
        """Every counter by name."""
        return dict(self._counts)

    def last(self) -> dict[str, int]:
        """When each counter was last added to (ms)."""
        return dict(self._last)


def _numbers(found: object) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in cast("dict[bytes, bytes]", found).items()}
