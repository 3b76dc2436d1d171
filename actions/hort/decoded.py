"""What a batch becomes when it is decoded, and the stage fields that hand it on."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import msgpack
import orjson

from hort import mapped_fields, schema
from hort.flatten import Flat

Key = tuple[str, str, str]
"""Device type, device id, event."""
Names = tuple[str, ...]

SPARSE = 2
"""A table has at most so many cells for each that is filled."""
_NAN = float("nan")


@dataclass(slots=True)
class Block:
    """The numbers of records that have the same numeric fields: `values` row by row, `rows` the records' positions."""

    names: Names
    pick: Callable[[Flat], tuple[Any, ...]]
    rows: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, names: Names) -> Block:
        """An empty block of these fields."""
        if len(names) > 1:
            return cls(names, itemgetter(*names))
        return cls(names, lambda flat: tuple(flat[name] for name in names))


@dataclass(frozen=True, slots=True)
class Identity:
    """A record that its device numbered: its id and who brought it, `<batch>.<message>.<item>`."""

    record: int
    record_id: str
    owner: str


@dataclass(slots=True)
class Decoded:
    """A decoded batch; `lines`, `key_index` and `times` have one entry a record."""

    keys: list[Key] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    key_index: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    types: dict[str, schema.TypeSchema] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    """Device type -> the names in its records with their kinds, for the sink to map; at most `mapped_fields.MAX_NAMES`."""
    blocks: dict[str, dict[Names, Block]] = field(default_factory=dict)
    """Device type -> names of the numeric fields that a record has -> those records."""
    dead: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    unknown: schema.Unknown = field(default_factory=dict)
    identities: list[Identity] = field(default_factory=list)
    extra: Mapping[str, bytes] = field(default_factory=dict)
    """Stage fields of a replay, over those made here."""

    def block(self, device_type: str, names: Names) -> Block:
        """The block of these fields, empty at first."""
        blocks = self.blocks.setdefault(device_type, {})
        if names not in blocks:
            blocks[names] = Block.of(names)
        return blocks[names]

    def without(self, dropped: set[int]) -> None:
        """Takes records out again (repeats of earlier batches)."""
        kept = [record for record in range(len(self.lines)) if record not in dropped]
        renumbered = {old: new for new, old in enumerate(kept)}
        self.lines = [self.lines[record] for record in kept]
        self.key_index = [self.key_index[record] for record in kept]
        self.times = [self.times[record] for record in kept]
        for block in (block for blocks in self.blocks.values() for block in blocks.values()):
            _drop_rows(block, renumbered)

    def stage_fields(self) -> dict[str, bytes]:
        """The fields for window, score and sink: NDJSON bodies, little-endian columns, see `columns`."""
        return {
            "events": b"".join(self.lines),
            "keys": orjson.dumps(self.keys),
            "key_index": array("I", self.key_index).tobytes(),
            "ts": array("q", self.times).tobytes(),
            "cols": msgpack.packb(
                [item for name, found in self.blocks.items() for item in columns(name, self.types[name], list(found.values()))]
            ),
            mapped_fields.stage_field("events"): mapped_fields.staged(self.names),
            "dead": b"".join(self.dead),
            "count": str(len(self.lines)).encode(),
            **self.extra,
        }


def _drop_rows(block: Block, renumbered: dict[int, int]) -> None:
    width = len(block.names)
    kept = [place for place, row in enumerate(block.rows) if row in renumbered]
    block.values = [value for place in kept for value in block.values[place * width : (place + 1) * width]]
    block.rows = [renumbered[block.rows[place]] for place in kept]


def columns(device_type: str, known: schema.TypeSchema, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """One device type's numbers: `fields`, `rows` u32 positions (in no order), `values` f64 row by row.

    One table in schema order where that is mostly full, else one a block, so that a wide record makes no other one wide.
    """
    used = [block for block in blocks if block.names and block.rows]
    if not used:
        return []
    present = {name for block in used for name in block.names}
    cells, values = len(present) * sum(len(block.rows) for block in used), sum(len(block.values) for block in used)
    if cells > SPARSE * values:
        return [_table(device_type, list(block.names), [block]) for block in used]
    return [_table(device_type, [name for name in known.fields if name in present], used)]


def _table(device_type: str, fields: list[str], blocks: Sequence[Block]) -> dict[str, Any]:
    rows, values = array("I"), array("d")
    for block in blocks:
        rows.extend(block.rows)
        values.extend(_in_order(block, fields))
    return {"device_type": device_type, "fields": fields, "rows": rows.tobytes(), "values": values.tobytes()}


def _in_order(block: Block, fields: list[str]) -> array[float]:
    """The block's values with all fields as columns, NaN where a record has none."""
    values = array("d", block.values)
    if fields == list(block.names):
        return values
    width = len(fields)
    full = array("d", [_NAN]) * (width * len(block.rows))
    for place, name in enumerate(block.names):
        full[fields.index(name) :: width] = values[place :: len(block.names)]
    return full
