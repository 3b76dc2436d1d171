"""What the action `window` does: a staged batch is reduced by numpy and added to the panes of its windows, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hort import action, clock, config, panes, unprocessable, watchdog
from hort.batch import Reference
from hort.counters import Counters
from hort.errors import PanesRemoved
from hort.journal import Journal
from hort.pane_store import GONE, MERGED, REMOVED, Addition, PaneKey, PaneStore
from hort.presence import Presence, member
from hort.reduction import STAGED, Records, records, reduce
from hort.windows import Grid, grid

DEFAULT_MAX_DEVICES = 200_000
DEFAULT_MAX_TYPES = 1_000
DEFAULT_AHEAD_S = 300
"""How far a device's clock may run ahead before its records no longer belong to any window."""
ADMITTED_KEPT = 200_000
"""Devices that a warm process remembers as admitted."""

STEP = "window"
TRIES = 3
"""Times that a batch is looked at anew because a pane of it was removed in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The parameters of `window`: the grid and the bounds of its state."""

    grid: Grid
    ahead_ms: int = DEFAULT_AHEAD_S * 1000
    max_devices: int = DEFAULT_MAX_DEVICES
    max_types: int = DEFAULT_MAX_TYPES


def settings(params: config.Params) -> Settings:
    """The settings of an activation; ConfigError names what is wrong."""
    return Settings(
        grid=grid(params),
        ahead_ms=config.milliseconds(params, "allowed_ahead_s", default_s=DEFAULT_AHEAD_S, maximum_s=3_600),
        max_devices=config.integer(
            params, "max_devices", default=DEFAULT_MAX_DEVICES, minimum=1, maximum=10_000_000
        ),
        max_types=config.integer(params, "max_types", default=DEFAULT_MAX_TYPES, minimum=1, maximum=100_000),
    )


@dataclass(slots=True, kw_only=True)
class Windower:
    """Adds batches to panes; one a process, so that it remembers which devices are admitted."""

    journal: Journal
    panes: PaneStore
    presence: Presence
    counters: Counters
    now: Callable[[], int] = clock.now_ms
    _admitted: set[tuple[int, str, str, str]] = field(default_factory=set)

    def run(self, reference: Reference, settings: Settings) -> dict[str, Any]:
        """Adds one batch; the answer counts its records and those that belong to no window."""
        created = self.journal.created(reference)
        stage = self.journal.read_stage(reference, [*STAGED, "late"])
        if stage is None or created is None:
            return action.done(reference)
        if "late" in stage:
            return {**reference.as_result(), "again": True, "late": len(stage["late"]) // 4}
        batch = records(stage)
        del stage
        watchdog.restart(alone=len(batch.times) == 1)
        self._search(reference, batch, settings)
        for _ in range(TRIES):
            answer = self._merge(reference, batch, settings, arrived=created)
            if answer is not None:
                return answer
        raise PanesRemoved(reference.batch_id)

    def _search(self, reference: Reference, batch: Records, settings: Settings) -> None:
        """Looks for the records that killed an earlier try, if there was one."""

        def attempt(positions: range) -> None:
            keep = np.zeros(len(batch.times), np.bool_)
            keep[positions.start : positions.stop] = True
            for _, block in reduce(batch, keep, pane_ms=settings.grid.pane_ms):
                panes.pack([block])

        if self.journal.trouble(reference, STEP).tries:
            unprocessable.search(reference, self.journal, STEP, len(batch.times), attempt)

    def _merge(
        self, reference: Reference, batch: Records, settings: Settings, *, arrived: int
    ) -> dict[str, Any] | None:
        """Adds the records to their panes; None where a close has removed one of them just now."""
        lost_before = max(settings.grid.lost_before(self.now()), self.panes.removed(reference.partition))
        outside = _outside(batch, settings, arrived=arrived, lost_before=lost_before)
        late = np.logical_or.reduce(list(outside.values()))
        folded, dropped = self._too_many(reference.partition, batch, ~late, settings)
        packed: dict[int, list[bytes]] = {}
        for start, block in reduce(batch, ~late, pane_ms=settings.grid.pane_ms, folded=folded, dropped=dropped):
            packed.setdefault(start, []).append(panes.pack([block]))
        now = self.now()
        additions = [_addition(reference.partition, start, packed[start], settings.grid, now) for start in packed]
        positions = np.flatnonzero(late).astype("<u4").tobytes()
        outcome = self.panes.add(reference, additions, late=positions, now=now)
        if outcome == REMOVED:
            return None
        if outcome == GONE:
            return action.done(reference)
        counts = {f"window.{name}": int(mask.sum()) for name, mask in outside.items()}
        counts["window.records"] = len(batch.times)
        counts["window.devices-folded"] = len(folded)
        counts["window.devices-dropped"] = len(dropped)
        counts["window.over-limit"] = int((np.isin(batch.key_index, dropped) & ~late).sum())
        if outcome == MERGED:
            self._report(reference, counts)
        return {
            **reference.as_result(),
            "records": len(batch.times),
            "late": len(positions) // 4,
            "panes": len(additions),
        }

    def _report(self, reference: Reference, counts: dict[str, int]) -> None:
        self.counters.add(counts)
        action.log_trouble("window.trouble", reference, counts)

    def _too_many(
        self, partition: int, batch: Records, keep: npt.NDArray[np.bool_], settings: Settings
    ) -> tuple[list[int], list[int]]:
        """Numbers of the keys over `max_devices` of their type, and of those over `max_types`."""
        newest = np.full(len(batch.keys), -1, np.int64)
        np.maximum.at(newest, batch.key_index[keep], batch.times[keep])
        unknown: dict[str, dict[bytes, tuple[int, int]]] = {}
        for number, moment in enumerate(newest.tolist()):
            key = batch.keys[number]
            if moment >= 0 and (partition, *key) not in self._admitted:
                unknown.setdefault(key[0], {})[member(key[1:])] = (moment, number)
        folded: list[int] = []
        dropped: list[int] = []
        for device_type, devices in unknown.items():
            times = {item: moment for item, (moment, _) in devices.items()}
            refused = self.presence.admit(
                partition, device_type, times, max_devices=settings.max_devices, max_types=settings.max_types
            )
            if refused is None:
                dropped += [number for _, number in devices.values()]
            else:
                folded += [devices[item][1] for item in refused]
        self._remember(partition, batch, unknown, {*folded, *dropped})
        return sorted(folded), sorted(dropped)

    def _remember(
        self,
        partition: int,
        batch: Records,
        asked: dict[str, dict[bytes, tuple[int, int]]],
        refused: set[int],
    ) -> None:
        if len(self._admitted) > ADMITTED_KEPT:
            self._admitted.clear()
        numbers = {number for devices in asked.values() for _, number in devices.values()} - refused
        self._admitted.update((partition, *batch.keys[number]) for number in numbers)


def _outside(
    batch: Records, settings: Settings, *, arrived: int, lost_before: int
) -> dict[str, npt.NDArray[np.bool_]]:
    """Masks of the records that belong to no window, by reason; each record has one reason at most.

    Late is judged against the arrival of the batch, so that it is the same however often and late the batch is delivered.
    """
    late = batch.times < settings.grid.late_before(arrived)
    expired = ~late & (batch.times < lost_before)
    return {"late": late, "expired": expired, "ahead": batch.times > arrived + settings.ahead_ms}


def _addition(partition: int, start: int, pieces: list[bytes], grid: Grid, now: int) -> Addition:
    pane = PaneKey(partition=partition, start=start, length=grid.pane_ms)
    return Addition(pane=pane, blob=b"".join(pieces), ttl_ms=grid.pane_ttl(start, now))
