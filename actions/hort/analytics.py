"""Analytics documents: one closed window of one key, at device or device type level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

from hort import clock
from hort.analytics_keys import device_key, type_key
from hort.documents import bulk_line
from hort.panes import OTHERS, Block, Floats, Identity, select

DEVICE = "device"
DEVICE_TYPE = "device_type"
CHUNK = 1_000
"""Groups whose numbers are Python objects at the same time."""


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
    for first in range(0, len(rows), CHUNK):
        part = select(block, rows[first : first + CHUNK])
        yield from _documents(part, level=level, start=start, end=end, revision=revision)


def _documents(block: Block, *, level: str, start: int, end: int, revision: int) -> Iterator[Document]:
    key_ids = [
        _key_id(level, block.device_type, block.identities[row]) for row in range(len(block.identities))
    ]
    properties = _properties(block)
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
            "n": {name: n for name, n in zip(block.fields, block.stats.n[row].tolist(), strict=True) if n},
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
    """For each statistic a {field: value} a group; only finite values of fields that the group has."""
    stats = block.stats
    some = np.maximum(stats.n, 1)
    with np.errstate(over="ignore"):
        columns: dict[str, tuple[Floats, npt.NDArray[np.bool_]]] = {
            "max": (stats.high, stats.n > 0),
            "min": (stats.low, stats.n > 0),
            "sum": (stats.sum, stats.n > 0),
            "avg": (stats.mean_hi + stats.mean_lo, stats.n > 0),
            "ssd": (stats.m2, stats.n > 0),
            "std": (np.sqrt(stats.m2 / some), stats.n > 0),
            "std_sample": (np.sqrt(stats.m2 / np.maximum(some - 1, 1)), stats.n > 1),
        }
    return {name: _rows(block.fields, values, there) for name, (values, there) in columns.items()}


def _rows(fields: list[str], values: Floats, there: npt.NDArray[np.bool_]) -> list[dict[str, float]]:
    there = there & np.isfinite(values)
    whole: list[bool] = np.all(there, axis=1).tolist()
    table = values.tolist()
    return [
        dict(zip(fields, row, strict=True)) if full else _partial(fields, row, mask)
        for row, full, mask in zip(table, whole, list(there), strict=True)
    ]


def _partial(fields: list[str], row: list[float], mask: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {name: value for name, value, given in zip(fields, row, mask.tolist(), strict=True) if given}


def overflows(block: Block) -> int:
    """How many sums and squared deviations of a block are too big for a double and were left out."""
    stats = block.stats
    return int(np.count_nonzero(~np.isfinite(stats.sum)) + np.count_nonzero(~np.isfinite(stats.m2)))
