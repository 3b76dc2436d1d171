"""When the next fire may go: evenly spread, and counted per calendar minute as OpenWhisk's throttle does; waits after failures.

Times are of the steady clock (`hort.clock.Steady`), whose minutes are the calendar's unless the machine's clock was set meanwhile.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

MINUTE_MS = 60_000


def next_minute(now: int) -> int:
    """Milliseconds of the next calendar minute's beginning."""
    return (now // MINUTE_MS + 1) * MINUTE_MS


class Pace:
    """The fire budget of one registration."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._minute = -1
        self._count = 0
        self._next = 0

    @property
    def interval(self) -> int:
        """Milliseconds from one fire to the next."""
        return MINUTE_MS // self.per_minute

    def wait(self, now: int) -> int:
        """Milliseconds until a fire may go; 0: now."""
        wait = min(max(0, self._next - now), MINUTE_MS)
        if now // MINUTE_MS == self._minute and self._count >= self.per_minute:
            return max(wait, next_minute(now) - now)
        return wait

    def count(self, now: int) -> None:
        """A fire goes."""
        minute = now // MINUTE_MS
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        self._next = now + self.interval


class Backoff:
    """Growing waits with jitter, bounded."""

    def __init__(self, limits_ms: tuple[int, int]) -> None:
        self._low, self._high = limits_ms
        self._tries = 0

    def next_ms(self) -> int:
        """How long to wait this time."""
        wait = min(self._low << min(self._tries, 16), self._high)
        self._tries += 1
        return round(wait * random.uniform(0.5, 1.0))

    def reset(self) -> None:
        """It worked."""
        self._tries = 0


FEW_UNACKED = 2
"""What `unacked` begins with, and falls back to where less is used."""
QUICK_MS = 1_000
"""A batch that took no longer than this since its fire found containers that were warm."""
HANGS_MS = 10_000
"""A batch that is under way for longer does not hold up another one: it may hang."""
BACKLOG = 2
"""Where so many batches wait, more must be under way, however long each takes."""


@dataclass(slots=True)
class Gate:
    """What the intake must know of the firing: it cuts a batch early only when that can be fired at once.

    `in_flight` batches are unfinished and count against `unacked`, `stuck` ones have been unfinished for too long to do so.
    `unacked` moves between 1 and `max_unacked` as TCP's congestion window does (additive increase, multiplicative decrease): each batch
    more that is under way wants a container more of each action, and where there is no memory for them they evict one another. All are
    slow then, so that there are always two under way, until only one may be: alone it finds the containers warm that it left.
    `batches` and `bytes` are the journal's, as it was looked at last and with what was put since; `added` is all that was ever put,
    `known` tells whether it was looked at at all.
    """

    pace: Pace
    max_unacked: int
    max_batches: int
    max_bytes: int
    batches: int = 0
    bytes: int = 0
    added: tuple[int, int] = (0, 0)
    known: bool = False
    in_flight: int = 0
    stuck: int = 0
    oldest_ms: int = 0
    not_before: int = 0
    firing: bool = True
    unacked: int = FEW_UNACKED
    hanging: bool = False
    """Whether a batch has been under way for longer than HANGS_MS."""
    short: bool = False
    """Whether something has waited for room since the last batch was done."""

    def wait(self, now: int) -> int:
        """Milliseconds until a fresh batch could be fired at once; a guess where that is up to others. Asked for messages that wait."""
        self.short = self.short or (not self.room and self.pace.wait(now) == 0)
        if not self.firing or self.waiting or not self.room:
            return 50
        return max(self.pace.wait(now), self.not_before - now, 0)

    @property
    def waiting(self) -> int:
        """Batches that wait in the journal for their first fire."""
        return max(0, self.batches - self.stuck - self.in_flight)

    @property
    def room(self) -> bool:
        """Whether one batch more may be under way."""
        return self.in_flight < min(max(self.unacked, FEW_UNACKED) if self.hanging else self.unacked, self.max_unacked)

    def done(self, took_ms: int) -> None:
        """A batch is done, so long after its last fire."""
        short, quick = self.short or self.waiting > 0, took_ms <= QUICK_MS
        if short and (quick or self.waiting >= BACKLOG):
            self.unacked = min(self.unacked + 1, self.max_unacked)
        elif not quick or (not short and self.unacked > FEW_UNACKED):
            self.unacked = max(self.unacked - 1, 1)
        self.short = False

    def late(self) -> None:
        """A batch was not done by its deadline."""
        self.unacked = max(self.unacked // 2, 1)

    @property
    def full(self) -> bool:
        """Whether the journal holds as much as it may."""
        return bool(self.limit)

    @property
    def limit(self) -> str:
        """Which limit the journal has reached: `batches`, `bytes` or none."""
        if self.batches >= self.max_batches:
            return "batches"
        return "bytes" if self.bytes >= self.max_bytes else ""

    def put(self, size: int) -> None:
        """A batch was put into the journal."""
        self.added = (self.added[0] + 1, self.added[1] + size)
        self.batches += 1
        self.bytes += size

    def looked(self, batches: int, size: int, *, before: tuple[int, int]) -> None:
        """What the journal holds; `before` is what was `added` when the look began: what is put meanwhile counts, perhaps twice."""
        self.known = True
        self.batches = batches + self.added[0] - before[0]
        self.bytes = size + self.added[1] - before[1]
