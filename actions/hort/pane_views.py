"""Panes as one close sees them, a part at a time; what batches brought since the last close is told apart."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hort.pane_parts import Parted, Splitter, parts_for, read_all, read_part
from hort.pane_store import Base, Compaction, Content, PaneKey, PaneStore, Settlement
from hort.panes import Block, Identity
from hort.windows import Grid

CACHE_BYTES = 8_000_000
"""Statistics that stay in memory from one window to the next."""


@dataclass(frozen=True, slots=True)
class PaneView:
    """One part of a pane: all blocks in it, and the names in those that are new."""

    whole: Sequence[Block]
    new: Sequence[Block]

    def changed(self, device_type: str) -> Iterator[Identity]:
        """The devices that new batches brought records of."""
        for block in self.new:
            if block.device_type == device_type:
                yield from block.identities


class PaneViews:
    """The panes of all partitions during one close, which `token` names; `alive` is told with each pane that it goes on."""

    def __init__(
        self,
        store: PaneStore,
        grid: Grid,
        partitions: Sequence[int],
        *,
        token: str,
        alive: Callable[[], None],
    ) -> None:
        self._store = store
        self._alive = alive
        self._token = token
        self.grid = grid
        self.partitions = partitions
        self.lost: set[PaneKey] = set()
        self._starts = {partition: store.panes(partition) for partition in partitions}
        self._touched = {partition: store.touched(partition) for partition in partitions}
        self._contents: dict[tuple[int, int], Content] = {}
        self._parts: dict[int, int] = dict.fromkeys(partitions, 1)
        self._parted: dict[tuple[int, int], Parted] = {}
        self._cache: OrderedDict[tuple[int, int, int], tuple[PaneView, int]] = OrderedDict()
        self._cached = 0

    def oldest(self) -> int | None:
        """Start of the oldest pane there is."""
        return min((starts[0] for starts in self._starts.values() if starts), default=None)

    def removed(self) -> int:
        """Windows that end by then have lost panes; 0: none have."""
        return max(self._store.removed(partition) for partition in self.partitions)

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

    def expired(self) -> set[int]:
        """Starts of the panes, of those that were looked at, that went before a close could merge all that was in them."""
        return {
            start
            for (partition, start), content in self._contents.items()
            if start in self._touched[partition] and content.base is None and not content.batches
        }

    def plan(self, ends: Iterable[int]) -> None:
        """Looks at what the windows that may be written consist of: so many parts are needed, so many batches are read."""
        wanted = list(ends)
        for partition in self.partitions:
            sizes = [0]
            for end in wanted:
                panes = self._panes_of(partition, end)
                sizes.append(sum(self._content(partition, start).size for start in panes))
            self._parts[partition] = parts_for(max(sizes))

    def parts(self, partition: int) -> int:
        """Into how many parts the panes of a partition are cut."""
        return self._parts[partition]

    def window(self, partition: int, end: int, part: int) -> list[PaneView]:
        """One part of the panes of a window in one partition."""
        return [self._view(partition, start, part) for start in self._panes_of(partition, end)]

    def new_blocks(self, partition: int, part: int) -> Iterator[Block]:
        """The names in what batches brought, in the panes that were read."""
        for (where, _), parted in self._parted.items():
            if where == partition:
                yield from self._new(parted, part)

    def read_until(self, partition: int, until: int) -> int:
        """The time up to which this close read all that is new, `until` at most."""
        unread = [start for start in self._touched[partition] if (partition, start) not in self._parted]
        return min([until, *unread])

    def settlements(self, closed: int, *, dirty_until: int | None, before: int) -> dict[int, Settlement]:
        """For each partition the panes that are merged now: those whose closed windows were all written in this close.

        A batch that came into an old pane between our look at what is touched and our reading of the pane is left there: only
        those windows were written again that other panes made dirty, and the next close has to see it.
        `dirty_until` is the end of the first one that was not; panes that start before `before` are removed.
        """
        result = {partition: self._settlement(partition, before) for partition in self.partitions}
        for (partition, start), parted in self._parted.items():
            all_written = dirty_until is None or min(self.grid.last_end(start), closed) < dirty_until
            written = all_written and start in self._touched[partition]
            if parted.made and parted.base is not None and (written or not parted.batches):
                result[partition].compactions.append(_compaction(parted, parted.base))
        return result

    def _settlement(self, partition: int, before: int) -> Settlement:
        """An empty one; that the other partitions settle is not sure until they did."""
        others = [starts[0] for other, starts in self._touched.items() if other != partition and starts]
        return Settlement(
            panes_before=before,
            pane_length=self.grid.pane_ms,
            window_length=self.grid.size_ms,
            unsettled=min(others, default=None),
        )

    def tidy(self, kept: Iterable[Settlement]) -> None:
        """Removes what was written for reading only; the bases of these settlements stay."""
        bases = {item.pane for settlement in kept for item in settlement.compactions}
        for parted in self._parted.values():
            if parted.made:
                self._store.drop_parts(parted.pane, parted.scratch)
                if parted.base is not None and parted.pane not in bases:
                    self._store.drop_parts(parted.pane, parted.base.name)

    def _panes_of(self, partition: int, end: int) -> list[int]:
        there = set(self._starts[partition])
        return [start for start in self.grid.panes_of(end) if start in there]

    def _key(self, partition: int, start: int) -> PaneKey:
        return PaneKey(partition=partition, start=start, length=self.grid.pane_ms)

    def _content(self, partition: int, start: int) -> Content:
        where = (partition, start)
        if where not in self._contents:
            self._contents[where] = self._store.content(self._key(partition, start))
        return self._contents[where]

    def _view(self, partition: int, start: int, part: int) -> PaneView:
        where = (partition, start, part)
        if where in self._cache:
            self._cache.move_to_end(where)
            return self._cache[where][0]
        parted = self._read(partition, start)
        parts = self._parts[partition]
        whole = read_part(self._store, parted.pane, parted.base, part, parts, lost=self.lost)
        view = PaneView(whole, self._new(parted, part))
        self._keep(where, view, sum(block.size for block in whole))
        return view

    def _keep(self, where: tuple[int, int, int], view: PaneView, size: int) -> None:
        self._cache[where] = (view, size)
        self._cached += size
        while self._cached > CACHE_BYTES:
            _, (_, gone) = self._cache.popitem(last=False)
            self._cached -= gone

    def _read(self, partition: int, start: int) -> Parted:
        where = (partition, start)
        if where not in self._parted:
            self._alive()
            splitter = Splitter(self._store, self._parts[partition], token=self._token, lost=self.lost)
            self._parted[where] = splitter.parted(self._key(partition, start), self._content(partition, start))
        return self._parted[where]

    def _new(self, parted: Parted, part: int) -> list[Block]:
        if not parted.batches:
            return []
        return read_all(self._store, parted.pane, parted.scratch, [f"names:{part}"])


def _compaction(parted: Parted, base: Base) -> Compaction:
    return Compaction(pane=parted.pane, base=base, replaced=parted.replaced, batches=parted.batches)
