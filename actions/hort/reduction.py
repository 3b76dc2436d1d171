"""From the columns of a batch to the blocks of its panes: numpy groups by device and pane, Python sees one item a group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgpack
import numpy as np
import numpy.typing as npt
import orjson

from hort import panes
from hort.errors import BatchError
from hort.journal import Stage
from hort.panes import OTHERS, Block, Identity, Stats, combine

Key = tuple[str, str, str]
"""Device type, device id, event."""
STAGED = ("cols", "keys", "key_index", "ts")


@dataclass(frozen=True, slots=True)
class Columns:
    """The numeric fields of one device type: `values[i]` belongs to record `rows[i]`, NaN where the field is missing."""

    device_type: str
    fields: list[str]
    rows: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Records:
    """A batch as `ingest` staged it: record i belongs to `keys[key_index[i]]` and happened at `times[i]` (ms)."""

    keys: list[Key]
    key_index: npt.NDArray[np.uint32]
    times: npt.NDArray[np.int64]
    columns: list[Columns]


def records(stage: Stage) -> Records:
    """The records of the stage fields STAGED; BatchError where one is missing or does not fit the others."""
    missing = [name for name in STAGED if name not in stage]
    if missing:
        raise BatchError(f"stage fields {', '.join(missing)} are missing: 'window' follows 'ingest'")
    try:
        keys = [(key[0], key[1], key[2]) for key in orjson.loads(stage["keys"])]
        columns = [_columns(item) for item in msgpack.unpackb(stage["cols"])]
        index, times = np.frombuffer(stage["key_index"], "<u4"), np.frombuffer(stage["ts"], "<i8")
    except (ValueError, KeyError, IndexError, TypeError, msgpack.UnpackException) as error:
        raise BatchError(f"stage fields of 'ingest' cannot be read: {error}") from error
    if len(index) != len(times) or (len(index) and int(index.max()) >= len(keys)):
        raise BatchError(
            f"stage fields do not fit: {len(index)} key numbers, {len(times)} times, {len(keys)} keys"
        )
    if any(len(item.rows) and int(item.rows.max()) >= len(times) for item in columns):
        raise BatchError(f"stage field cols names records beyond {len(times)}")
    return Records(keys, index, times, columns)


def _columns(item: dict[str, object]) -> Columns:
    rows = np.frombuffer(item["rows"], "<u4")  # type: ignore[call-overload]
    fields = list(item["fields"])  # type: ignore[call-overload]
    values = np.frombuffer(item["values"], "<f8").reshape(len(rows), len(fields))  # type: ignore[call-overload]
    return Columns(str(item["device_type"]), fields, rows, values)


def reduce(
    batch: Records,
    keep: npt.NDArray[np.bool_],
    *,
    pane_ms: int,
    folded: Sequence[int] = (),
    dropped: Sequence[int] = (),
) -> Iterator[tuple[int, Block]]:
    """Pane starts and blocks of the records that `keep` marks, a bounded number of cells at a time; no group is in two.

    Records of the `folded` key numbers count for their device type only, those of the `dropped` ones not at all.
    """
    slots, slot_of_key = _slots(batch.keys, folded)
    if dropped:
        keep = keep & ~np.isin(batch.key_index, dropped)
    kept = np.flatnonzero(keep)
    if not len(kept):
        return
    pane = batch.times[kept] // pane_ms
    first = int(pane.min())
    codes, group = np.unique((pane - first) * len(slots) + slot_of_key[batch.key_index[kept]], return_inverse=True)
    group_of = np.full(len(batch.times), -1, np.int64)
    group_of[kept] = group
    newest = np.zeros(len(codes), np.int64)
    np.maximum.at(newest, group, batch.times[kept])
    groups = _Groups(slots, codes % len(slots), first + codes // len(slots), np.bincount(group), newest, group_of)
    for start, block in groups.blocks(batch.columns):
        yield start * pane_ms, block


def _slots(
    keys: Sequence[Key], folded: Sequence[int]
) -> tuple[list[tuple[str, Identity]], npt.NDArray[np.int64]]:
    """What groups are for (device type, identity), and which of them each key goes to."""
    slots: list[tuple[str, Identity]] = [(key[0], (key[1], key[2])) for key in keys]
    slot_of_key = np.arange(len(keys), dtype=np.int64)
    others: dict[str, int] = {}
    for number in folded:
        device_type = keys[number][0]
        if device_type not in others:
            others[device_type] = len(slots)
            slots.append((device_type, OTHERS))
        slot_of_key[number] = others[device_type]
    return slots, slot_of_key


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups of records that share slot and pane, sorted by pane; `group_of` a record is -1 where it is left out."""

    slots: list[tuple[str, Identity]]
    slot: npt.NDArray[np.int64]
    pane: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    newest: npt.NDArray[np.int64]
    group_of: npt.NDArray[np.int64]

    def blocks(self, columns: Sequence[Columns]) -> Iterator[tuple[int, Block]]:
        """Each type's groups with the statistics of its fields, cut into panes."""
        types: dict[str, list[int]] = {}
        for number, slot in enumerate(self.slot.tolist()):
            types.setdefault(self.slots[slot][0], []).append(number)
        mine: dict[str, list[Columns]] = {}
        for item in columns:
            mine.setdefault(item.device_type, []).append(item)
        for device_type, numbers in types.items():
            members = np.array(numbers, np.int64)
            cells = _cells(mine.get(device_type, []), self.group_of, members)
            for part in _pieces(self.pane[members], cells.group):
                yield int(self.pane[members[part.start]]), self._block(device_type, members, cells, part)

    def _block(self, device_type: str, members: npt.NDArray[np.int64], cells: _Cells, part: slice) -> Block:
        here = members[part]
        first, last = np.searchsorted(cells.group, [part.start, part.stop])
        group, column = cells.group[first:last], cells.column[first:last]
        starts = np.flatnonzero(np.diff(group * len(cells.fields) + column, prepend=-1))
        return Block(
            device_type=device_type,
            identities=[self.slots[slot][1] for slot in self.slot[here].tolist()],
            fields=cells.fields,
            count=self.count[here],
            newest=self.newest[here],
            row=group[starts] - part.start,
            column=column[starts],
            stats=combine(Stats.of_values(cells.value[first:last]), np.arange(last - first), starts),
        )


@dataclass(frozen=True, slots=True)
class _Cells:
    """The values of one device type, sorted by group (a place among the type's groups), then field."""

    fields: list[str]
    group: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


def _cells(columns: Sequence[Columns], group_of: npt.NDArray[np.int64], members: npt.NDArray[np.int64]) -> _Cells:
    """The values that are there of the records that are in one of the groups."""
    fields: dict[str, int] = {}
    keys, values = [np.zeros(0, np.int64)], [np.zeros(0)]
    width = len({name for item in columns for name in item.fields}) or 1
    for item in columns:
        places = np.array([fields.setdefault(name, len(fields)) for name in item.fields], np.int64)
        wanted = group_of[item.rows]
        row, column = np.nonzero(~np.isnan(item.values) & (wanted >= 0)[:, np.newaxis])
        keys.append(np.searchsorted(members, wanted)[row] * width + places[column])
        values.append(item.values[row, column])
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    key = key[order]
    return _Cells(list(fields), key // width, key % width, np.concatenate(values)[order])


def _pieces(pane: npt.NDArray[np.int64], cell_group: npt.NDArray[np.int64]) -> Iterator[slice]:
    """The groups of one device type in pieces of one pane each, and of so many cells as are calculated at a time."""
    ends = np.append(np.flatnonzero(np.diff(pane)) + 1, len(pane))
    begin = 0
    for end in ends.tolist():
        while begin < end:
            cells = np.searchsorted(cell_group, begin)
            full = int(cell_group[cells + panes.AT_ONCE]) if cells + panes.AT_ONCE < len(cell_group) else end
            stop = min(end, max(begin + 1, full))
            yield slice(begin, stop)
            begin = stop
