"""Panes cut into parts by key, so that a close never holds more than a part of a window, however many devices there are.

The cut is an external hash partition: batches are read one at a time, their groups sorted into parts, and what is too much
for memory lies in Redis until its part is merged. A key has the same part in every pane. Numbers of parts are powers of two,
so that a part of a coarse cut is the union of some parts of a finer one.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hort.errors import OtherCloseWasFirst
from hort.pane_store import Base, Content, PaneKey, PaneStore
from hort.panes import NOTHING, Block, merge, pack, select, unpack

PART_BYTES = 2_000_000
"""Packed statistics of one part of a window, over all its panes; in memory it is some twenty times as much while it is merged."""
SPILL_BYTES = 16_000_000
"""What is sorted into parts in memory before it goes to Redis."""
MAX_PARTS = 4_096


def parts_for(size: int) -> int:
    """Into how many parts a window of that many bytes is cut."""
    return min(1 << (max(size - 1, 0) // PART_BYTES).bit_length(), MAX_PARTS)


def by_type(blocks: Iterable[Block]) -> dict[str, Block]:
    """One block a device type."""
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block.device_type, []).append(block)
    return {device_type: merge(group) for device_type, group in groups.items()}


def split(block: Block, parts: int) -> Iterator[tuple[int, Block]]:
    """The parts of a block that are not empty."""
    if parts == 1:
        yield 0, block
        return
    seed = zlib.crc32(block.device_type.encode())
    numbers = [
        zlib.crc32(f"{device_id}\0{event}".encode(), seed) % parts for device_id, event in block.identities
    ]
    order = np.argsort(numbers, kind="stable")
    there, starts = np.unique(np.asarray(numbers)[order], return_index=True)
    for number, rows in zip(there.tolist(), np.split(order, starts[1:]), strict=True):
        yield number, select(block, rows)


def names_of(block: Block) -> Block:
    """Who a block's groups are and how new, without their statistics."""
    nowhere = np.zeros(0, np.int64)
    return Block(
        device_type=block.device_type,
        identities=block.identities,
        fields=[],
        count=block.count,
        newest=block.newest,
        row=nowhere,
        column=nowhere,
        stats=NOTHING,
    )


@dataclass(frozen=True, slots=True)
class Parted:
    """A pane as a close reads it: `base` is its whole content in parts, with the batches that were merged into it just now.

    `replaced` is the base there was before, and `scratch` names where the new groups' names lie, where `base` was made by
    this close.
    """

    pane: PaneKey
    base: Base | None
    replaced: Base | None = None
    batches: tuple[bytes, ...] = ()
    scratch: str = ""

    @property
    def made(self) -> bool:
        """Whether this close made the base, which nobody else knows yet."""
        return bool(self.scratch)


class Splitter:
    """Cuts the panes of one close into `parts`; `token` names what it writes, `lost` gets the panes whose base is gone."""

    def __init__(self, store: PaneStore, parts: int, *, token: str, lost: set[PaneKey]) -> None:
        self._store = store
        self._parts = parts
        self._token = token
        self._lost = lost

    def parted(self, pane: PaneKey, content: Content) -> Parted:
        """The pane in parts; as it is where nothing is new and the cut is fine enough."""
        if not content.batches and (content.base is None or content.base.parts >= self._parts):
            return Parted(pane, content.base)
        scratch = f"{self._token}-scratch"
        old, new = (_Pile(self._store, pane, scratch, self._parts, kind=kind) for kind in ("old", "new"))
        for batch_id in content.batches:
            raw = self._store.read_batch(pane, batch_id)
            if raw is None:
                raise OtherCloseWasFirst(pane.start)
            new.add(raw)
        finer = content.base is not None and content.base.parts >= self._parts
        if content.base is not None and not finer:
            for number in range(content.base.parts):
                for raw in _of_base(self._store, pane, content.base, [number], self._lost):
                    old.add(raw)
        size = 0
        for part in range(self._parts):
            fresh = by_type(new.take(part))
            kept = self._finer(pane, content.base, part) if finer else old.take(part)
            raw = pack(list(by_type([*kept, *fresh.values()]).values()))
            size += len(raw)
            self._store.write_parts(pane, self._token, {str(part): raw})
            self._store.write_parts(pane, scratch, {f"names:{part}": pack(list(map(names_of, fresh.values())))})
        base = Base(self._token, self._parts, size)
        return Parted(pane, base, content.base, tuple(content.batches), scratch)

    def _finer(self, pane: PaneKey, base: Base | None, part: int) -> list[Block]:
        return read_part(self._store, pane, base, part, self._parts, lost=self._lost)


def read_part(
    store: PaneStore, pane: PaneKey, base: Base | None, part: int, parts: int, *, lost: set[PaneKey]
) -> list[Block]:
    """One part of a pane's base; the base may be cut finer."""
    if base is None:
        return []
    raws = _of_base(store, pane, base, range(part, base.parts, parts), lost)
    return [block for raw in raws for block in unpack(raw)]


def _of_base(
    store: PaneStore, pane: PaneKey, base: Base, numbers: Sequence[int], lost: set[PaneKey]
) -> list[bytes]:
    """Pieces of a base. What a commit made a pane's base and yet is gone will not come back: the pane is `lost`."""
    found = store.read_parts(pane, base.name, [str(number) for number in numbers])
    if len(found) < len(numbers):
        if store.content(pane).base != base:
            raise OtherCloseWasFirst(pane.start)
        lost.add(pane)
    return found


def read_all(store: PaneStore, pane: PaneKey, name: str, parts: Sequence[str]) -> list[Block]:
    """Parts that this close wrote; OtherCloseWasFirst where one is gone: a clock went ahead, so that they expired."""
    found = store.read_parts(pane, name, parts)
    if len(found) < len(parts):
        raise OtherCloseWasFirst(pane.start)
    return [block for raw in found for block in unpack(raw)]


class _Pile:
    """Blocks sorted into parts, in memory as far as they fit, the rest in the pane's scratch."""

    def __init__(self, store: PaneStore, pane: PaneKey, scratch: str, parts: int, *, kind: str) -> None:
        self._store = store
        self._pane = pane
        self._scratch = scratch
        self._parts = parts
        self._kind = kind
        self._here: dict[int, list[Block]] = defaultdict(list)
        self._size = 0
        self._spills = 0
        self._spilled: dict[int, list[str]] = defaultdict(list)

    def add(self, raw: bytes) -> None:
        """Sorts packed blocks."""
        for block in unpack(raw):
            for part, piece in split(block, self._parts):
                self._here[part].append(piece)
                self._size += piece.size
            if self._size > SPILL_BYTES:
                self._spill()

    def take(self, part: int) -> list[Block]:
        """Everything of one part, once."""
        if self._spills and self._here:
            self._spill()
        spilled = read_all(self._store, self._pane, self._scratch, self._spilled[part])
        return [*spilled, *self._here.pop(part, [])]

    def _spill(self) -> None:
        for part, blocks in self._here.items():
            name = f"{self._kind}:{part}:{self._spills}"
            self._store.write_parts(self._pane, self._scratch, {name: pack(list(by_type(blocks).values()))})
            self._spilled[part].append(name)
        self._here.clear()
        self._size = 0
        self._spills += 1
