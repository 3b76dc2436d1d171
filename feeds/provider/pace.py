"""When the next fire may go: evenly spread, and counted per calendar minute as OpenWhisk's throttle does."""

from __future__ import annotations

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


@dataclass(slots=True)
class Gate:
    """What the intake must know of the firing: it cuts a batch early only when that can be fired at once.

    `in_flight` batches are unfinished and count against `max_unacked`, `stuck` ones have been unfinished for too long to do so.
    """

    pace: Pace
    max_unacked: int
    max_batches: int
    max_bytes: int
    batches: int = 0
    bytes: int = 0
    in_flight: int = 0
    stuck: int = 0
    oldest_ms: int = 0
    not_before: int = 0
    firing: bool = True

    def wait(self, now: int) -> int:
        """Milliseconds until a fresh batch could be fired at once; a guess where that is up to others."""
        if not self.firing or self.batches - self.stuck > self.in_flight or self.in_flight >= self.max_unacked:
            return 50
        return max(self.pace.wait(now), self.not_before - now, 0)

    @property
    def full(self) -> bool:
        """Whether the journal holds as much as it may."""
        return self.batches >= self.max_batches or self.bytes >= self.max_bytes
