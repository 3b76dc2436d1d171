"""Panes as one close sees them: each is read once, and what batches brought since the last close is told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hort.pane_store import BASE, Compaction, PaneKey, PaneStore, Settlement
from hort.panes import Block, Identity, merge, pack, unpack
from hort.windows import Grid


@dataclass(frozen=True, slots=True)
class PaneView:
    """One pane: everything in it by device type, and what is new in it."""

    pane: PaneKey
    whole: dict[str, Block]
    new: dict[str, Block]
    batches: list[bytes]

    def changed(self, device_type: str) -> Sequence[Identity]:
        """The devices that new batches brought records of."""
        block = self.new.get(device_type)
        return block.identities if block else []


def by_type(blocks: Iterable[Block]) -> dict[str, Block]:
    """One block a device type."""
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block.device_type, []).append(block)
    return {device_type: merge(group) for device_type, group in groups.items()}


class PaneViews:
    """The panes of all partitions during one close."""

    def __init__(self, store: PaneStore, grid: Grid, partitions: Sequence[int]) -> None:
        self._store = store
        self.grid = grid
        self.partitions = partitions
        self._starts = {partition: store.panes(partition) for partition in partitions}
        self._touched = {partition: store.touched(partition) for partition in partitions}
        self._views: dict[tuple[int, int], PaneView] = {}

    def oldest(self) -> int | None:
        """Start of the oldest pane there is."""
        return min((starts[0] for starts in self._starts.values() if starts), default=None)

    def oldest_touched(self) -> int:
        """Start of the oldest pane with something new; ValueError without any."""
        return min(starts[0] for starts in self._touched.values() if starts)

    def starts(self) -> set[int]:
        """Starts of all panes there are."""
        return {start for starts in self._starts.values() for start in starts}

    def dirty_ends(self, closed: int) -> list[int]:
        """Ends of the windows up to `closed` that have a touched pane, oldest first."""
        touched = {start for starts in self._touched.values() for start in starts}
        return sorted({end for start in touched for end in self.grid.ends_of(start) if end <= closed})

    def window(self, partition: int, end: int) -> list[PaneView]:
        """The panes of a window in one partition."""
        there = set(self._starts[partition])
        return [self._view(partition, start) for start in self.grid.panes_of(end) if start in there]

    def new_blocks(self, partition: int) -> Iterator[Block]:
        """What batches brought, in the panes that were read."""
        for (where, _), view in self._views.items():
            if where == partition:
                yield from view.new.values()

    def settlements(self, closed: int, *, dirty_until: int | None, before: int) -> dict[int, Settlement]:
        """For each partition the panes that are merged now: those whose closed windows were all written in this close.

        `dirty_until` is the end of the first one that was not; panes that start before `before` are removed.
        """
        if dirty_until is not None:
            before = min(before, dirty_until - self.grid.size_ms)
        length = self.grid.pane_ms
        result = {part: Settlement(panes_before=before, pane_length=length) for part in self.partitions}
        for (partition, start), view in self._views.items():
            written = dirty_until is None or min(self.grid.last_end(start), closed) < dirty_until
            if view.batches and written:
                base = pack(list(view.whole.values()))
                result[partition].compactions.append(
                    Compaction(pane=view.pane, base=base, batches=view.batches)
                )
        return result

    def _view(self, partition: int, start: int) -> PaneView:
        key = (partition, start)
        if key not in self._views:
            self._views[key] = self._read(PaneKey(partition=partition, start=start, length=self.grid.pane_ms))
        return self._views[key]

    def _read(self, pane: PaneKey) -> PaneView:
        fields = self._store.read(pane)
        base = by_type(unpack(fields.pop(BASE))) if BASE in fields else {}
        new = by_type(block for raw in fields.values() for block in unpack(raw))
        return PaneView(pane, by_type([*base.values(), *new.values()]), new, list(fields))
