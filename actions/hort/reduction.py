"""From the columns of a batch to the blocks of its panes: numpy groups by device and pane, Python sees one item a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgpack
import numpy as np
import numpy.typing as npt
import orjson

from hort.errors import BatchError
from hort.journal import Stage
from hort.panes import OTHERS, Block, Identity, Stats, combine, select

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
) -> dict[int, list[Block]]:
    """Blocks by pane start of the records that `keep` marks.

    Records of the `folded` key numbers count for their device type only, those of the `dropped` ones not at all.
    """
    slots, slot_of_key = _slots(batch.keys, folded)
    if dropped:
        keep = keep & ~np.isin(batch.key_index, dropped)
    kept = np.flatnonzero(keep)
    if not len(kept):
        return {}
    pane = batch.times[kept] // pane_ms
    first, span = int(pane.min()), int(pane.max() - pane.min()) + 1
    codes, group = np.unique(slot_of_key[batch.key_index[kept]] * span + (pane - first), return_inverse=True)
    group_of = np.full(len(batch.times), -1, np.int64)
    group_of[kept] = group
    order = np.argsort(group, kind="stable")
    newest = np.maximum.reduceat(
        batch.times[kept][order], np.searchsorted(group[order], np.arange(len(codes)))
    )
    groups = _Groups(slots, codes // span, first + codes % span, np.bincount(group), newest, group_of)
    return groups.by_pane(batch.columns, pane_ms)


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
    """Groups of records that share slot and pane; `group_of` a record is -1 where it is left out."""

    slots: list[tuple[str, Identity]]
    slot: npt.NDArray[np.int64]
    pane: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    newest: npt.NDArray[np.int64]
    group_of: npt.NDArray[np.int64]

    def by_pane(self, columns: Sequence[Columns], pane_ms: int) -> dict[int, list[Block]]:
        """Each type's groups with the statistics of its fields, cut into panes."""
        types: dict[str, list[int]] = {}
        for number, slot in enumerate(self.slot.tolist()):
            types.setdefault(self.slots[slot][0], []).append(number)
        panes: dict[int, list[Block]] = {}
        for device_type, numbers in types.items():
            members = np.array(numbers, np.intp)
            pane = self.pane[members]
            for block in self._blocks(device_type, members, columns):
                for number in np.unique(pane).tolist():
                    panes.setdefault(number * pane_ms, []).append(
                        select(block, np.flatnonzero(pane == number))
                    )
        return panes

    def _blocks(
        self, device_type: str, members: npt.NDArray[np.intp], columns: Sequence[Columns]
    ) -> list[Block]:
        """One block a set of columns of the type; records are counted in the first."""
        mine = [item for item in columns if item.device_type == device_type]
        sets = [(item.fields, self._stats(item, members)) for item in mine] or [
            ([], Stats.empty(len(members), 0))
        ]
        identities = [self.slots[slot][1] for slot in self.slot[members].tolist()]
        return [
            Block(
                device_type=device_type,
                identities=identities,
                fields=fields,
                count=self.count[members] if number == 0 else np.zeros(len(members), np.int64),
                newest=self.newest[members],
                stats=stats,
            )
            for number, (fields, stats) in enumerate(sets)
        ]

    def _stats(self, columns: Columns, members: npt.NDArray[np.intp]) -> Stats:
        wanted = self.group_of[columns.rows]
        group = np.minimum(np.searchsorted(members, wanted), len(members) - 1)
        used = members[group] == wanted
        group, values = group[used], columns.values[used]
        order = np.argsort(group, kind="stable")
        there, starts = np.unique(group[order], return_index=True)
        part = combine(Stats.of_records(values), order, starts)
        return part.spread(there, len(members))
