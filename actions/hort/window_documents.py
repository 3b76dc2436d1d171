"""One window's documents from its panes, at both levels; of a window written again only the keys that changed.

Documents leave a piece at a time: to Redis in batches that `sink` can hold, to the join in portions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hort import mapped_fields
from hort.analytics import DEVICE, DEVICE_TYPE, documents, overflows
from hort.batch import Reference
from hort.pane_parts import by_type
from hort.pane_store import PaneStore
from hort.pane_views import PaneView, PaneViews
from hort.panes import Block, merge, select, total
from hort.schema import NUMERIC

BATCH_BYTES = 8_000_000
"""Documents of one batch for `sink`."""
PORTION = 1_000
"""Documents that the join is given at a time, unless they are large."""
PORTION_BYTES = 2_000_000
MAX_TYPES = 1_000
"""Device types whose fields are told to the sink, so that it maps them."""
_NAMES = mapped_fields.stage_field("analytics")
_TOTALS = 16
"""Parts' totals of one device type that wait to be merged."""


class Memory(Protocol):
    """Where the last closed windows go for the join, see `hort.join.remember`."""

    def __call__(self, partition: int, documents: Mapping[bytes, bytes], *, ttl_s: int) -> None:
        """Keeps documents by key id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The window that is written, its `revision`, and whether the join wants it (`newest`)."""

    start: int
    end: int
    newest: bool
    revision: int


@dataclass(slots=True, kw_only=True)
class Writer:
    """Writes documents of one close; `name` and `journal` are what its batches are called and where they belong.

    `alive` is told with each batch that the close goes on.
    """

    panes: PaneStore
    remember: Memory
    remember_ttl_s: int
    partitions: Sequence[int]
    name: str
    journal: str
    now: int
    alive: Callable[[], None]
    references: list[Reference] = field(default_factory=list)
    documents: int = 0
    size: int = 0
    windows: int = 0
    windows_again: int = 0
    overflows: int = 0
    revisions: dict[int, int] = field(default_factory=dict)
    _lines: list[bytes] = field(default_factory=list)
    _names: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    _waiting: int = 0
    _last: dict[int, dict[bytes, bytes]] = field(default_factory=lambda: defaultdict(dict))
    _last_bytes: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, block: Block, level: str, *, window: Window, partition: int | None) -> None:
        """Adds a block's documents; those of a device type belong to no partition."""
        places = self.partitions if partition is None else [partition]
        self.overflows += overflows(block)
        if len(self._names) < MAX_TYPES:
            self._names[block.device_type].update(dict.fromkeys(block.fields, NUMERIC))
        for document in documents(
            block, level=level, start=window.start, end=window.end, revision=window.revision
        ):
            self._line(document.lines())
            for place in places if window.newest else ():
                self._keep(place, document.key_id, document.body)

    def _keep(self, place: int, key_id: bytes, body: bytes) -> None:
        self._last[place][key_id] = body
        self._last_bytes[place] += len(body)
        if len(self._last[place]) >= PORTION or self._last_bytes[place] >= PORTION_BYTES:
            self.remember(place, self._last.pop(place), ttl_s=self.remember_ttl_s)
            del self._last_bytes[place]

    def _line(self, line: bytes) -> None:
        if self._lines and self._waiting + len(line) > BATCH_BYTES:
            self._stage({})
        self._lines.append(line)
        self._waiting += len(line)
        self.size += len(line)
        self.documents += 1

    def end(self, alarms: Sequence[bytes]) -> None:
        """Writes what is left, and the alarms with it."""
        for place in list(self._last):
            self.remember(place, self._last.pop(place), ttl_s=self.remember_ttl_s)
        if self._lines or alarms:
            self._stage({"alarms": b"".join(alarms)} if alarms else {}, more=len(alarms))

    def _stage(self, fields: Mapping[str, bytes], *, more: int = 0) -> None:
        count = len(self._lines) + more
        body = {"analytics": b"".join(self._lines), _NAMES: mapped_fields.staged(self._names)} if self._lines else {}
        self._lines.clear()
        self._waiting = 0
        reference = Reference(f"{self.name}-{len(self.references):04d}", self.journal)
        self.references.append(reference)
        self.alive()
        self.panes.stage(reference, {**body, **fields}, count=count, now=self.now)


def write_window(
    views: PaneViews, end: int, writer: Writer, *, again: bool, newest: bool, written: bool = False
) -> None:
    """Adds the documents of the window that ends at `end`: where it is written `again`, of what changed since.

    A window that was `written` by a clock that went back since is written as a whole, with a higher revision too.
    """
    before = writer.documents
    again_or_anew = again or written
    revision = writer.panes.revision(end) + 1 if again_or_anew else 0
    window = Window(start=end - views.grid.size_ms, end=end, newest=newest, revision=revision)
    totals: dict[str, list[Block]] = defaultdict(list)
    changed: set[str] = set()
    for partition in views.partitions:
        for part in range(views.parts(partition)):
            panes = views.window(partition, end, part)
            for device_type, block in by_type(_blocks(panes)).items():
                _add_total(totals[device_type], total(block))
                wanted = _changed(block, panes) if again else block
                if len(wanted.identities):
                    changed.add(device_type)
                    writer.add(wanted, DEVICE, window=window, partition=partition)
    for device_type in sorted(changed):
        writer.add(total(merge(totals[device_type])), DEVICE_TYPE, window=window, partition=None)
    if writer.documents > before:
        writer.windows += not again_or_anew
        writer.windows_again += again_or_anew
        if again_or_anew:
            writer.revisions[end] = revision


def _blocks(panes: Sequence[PaneView]) -> Iterable[Block]:
    return (block for view in panes for block in view.whole)


def _add_total(totals: list[Block], block: Block) -> None:
    """Keeps a part's total; many of them become one, so that memory does not grow with the parts."""
    totals.append(block)
    if len(totals) > _TOTALS:
        totals[:] = [total(merge(totals))]


def _changed(block: Block, panes: Sequence[PaneView]) -> Block:
    """The groups of a block that new batches brought records of."""
    names = {identity for view in panes for identity in view.changed(block.device_type)}
    return select(block, [row for row, identity in enumerate(block.identities) if identity in names])
