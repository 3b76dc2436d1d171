"""The one place that asks for the time: integer milliseconds since the epoch, UTC.

`now_ms` is the machine's clock, for facts that are stored or shown. It may be set, forward or back, at any moment: what waits or
makes plans in a process that stays asks a `Steady` clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since the epoch, truncated."""
    return time.time_ns() // 1_000_000


class Steady:
    """Milliseconds that never jump: the machine's clock as it was when this was made, and the time that has passed since."""

    def __init__(self) -> None:
        self._ahead_ns = time.time_ns() - time.monotonic_ns()

    def __call__(self) -> int:
        """The time now; two processes that began while their clocks differed go on differing."""
        return (time.monotonic_ns() + self._ahead_ns) // 1_000_000


def iso(ms: int) -> str:
    """ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    seconds, millis = divmod(ms, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"
