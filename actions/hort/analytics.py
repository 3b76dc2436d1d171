"""Analytics documents: one closed window of one key, at device or device type level."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from hort import clock
from hort.analytics_keys import device_key, type_key
from hort.documents import bulk_line
from hort.panes import OTHERS, Block, Identity, select

DEVICE = "device"
DEVICE_TYPE = "device_type"
CHUNK, CHUNK_CELLS = 1_000, 10_000
"""Groups, and their fields together, whose numbers are Python objects at the same time."""


@dataclass(frozen=True, slots=True)
class Document:
    """A key's document: `key_id` without the window, for the join; `body` is its JSON."""

    key_id: bytes
    doc_id: str
    body: bytes
    revision: int

    def lines(self) -> bytes:
        """Both lines for the bulk request; an older revision never replaces a newer one."""
        return bulk_line(self.doc_id, self.body, version=self.revision)


def documents(block: Block, *, level: str, start: int, end: int, revision: int) -> Iterator[Document]:
    """One document a group of a block."""
    rows = [
        number
        for number, identity in enumerate(block.identities)
        if level == DEVICE_TYPE or identity != OTHERS
    ]
    for portion in _portions(rows, block.bounds()):
        yield from _documents(select(block, portion), level=level, start=start, end=end, revision=revision)


def _portions(rows: list[int], bounds: npt.NDArray[np.int64]) -> Iterator[list[int]]:
    """Rows of CHUNK groups or cells at most, or one row."""
    portion: list[int] = []
    cells = 0
    for row in rows:
        more = int(bounds[row + 1] - bounds[row])
        if portion and (len(portion) == CHUNK or cells + more > CHUNK_CELLS):
            yield portion
            portion, cells = [], 0
        portion.append(row)
        cells += more
    if portion:
        yield portion


def _documents(block: Block, *, level: str, start: int, end: int, revision: int) -> Iterator[Document]:
    key_ids = [
        _key_id(level, block.device_type, block.identities[row]) for row in range(len(block.identities))
    ]
    properties = _properties(block)
    numbers = properties.pop("n")
    moments = {"window_start": clock.iso(start), "window_end": clock.iso(end)}
    for row, key_id in enumerate(key_ids):
        device_id, event = block.identities[row]
        body = {
            "@timestamp": moments["window_end"],
            "level": level,
            "devicetype": block.device_type,
            "id": device_id,
            "event": event,
            "windowclose date": moments["window_end"],
            **moments,
            "revision": revision,
            "count": int(block.count[row]),
            "n": numbers[row],
            "properties": {name: values[row] for name, values in properties.items()},
        }
        doc_id = orjson.dumps([*orjson.loads(key_id), end]).decode()
        yield Document(key_id, doc_id, orjson.dumps(body), revision)


def _key_id(level: str, device_type: str, identity: Identity) -> bytes:
    device_id, event = identity
    if level == DEVICE_TYPE or device_id is None or event is None:
        return type_key(device_type).encode()
    return device_key(device_type, device_id, event).encode()


def _properties(block: Block) -> dict[str, list[dict[str, float]]]:
    """For each statistic, and for `n`, a {field: value} a group; only finite values of fields that the group has."""
    stats = block.stats
    with np.errstate(over="ignore"):
        columns: dict[str, npt.NDArray[Any]] = {
            "n": stats.n,
            "max": stats.high,
            "min": stats.low,
            "sum": stats.sum,
            "avg": stats.mean_hi + stats.mean_lo,
            "ssd": stats.m2,
            "std": np.sqrt(stats.m2 / stats.n),
            "std_sample": np.where(stats.n > 1, np.sqrt(stats.m2 / np.maximum(stats.n - 1, 1)), np.nan),
        }
    names = [block.fields[column] for column in block.column.tolist()]
    bounds = block.bounds().tolist()
    return {name: _rows(names, values, bounds) for name, values in columns.items()}


def _rows(names: list[str], values: npt.NDArray[Any], bounds: list[int]) -> list[dict[str, float]]:
    finite: npt.NDArray[np.bool_] = np.isfinite(values)
    rows = itertools.pairwise(bounds)
    table = values.tolist()
    if np.all(finite):
        return [dict(zip(names[first:last], table[first:last], strict=True)) for first, last in rows]
    return [{names[cell]: table[cell] for cell in range(first, last) if finite[cell]} for first, last in rows]


def overflows(block: Block) -> int:
    """How many sums and squared deviations of a block are too big for a double and were left out."""
    stats = block.stats
    return int(np.count_nonzero(~np.isfinite(stats.sum)) + np.count_nonzero(~np.isfinite(stats.m2)))
