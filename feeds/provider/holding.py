"""Back-pressure as others see it: whether messages are left to the broker, why, since when, and for how long altogether."""

from __future__ import annotations

from feeds.provider.log import log
from feeds.provider.meters import Meters

CALM_MS = 5_000
"""A journal at its cap is below it for a moment whenever a batch is stored; only after this long has the stream caught up."""
REDIS = "redis"
"""The reason where a whole batch waits for Redis; the others are the limits of the journal, `batches` and `bytes`."""
_TEXTS = {REDIS: "Redis does not take what is there: the broker has to wait"}


class Holding:
    """Told by the intake at each step; `since_ms` is when it began, 0 while the broker can deliver."""

    def __init__(self, *, trigger: str, meters: Meters) -> None:
        self.since_ms = 0
        self._trigger = trigger
        self._meters = meters
        self._reason = ""
        self._told: set[str] = set()
        self._looked_ms = 0
        self._last_ms = 0

    def tell(self, reason: str, *, now: int, batches: int, size: int) -> None:
        """What keeps the intake from reading, "" for nothing; `batches` and `size` (bytes) are the journal's."""
        if self._reason:
            self._meters.held_back_s.labels(self._trigger, self._reason).inc(max(0, now - self._looked_ms) / 1000)
        if reason != self._reason:
            self._meters.full.labels(self._trigger).set(reason not in ("", REDIS))
        self._reason, self._looked_ms = reason, now
        if reason:
            self._hold(reason, now, batches, size)
        elif self.since_ms and now - self._last_ms >= CALM_MS:
            self._read_again(batches, size)

    def _hold(self, reason: str, now: int, batches: int, size: int) -> None:
        self._last_ms = now
        if not self.since_ms:
            self.since_ms = now
            self._meters.holding_back.labels(self._trigger).set(1)
        if reason in self._told:
            return
        self._told.add(reason)
        if reason != REDIS:
            self._meters.filled.labels(self._trigger, reason).inc()
        text = _TEXTS.get(reason, f"the journal holds as many {reason} as it may: the broker has to wait")
        log("holding-back", error=text, trigger=self._trigger, reason=reason, batches=batches, bytes=size)

    def _read_again(self, batches: int, size: int) -> None:
        facts = {"batches": batches, "bytes": size, "held_back_ms": self._last_ms - self.since_ms}
        log("reading-again", trigger=self._trigger, **facts)
        self.since_ms = 0
        self._told.clear()
        self._meters.holding_back.labels(self._trigger).set(0)
