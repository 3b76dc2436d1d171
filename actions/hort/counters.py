"""Counters of everything that happens, kept in Redis so that they hold over containers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol, cast

from hort import keys, store


class Counters(Protocol):
    """What a counter store must do."""

    def add(self, counts: Mapping[str, int]) -> None:
        """Adds each count to the counter of its name (`<part>.<what>`)."""

    def all(self) -> dict[str, int]:
        """Every counter by name."""


class RedisCounters:
    """Counters in one Redis hash."""

    def __init__(self, client: store.Client) -> None:
        self._client = client

    def add(self, counts: Mapping[str, int]) -> None:
        """Adds each count in one round trip; zeros are left out."""
        pipeline = self._client.pipeline(transaction=False)
        for name, count in counts.items():
            if count:
                pipeline.hincrby(keys.COUNTERS, name, count)
        pipeline.execute()

    def all(self) -> dict[str, int]:
        """Every counter by name."""
        found = cast("dict[bytes, bytes]", self._client.hgetall(keys.COUNTERS))
        return {name.decode(): int(count) for name, count in found.items()}


class MemoryCounters:
    """Counters of one process, for tests."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> None:
        """Adds each count; zeros are left out."""
        self._counts.update({name: count for name, count in counts.items() if count})

    def all(self) -> dict[str, int]:
        """Every counter by name."""
        return dict(self._counts)
