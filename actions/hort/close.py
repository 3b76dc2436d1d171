"""What the action `close` does: windows that are due become documents, and windows that late data changed do so again.

One run reads panes, writes documents and ends in one commit (see `hort.pane_store`). Documents of a run that are not stored
yet are handed to `sink` again before anything new is closed. One close runs at a time: a second one would do the same work
for nothing. However many devices there are, a run holds a part of them at a time (see `hort.pane_parts`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hort import action, clock, config, keys, silence
from hort.batch import Reference
from hort.counters import Counters
from hort.errors import OtherCloseWasFirst
from hort.pane_store import HOME, JOURNAL, Commit, PaneStore, Settlement, State, Transition
from hort.pane_views import PaneViews
from hort.presence import Presence
from hort.silence import Silence
from hort.window_documents import Memory, Writer, write_window
from hort.windows import EXPIRY_MS, Grid, grid

DEFAULT_PARTITIONS = 1
MAX_WINDOWS = 60
"""Windows a run closes; the others wait for the next tick."""
MAX_BYTES = 24_000_000
"""Documents after which a run begins no other window."""
MAX_RUN_S = 20.0
"""Seconds after which a run begins no other window."""
GAP_MS = 60_000
"""Runs that are farther apart, or whose clock went back, did not watch what devices did in between."""
TURN_MS = 60_000
"""A close that died has its turn for so long; one that lives keeps it with each pane and batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The parameters of `close`."""

    grid: Grid
    silence: Silence = field(default_factory=Silence)
    partitions: int = DEFAULT_PARTITIONS
    max_windows: int = MAX_WINDOWS
    max_bytes: int = MAX_BYTES


def settings(params: config.Params) -> Settings:
    """The settings of an activation; ConfigError names what is wrong."""
    return Settings(
        grid=grid(params),
        silence=silence.silence(params),
        partitions=config.integer(params, "partitions", default=DEFAULT_PARTITIONS, minimum=1, maximum=1_024),
        max_windows=config.integer(params, "max_windows", default=MAX_WINDOWS, minimum=1, maximum=10_000),
    )


@dataclass(slots=True, kw_only=True)
class Closer:
    """Closes windows over the ports it is given."""

    panes: PaneStore
    presence: Presence
    counters: Counters
    remember: Memory
    now: Callable[[], int] = clock.now_ms

    def run(self, settings: Settings) -> dict[str, Any]:
        """One tick; the answer names a batch of documents for `sink`, or says that there is nothing to store.

        `drain` asks `sink` for the batches behind it, too: no provider fires them.
        """
        now = self.now()
        waiting = self.panes.outbox(now)
        if waiting.due is not None:
            action.log("close.again", batch_id=waiting.due.batch_id, waiting=waiting.count)
            self.counters.add({"close.again": 1})
            return {**waiting.due.as_result(), "drain": True, "again": True}
        token = secrets.token_hex(8)
        if waiting.count or not self.panes.begin(token, ttl_ms=TURN_MS):
            action.log("close.busy", waiting=waiting.count)
            self.counters.add({"close.busy": 1})
            return {**action.done(Reference(f"close-{HOME}-{token}", _journal())), "busy": True}
        try:
            return _Run(self, settings, self.panes.state(), now, token).result()
        finally:
            self.panes.end(token)


def _journal() -> str:
    return keys.journal(HOME, JOURNAL)


@dataclass(slots=True)
class _Run:
    """One tick's work."""

    closer: Closer
    settings: Settings
    state: State
    now: int
    token: str
    began: float = field(default_factory=time.monotonic)
    put_off: int = 0
    forgotten: int = 0
    expired: int = 0
    waiting: dict[int, int | None] = field(init=False)
    views: PaneViews = field(init=False)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        panes, partitions = self.closer.panes, range(self.settings.partitions)
        alive = partial(panes.keep, self.token, ttl_ms=TURN_MS)
        # Before the look at panes: a batch that gets through in between is not seen there, and so has to count as waiting.
        self.waiting = {partition: panes.oldest_waiting(partition) for partition in partitions}
        self.views = PaneViews(panes, self.settings.grid, partitions, token=self.token, alive=alive)
        self.writer = Writer(
            panes=panes,
            remember=self.closer.remember,
            remember_ttl_s=self.settings.silence.forget_after_ms // 1000,
            partitions=partitions,
            name=f"close-{HOME}-{self.state.generation:012d}-{self.token}",
            journal=_journal(),
            now=self.now,
            alive=alive,
        )

    def result(self) -> dict[str, Any]:
        closed = self._closed_before()
        if closed is None:
            return self._nothing()
        try:
            dirty, due = self.views.dirty_ends(closed), self._due_ends(closed)
            self.views.plan([*dirty, *due[: self.settings.max_windows]])
            dirty_until = self._write_again(dirty, closed)
            until = self._write_due(due, closed) if dirty_until is None else closed
            self.put_off = sum(end > until for end in due)
            self.put_off += 0 if dirty_until is None else sum(end >= dirty_until for end in dirty)
            self.expired = sum(closed < self.settings.grid.last_end(start) <= until for start in self.views.expired())
            self.expired += len(self.views.lost)
            before = self.settings.grid.removable_before(self._sure(), until)
            settlements = self.views.settlements(closed, dirty_until=dirty_until, before=before)
            self.writer.end(self._alarms(until, settlements))
            return self._commit(until, settlements)
        except OtherCloseWasFirst:
            return self._in_vain()

    def _closed_before(self) -> int | None:
        """End of the last window that is closed; before the first run the one before the oldest pane; None without any.

        A clock that went back opens the windows again that it had closed ahead of time.
        """
        closed, oldest = self.state.closed, self.views.oldest()
        if closed is None and oldest is not None:
            closed = self.settings.grid.first_end(oldest) - self.settings.grid.slide_ms
        return None if closed is None else min(closed, self.settings.grid.due(self.now))

    def _sure(self) -> int:
        """The time as far as the stream has come, too: what a clock that is ahead takes for old may be missed.

        It is no more than an hour behind the clock, as panes go by themselves then.
        """
        grid = self.settings.grid
        newest = max(self.views.starts(), default=self.now) + grid.size_ms
        times = [moment + grid.retention_ms for moment in self.waiting.values() if moment is not None]
        return max(min(self.now, newest, *times), self.now - EXPIRY_MS)

    def _watched(self) -> int:
        """Since when there was one run after the other."""
        state, gap = self.state, max(GAP_MS, 3 * self.settings.grid.slide_ms)
        if state.ticked is None or state.watched is None or not 0 <= self.now - state.ticked <= gap:
            return self.now
        return state.watched

    def _write_again(self, ends: Sequence[int], closed: int) -> int | None:
        """Closed windows with late data; None when all were written, else the first one that was not.

        Those of the oldest pane are always written, so that each run merges one pane at least.
        """
        must = min(self.settings.grid.last_end(self.views.oldest_touched()), closed) if ends else closed
        for end in ends:
            if end > must and self._full():
                return end
            write_window(self.views, end, self.writer, again=True, newest=end == closed)
        return None

    def _write_due(self, ends: Sequence[int], closed: int) -> int:
        """Windows whose end has come, one at least; the end of the last one that is closed now."""
        for number, end in enumerate(ends):
            if number >= self.settings.max_windows or (number and self._full()):
                return max(closed, end - self.settings.grid.slide_ms)
            written = end <= self.state.furthest
            write_window(self.views, end, self.writer, again=False, newest=True, written=written)
        return max(closed, self.settings.grid.due(self.now))

    def _due_ends(self, closed: int) -> list[int]:
        """Ends of the due windows that have all their panes and one at least, oldest first."""
        grid, due = self.settings.grid, self.settings.grid.due(self.now)
        after = max(closed, self.views.removed())
        return sorted({end for start in self.views.starts() for end in grid.ends_of(start) if after < end <= due})

    def _full(self) -> bool:
        return self.writer.size >= self.settings.max_bytes or time.monotonic() - self.began > MAX_RUN_S

    def _alarms(self, until: int, settlements: dict[int, Settlement]) -> list[bytes]:
        """Adds who fell silent or returned to the settlements; the alarms' bulk lines."""
        rules, sure = self.settings.silence, self._sure()
        lines: list[bytes] = []
        for partition, settlement in settlements.items():
            settlement.transitions = self._transitions(partition, self._progress(partition, until))
            lines += [silence.alarm_lines(item, window_end=until) for item in settlement.transitions]
            self.forgotten += silence.forget(self.closer.presence, partition, sure - rules.forget_after_ms)
        return lines

    def _transitions(self, partition: int, progress: int) -> list[Transition]:
        """Nobody falls silent for what lies in a pane that is read in a later run."""
        presence, found = self.closer.presence, list[Transition]()
        before, silent_before = map(self._cutoff, (progress, self.views.read_until(partition, progress)))
        for part in range(self.views.parts(partition)):
            newest = silence.newest_by_device(self.views.new_blocks(partition, part))
            found += silence.returned(presence, partition, newest, before=before)
            del found[silence.MAX_TRANSITIONS :]
        if silent_before < self._watched():
            return found
        limit = silence.MAX_TRANSITIONS - len(found)
        return found + silence.fallen(presence, partition, before=silent_before, limit=limit)

    def _cutoff(self, progress: int) -> int:
        after = self.settings.silence.after
        return silence.cutoff(self.settings.grid, progress, after) if after else 0

    def _progress(self, partition: int, until: int) -> int:
        """The time up to which everything is stored; a batch that waits for too long is no longer waited for."""
        waiting = self.waiting[partition]
        return until if waiting is None else min(until, max(waiting, self.now - self.settings.grid.patience_ms))

    def _commit(self, until: int, settlements: dict[int, Settlement]) -> dict[str, Any]:
        references = self.writer.references
        if not references and until == self.state.closed and not any(settlements.values()):
            self.views.tidy([])
            self.closer.counters.add({"close.forgotten": self.forgotten, "close.panes-expired": self.expired})
            return self._nothing()
        done = self.closer.panes.commit(
            Commit(
                generation=self.state.generation,
                by=self.token,
                closed=until,
                furthest=max(self.state.furthest, until),
                watched=self._watched(),
                now=self.now,
                references=references,
                revisions=self.writer.revisions,
                revisions_ttl_ms=self.settings.grid.pane_ttl(self.now, self.now),
                settlement=settlements[HOME],
            )
        )
        if not done:
            return self._in_vain()
        for partition in range(1, self.settings.partitions):
            self.closer.panes.settle(partition, settlements[partition])
        self.views.tidy(settlements.values())
        return self._finish(settlements)

    def _in_vain(self) -> dict[str, Any]:
        action.log("close.other-was-first", batch_id=self.writer.name, generation=self.state.generation)
        self.closer.counters.add({"close.in-vain": 1})
        self.views.tidy([])
        self.closer.panes.discard(self.writer.references)
        return self._nothing()

    def _nothing(self) -> dict[str, Any]:
        return action.done(self._unstored())

    def _unstored(self) -> Reference:
        return Reference(self.writer.name, _journal())

    def _finish(self, settlements: dict[int, Settlement]) -> dict[str, Any]:
        moved = [item for settlement in settlements.values() for item in settlement.transitions]
        counts = {
            "close.windows": self.writer.windows,
            "close.windows-again": self.writer.windows_again,
            "close.documents": self.writer.documents,
            "close.overflows": self.writer.overflows,
            "close.put-off": self.put_off,
            "close.panes-expired": self.expired,
            "close.forgotten": self.forgotten,
            "alarms.silent": sum(item.silent for item in moved),
            "alarms.resumed": sum(not item.silent for item in moved),
        }
        self.closer.counters.add(counts)
        action.log_trouble("close.trouble", self.writer.references[0] if self.writer.references else self._unstored(), counts)
        facts = {name.split(".")[1].replace("-", "_"): count for name, count in counts.items()}
        if not self.writer.references:
            return {**self._nothing(), **facts}
        first, batches = self.writer.references[0], len(self.writer.references)
        return {**first.as_result(), "drain": True, "batches": batches, **facts}
