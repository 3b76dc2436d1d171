"""Arithmetic of sliding windows by clock: which windows and panes a time belongs to, until when each of them matters.

A window covers [end - size, end). Windows begin at multiples of the slide since the epoch; panes are the pieces of
gcd(size, slide) that windows are merged from, so that a record is touched once. All times are integer milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hort import config
from hort.errors import ConfigError

DEFAULT_SIZE_S = 45
DEFAULT_SLIDE_S = 15
DEFAULT_LATENESS_S = 300
"""How long after a window's end a device may still deliver: radio gaps and a gateway's retries take minutes."""
DEFAULT_RETENTION_S = 600
"""How long panes stay on top of that; an hour longer while batches wait in the journal (EXPIRY_MS)."""
MAX_PANES = 720
"""Panes that one window may be merged from: an odd pair of sizes such as 45.001 and 15 must not cut it into milliseconds."""
GUARD_MS = 120_000
"""Panes outlive the last moment a batch may be added to them by more than an action may run."""
EXPIRY_MS = 3_600_000
"""`close` removes panes; they go by themselves, this much later, where it does not run or where batches wait for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Size and slide of the windows, and how late a record may be."""

    size_ms: int = DEFAULT_SIZE_S * 1000
    slide_ms: int = DEFAULT_SLIDE_S * 1000
    lateness_ms: int = DEFAULT_LATENESS_S * 1000
    retention_ms: int = DEFAULT_RETENTION_S * 1000

    def __post_init__(self) -> None:
        if not 0 < self.slide_ms <= self.size_ms:
            raise ConfigError(
                "slide_s",
                self.slide_ms / 1000,
                f"must be above 0 and at most window_s {self.size_ms / 1000:g}",
            )
        if self.size_ms > MAX_PANES * self.pane_ms:
            raise ConfigError(
                "slide_s", self.slide_ms / 1000, f"must cut a window into at most {MAX_PANES} panes"
            )

    @property
    def pane_ms(self) -> int:
        """Length of a pane."""
        return math.gcd(self.size_ms, self.slide_ms)

    def pane_of(self, moment: int) -> int:
        """Start of the pane that holds a moment."""
        return moment - moment % self.pane_ms

    def first_end(self, moment: int) -> int:
        """End of the first window that holds a moment."""
        return (moment - self.size_ms) // self.slide_ms * self.slide_ms + self.slide_ms + self.size_ms

    def last_end(self, moment: int) -> int:
        """End of the last window that holds a moment."""
        return moment // self.slide_ms * self.slide_ms + self.size_ms

    def ends_of(self, moment: int) -> range:
        """Ends of all windows that hold a moment."""
        return range(self.first_end(moment), self.last_end(moment) + 1, self.slide_ms)

    def due(self, now: int) -> int:
        """The greatest window end that has come."""
        return (now - self.size_ms) // self.slide_ms * self.slide_ms + self.size_ms

    def panes_of(self, end: int) -> range:
        """Starts of the panes that a window is merged from."""
        return range(end - self.size_ms, end, self.pane_ms)

    def late_before(self, arrived: int) -> int:
        """Records older than this came too late when they arrived: each of their windows had ended before the allowed lateness."""
        return self._oldest(arrived - self.lateness_ms)

    def lost_before(self, now: int) -> int:
        """Records older than this can no longer be merged now: their panes may have gone by themselves."""
        return self._oldest(now - self.patience_ms)

    def removable_before(self, now: int, closed: int) -> int:
        """Panes that start before this are of no more use: their windows are closed and no batch can change one any more."""
        return min(self._oldest(now - self._kept_ms), self._oldest(closed + 1))

    @property
    def patience_ms(self) -> int:
        """How long a batch may wait in the journal and still be merged."""
        return self.lateness_ms + self.retention_ms + EXPIRY_MS

    def pane_ttl(self, start: int, now: int) -> int:
        """After how long a pane goes by itself."""
        return self.last_end(start) + self._kept_ms + EXPIRY_MS - now

    @property
    def _kept_ms(self) -> int:
        """One window more than a pane's own batches need: the last of them may change a window that begins that much earlier."""
        return self.size_ms + self.lateness_ms + self.retention_ms + GUARD_MS

    def _oldest(self, moment: int) -> int:
        """Start of the slide whose last window ends at `moment` or just after it."""
        return -((self.size_ms - moment) // self.slide_ms) * self.slide_ms


def grid(params: config.Params) -> Grid:
    """The grid of the parameters `window_s`, `slide_s`, `allowed_lateness_s` and `retention_s`; ConfigError names what is wrong."""
    return Grid(
        size_ms=config.milliseconds(
            params, "window_s", default_s=DEFAULT_SIZE_S, minimum_s=1, maximum_s=86_400
        ),
        slide_ms=config.milliseconds(
            params, "slide_s", default_s=DEFAULT_SLIDE_S, minimum_s=1, maximum_s=86_400
        ),
        lateness_ms=config.milliseconds(
            params, "allowed_lateness_s", default_s=DEFAULT_LATENESS_S, maximum_s=86_400
        ),
        retention_ms=config.milliseconds(
            params, "retention_s", default_s=DEFAULT_RETENTION_S, maximum_s=86_400
        ),
    )
