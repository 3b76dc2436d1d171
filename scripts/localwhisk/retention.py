"""Bounds what the activations take: by number, age and bytes, oldest first, a little at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from localwhisk.clock import Clock, now_ms
from localwhisk.errors import NotKept
from localwhisk.store import Statement, Store

log = logging.getLogger("localwhisk.retention")
DAY_MS = 24 * 3600 * 1000
_CHUNK = 2000
_DELETE_UPTO = "DELETE FROM activations WHERE seq <= ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Most records, their greatest age in ms, and the most bytes of logs and results together."""

    count: int = 200_000
    age_ms: int = 7 * DAY_MS
    size: int = 1024 * 1024 * 1024
    every_s: float = 30.0


class Pruner:
    """Deletes what is beyond the bounds, in the background."""

    def __init__(self, store: Store, retention: Retention, *, clock: Clock = now_ms) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock

    async def run(self) -> None:
        """Prune forever."""
        while True:
            more = False
            with contextlib.suppress(NotKept):  # on a full disk; there may be room later
                more = await self.prune_once()
            await asyncio.sleep(0 if more else self._retention.every_s)

    async def prune_once(self) -> bool:
        """Delete at most a chunk; True when there may be more."""
        first = self._store.row("SELECT min(seq) FROM activations")
        cut = self._cut()
        if first is None or first[0] is None or cut < first[0]:
            return False
        upto = min(cut, first[0] + _CHUNK - 1)
        await self._store.write(Statement(_DELETE_UPTO, (upto,)))
        return bool(upto < cut)

    def _cut(self) -> int:
        """Highest sequence number that goes; records come in about the order they end."""
        keep = self._retention
        by_count = self._number("SELECT max(seq) FROM activations") - keep.count
        oldest = self._clock() - keep.age_ms
        by_age = self._number(
            "SELECT max(seq) FROM (SELECT seq, start FROM activations ORDER BY seq LIMIT ?) WHERE start < ?",
            (_CHUNK, oldest),
        )
        total = self._number("SELECT sum(bytes) FROM activations")
        return max(by_count, by_age, self._by_size(total - keep.size))

    def _by_size(self, excess: int) -> int:
        if excess <= 0:
            return 0
        return self._number(
            "SELECT min(seq) FROM (SELECT seq, sum(bytes) OVER (ORDER BY seq) AS upto FROM "
            "(SELECT seq, bytes FROM activations ORDER BY seq LIMIT ?)) WHERE upto >= ?",
            (_CHUNK, excess),
        ) or self._number(
            "SELECT max(seq) FROM (SELECT seq FROM activations ORDER BY seq LIMIT ?)", (_CHUNK,)
        )

    def _number(self, sql: str, values: tuple[int, ...] = ()) -> int:
        row = self._store.row(sql, values)
        return 0 if row is None or row[0] is None else int(row[0])
