"""Counters of everything that happens, kept in Redis so that they hold over containers; `hort.meanings` says what each means."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from hort import clock, keys, store

KEPT_S = 300
"""How long a call's own token is known: the client's retries of one call end after 80 s (`hort.store`)."""
CALLERS_KEPT_S = 3_600
"""How long a token is known whose caller repeats the call: Redis may be away that long."""

_ADD_LUA = """
if not redis.call('SET', KEYS[3], '', 'NX', 'EX', ARGV[1]) then return 0 end
for i = 3, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[2])
end
return 1
"""


class Counters(Protocol):
    """What a counter store must do."""

    def add(self, counts: Mapping[str, int], *, token: str = "") -> None:
        """Adds each count to the counter of its name (`<part>.<what>`), once however often the request is sent.

        Who calls again after an error gives the same counts and the same token, and they are added once as well.
        """

    def all(self) -> dict[str, int]:
        """Every counter by name."""

    def last(self) -> dict[str, int]:
        """When each counter was last added to (ms)."""


class RedisCounters:
    """Counters in one Redis hash, their times in another."""

    def __init__(self, client: store.Client, *, now: Callable[[], int] = clock.now_ms) -> None:
        self._client = client
        self._now = now
        self._add = client.register_script(_ADD_LUA)

    def add(self, counts: Mapping[str, int], *, token: str = "") -> None:
        """Adds all or nothing, in one script; zeros are left out. RedisError where it is unknown whether it was done."""
        found = [part for name, count in counts.items() if count for part in (name, count)]
        if not found:
            return
        # Made before the client sends anything: it repeats the same request where an answer is lost.
        names = [keys.COUNTERS, keys.COUNTED_AT, keys.counted(token or secrets.token_hex(8))]
        self._add(keys=names, args=[CALLERS_KEPT_S if token else KEPT_S, self._now(), *found])

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
        self._tokens: set[str] = set()
        self._now = now

    def add(self, counts: Mapping[str, int], *, token: str = "") -> None:
        """Adds each count; zeros are left out."""
        found = {name: count for name, count in counts.items() if count}
        if token in self._tokens or not found:
            return
        self._tokens |= {token} - {""}
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
