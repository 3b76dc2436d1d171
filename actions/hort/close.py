"""What the action `close` does: windows that are due become documents, and windows that late data changed do so again.

One run reads panes, writes documents and ends in one commit (see `hort.pane_store`). Documents of a run that are not stored
yet are handed to `sink` again before anything new is closed: so a window's revisions reach Elasticsearch in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hort import action, clock, config, keys, silence
from hort.batch import Reference
from hort.counters import Counters
from hort.pane_store import HOME, JOURNAL, Commit, PaneStore, Settlement, State
from hort.pane_views import PaneViews
from hort.presence import Presence
from hort.silence import Silence
from hort.window_documents import Written, write_window
from hort.windows import Grid, grid

DEFAULT_PARTITIONS = 1
MAX_WINDOWS = 60
"""Windows a run closes; the others wait for the next tick."""
MAX_BYTES = 12_000_000
"""Documents of one run, so that memory and one batch of the sink stay bounded."""


class Memory(Protocol):
    """Where the last closed windows go for the join, see `hort.join.remember`."""

    def __call__(self, partition: int, documents: Mapping[bytes, bytes], *, ttl_s: int) -> None:
        """Keeps documents by key id."""


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
        """One tick; the answer names the batch of documents for `sink`, or says that there is nothing to store."""
        waiting = self.panes.outbox()
        if waiting is not None:
            action.log("close.again", batch_id=waiting.batch_id)
            return {**waiting.as_result(), "again": True}
        return _Run(self, settings, self.panes.state(), self.now()).result()


@dataclass(slots=True)
class _Run:
    """One tick's work."""

    closer: Closer
    settings: Settings
    state: State
    now: int
    views: PaneViews = field(init=False)
    written: Written = field(default_factory=Written)

    def __post_init__(self) -> None:
        self.views = PaneViews(self.closer.panes, self.settings.grid, range(self.settings.partitions))

    def result(self) -> dict[str, Any]:
        closed = self._closed_before()
        if closed is None:
            return action.done(self._reference(0))
        dirty_until = self._write_again(closed)
        until = self._write_due(closed) if dirty_until is None else closed
        before = self.settings.grid.removable_before(self.now, until)
        settlements = self.views.settlements(closed, dirty_until=dirty_until, before=before)
        alarms = self._alarms(until, settlements)
        return self._commit(until, settlements, alarms)

    def _closed_before(self) -> int | None:
        """End of the last window that is closed; before the first run the one before the oldest pane; None without any."""
        if self.state.closed is not None:
            return self.state.closed
        oldest = self.views.oldest()
        return None if oldest is None else self.settings.grid.first_end(oldest) - self.settings.grid.slide_ms

    def _write_again(self, closed: int) -> int | None:
        """Closed windows with late data; None when all were written, else the first one that was not.

        Those of the oldest pane are always written, so that each run merges one pane at least.
        """
        ends = self.views.dirty_ends(closed)
        must = min(self.settings.grid.last_end(self.views.oldest_touched()), closed) if ends else closed
        for end in ends:
            if end > must and self._full():
                return end
            revisions = self.closer.panes.revisions
            write_window(self.views, end, self.written, again=True, newest=end == closed, revisions=revisions)
        return None

    def _write_due(self, closed: int) -> int:
        """Windows whose end has come, one at least; the end of the last one that is closed now."""
        for number, end in enumerate(self._due_ends(closed)):
            if number >= self.settings.max_windows or (number and self._full()):
                return max(closed, end - self.settings.grid.slide_ms)
            revisions = self.closer.panes.revisions
            write_window(self.views, end, self.written, again=False, newest=True, revisions=revisions)
        return max(closed, self.settings.grid.due(self.now))

    def _due_ends(self, closed: int) -> Iterator[int]:
        """Ends of the due windows that have a pane, oldest first."""
        grid, due = self.settings.grid, self.settings.grid.due(self.now)
        yield from sorted(
            {end for start in self.views.starts() for end in grid.ends_of(start) if closed < end <= due}
        )

    def _full(self) -> bool:
        return self.written.size >= self.settings.max_bytes

    def _alarms(self, until: int, settlements: dict[int, Settlement]) -> list[bytes]:
        """Adds who fell silent or returned to the settlements; the alarms' bulk lines."""
        rules, presence = self.settings.silence, self.closer.presence
        lines: list[bytes] = []
        for partition, settlement in settlements.items():
            before = 0
            if rules.after:
                before = silence.cutoff(self.settings.grid, self._progress(partition, until), rules.after)
            newest = silence.newest_by_device(self.views.new_blocks(partition))
            settlement.transitions = silence.transitions(presence, partition, newest, before=before)
            lines += [silence.alarm_lines(item, window_end=until) for item in settlement.transitions]
            silence.forget(presence, partition, self.now - rules.forget_after_ms)
        return lines

    def _progress(self, partition: int, until: int) -> int:
        """The time up to which everything is stored; a batch that waits for too long is no longer waited for."""
        waiting = self.closer.panes.oldest_waiting(partition)
        if waiting is None:
            return until
        grid = self.settings.grid
        return min(until, max(waiting, self.now - grid.lateness_ms - grid.retention_ms))

    def _reference(self, until: int) -> Reference:
        return Reference(f"close-{HOME}-{until}-{self.state.generation}", keys.journal(HOME, JOURNAL))

    def _commit(self, until: int, settlements: dict[int, Settlement], alarms: list[bytes]) -> dict[str, Any]:
        reference = self._reference(until)
        outbox = {"analytics": b"".join(self.written.lines), "alarms": b"".join(alarms)}
        outbox = {name: body for name, body in outbox.items() if body}
        if not outbox and until == self.state.closed and not any(settlements.values()):
            return action.done(reference)
        done = self.closer.panes.commit(
            Commit(
                generation=self.state.generation,
                closed=until,
                now=self.now,
                reference=reference,
                outbox=outbox,
                count=len(self.written.lines) + len(alarms),
                revisions=self.written.revisions,
                revisions_ttl_ms=self.settings.grid.pane_ttl(self.now, self.now),
                settlement=settlements[HOME],
            )
        )
        if not done:
            action.log("close.other-was-first", window_end=until)
            return action.done(reference)
        for partition in range(1, self.settings.partitions):
            self.closer.panes.settle(partition, settlements[partition])
        return self._finish(reference, settlements, stored=not outbox)

    def _finish(
        self, reference: Reference, settlements: dict[int, Settlement], *, stored: bool
    ) -> dict[str, Any]:
        ttl_s = self.settings.silence.forget_after_ms // 1000
        for partition in range(self.settings.partitions):
            self.closer.remember(partition, self.written.last_of(partition), ttl_s=ttl_s)
        moved = [item for settlement in settlements.values() for item in settlement.transitions]
        counts = {
            "close.windows": self.written.windows,
            "close.windows-again": self.written.windows_again,
            "close.documents": len(self.written.lines),
            "close.overflows": self.written.overflows,
            "alarms.silent": sum(item.silent for item in moved),
            "alarms.resumed": sum(not item.silent for item in moved),
        }
        self.closer.counters.add(counts)
        facts = {name.split(".")[1].replace("-", "_"): count for name, count in counts.items()}
        answer = action.done(reference) if stored else reference.as_result()
        return {**answer, **facts}
