"""One window's documents from its panes, at both levels; of a window written again only the keys that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hort.analytics import DEVICE, DEVICE_TYPE, documents, overflows
from hort.pane_views import PaneView, PaneViews, by_type
from hort.panes import Block, merge, select, total

Revisions = Callable[[int, Sequence[bytes]], Sequence[int]]
"""Window end and key ids -> the revisions written last."""


@dataclass(slots=True)
class Written:
    """What a close has written so far."""

    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    windows: int = 0
    windows_again: int = 0
    overflows: int = 0
    revisions: dict[int, dict[bytes, int]] = field(default_factory=dict)
    _last: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    _last_of_types: dict[bytes, bytes] = field(default_factory=dict)

    def last_of(self, partition: int) -> dict[bytes, bytes]:
        """The newest document of each key of a partition and of each device type."""
        return {**self._last.get(partition, {}), **self._last_of_types}

    def add(self, block: Block, level: str, *, window: Window, partition: int | None) -> None:
        """Adds a block's documents; those of a device type belong to no partition."""
        last = self._last_of_types if partition is None else self._last.setdefault(partition, {})
        self.overflows += overflows(block)
        for document in documents(
            block, level=level, start=window.start, end=window.end, revisions=window.revise
        ):
            line = document.lines()
            self.lines.append(line)
            self.size += len(line)
            if window.newest:
                last[document.key_id] = document.body
        if window.revised:
            self.revisions[window.end] = window.revised


@dataclass(slots=True)
class Window:
    """The window that is written: `newest` says that the join wants it, `revised` collects what was written again."""

    start: int
    end: int
    newest: bool
    lookup: Callable[[list[bytes]], Sequence[int]] | None
    revised: dict[bytes, int] = field(default_factory=dict)

    def revise(self, key_ids: list[bytes]) -> Sequence[int]:
        """The revisions of these documents."""
        if self.lookup is None:
            return [0] * len(key_ids)
        numbers = [number + 1 for number in self.lookup(key_ids)]
        self.revised.update(zip(key_ids, numbers, strict=True))
        return numbers


def write_window(
    views: PaneViews, end: int, written: Written, *, again: bool, newest: bool, revisions: Revisions
) -> None:
    """Adds the documents of the window that ends at `end`."""
    before = len(written.lines)
    lookup = (lambda key_ids: revisions(end, key_ids)) if again else None
    window = Window(end - views.grid.size_ms, end, newest, lookup)
    whole: dict[str, list[Block]] = {}
    changed: set[str] = set()
    for partition in views.partitions:
        panes = views.window(partition, end)
        for device_type, block in by_type(block for view in panes for block in view.whole.values()).items():
            whole.setdefault(device_type, []).append(total(block))
            part = _changed(block, panes) if again else block
            if len(part.identities):
                changed.add(device_type)
                written.add(part, DEVICE, window=window, partition=partition)
    for device_type in sorted(changed):
        written.add(total(merge(whole[device_type])), DEVICE_TYPE, window=window, partition=None)
    if len(written.lines) > before:
        written.windows += not again
        written.windows_again += again


def _changed(block: Block, panes: Sequence[PaneView]) -> Block:
    """The groups of a block that new batches brought records of."""
    names = {identity for view in panes for identity in view.changed(block.device_type)}
    return select(block, [row for row, identity in enumerate(block.identities) if identity in names])
