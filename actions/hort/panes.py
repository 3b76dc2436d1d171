"""Statistics of groups of records, and how groups are merged; pure numpy, nothing per record in Python.

A record is a group of one, so that reducing a batch and merging panes are the same calculation: Chan, Golub and LeVeque's
updating formula ("Algorithms for computing the sample variance", 1983) in its corrected two-pass form over any number of
groups. The mean is an unevaluated pair hi + lo: with a single double the difference of two means near 1e9 would be off by
1e-7, which the squared deviations would inherit.

What is kept is the cells that have a value, a group by a field, and never a table of all groups by all fields: memory depends
on how many values there are, not on which records have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Identity = tuple[str | None, str | None]
"""Device id and event; OTHERS stands for the devices that were too many to be told apart."""
OTHERS: Identity = (None, None)

AT_ONCE = 100_000
"""Cells that are calculated at a time, two at least: some 200 bytes each while it lasts."""
_FLOATS = ("mean_hi", "mean_lo", "m2", "low", "high")
_COLUMNS = ("n", *_FLOATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Statistics of cells, one entry each: how many values, their mean, squared deviations, least and greatest."""

    n: Ints
    mean_hi: Floats
    mean_lo: Floats
    m2: Floats
    low: Floats
    high: Floats

    @classmethod
    def of_values(cls, values: Floats) -> Stats:
        """Each value a cell of its own."""
        zero = np.zeros(len(values))
        return cls(n=np.ones(len(values), np.int64), mean_hi=values, mean_lo=zero, m2=zero, low=values, high=values)

    @classmethod
    def joined(cls, parts: Sequence[Stats]) -> Stats:
        """The cells of several, one after the other."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS})

    def at(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> Stats:
        """Some of the cells."""
        return Stats(**{name: getattr(self, name)[index] for name in _COLUMNS})

    @property
    def sum(self) -> Floats:
        """Sums, rounded once; may overflow to infinity."""
        with np.errstate(over="ignore"):
            return (self.n * (np.longdouble(1) * self.mean_hi + self.mean_lo)).astype(np.float64)


NOTHING = Stats.of_values(np.zeros(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Groups of one device type: `identities` names the k groups, `count` and `newest` (k,) say how many records and how new.

    Cell i belongs to group `row[i]` and field `column[i]`; cells are sorted by group, then field.
    """

    device_type: str
    identities: list[Identity]
    fields: list[str]
    count: Ints
    newest: Ints
    row: Ints
    column: Ints
    stats: Stats

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return 64 * len(self.row) + 200 * len(self.identities)

    def bounds(self) -> Ints:
        """Where the cells of each group begin, and after the last one where they end (k + 1,)."""
        return np.searchsorted(self.row, np.arange(len(self.identities) + 1))


def combine(stats: Stats, order: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]) -> Stats:
    """Merges cells into one a run: `order` sorts them, `starts` says where each run begins in that order."""
    if len(order) <= AT_ONCE:
        return _combine(stats.at(order), starts)
    merged: list[Stats] = []
    runs: list[npt.NDArray[np.intp]] = []
    first = 0
    while first < len(order):
        last = _cut(starts, first, len(order))
        here = np.arange(np.searchsorted(starts, first, "right") - 1, np.searchsorted(starts, last))
        merged.append(_combine(stats.at(order[first:last]), np.maximum(starts[here] - first, 0)))
        runs.append(here)
        first = last
    whole, run = Stats.joined(merged), np.concatenate(runs)
    if len(run) == len(starts):
        return whole
    return combine(whole, np.arange(len(run)), np.searchsorted(run, np.arange(len(starts))))


def _cut(starts: npt.NDArray[np.intp], first: int, end: int) -> int:
    """Where a slice that begins at `first` ends: with a run, or in the middle of one that is longer than a slice."""
    last = first + AT_ONCE
    if last >= end:
        return end
    whole = int(starts[np.searchsorted(starts, last, "right") - 1])
    return whole if whole > first else last


def _combine(stats: Stats, starts: npt.NDArray[np.intp]) -> Stats:
    if not len(stats.n):
        return NOTHING
    n = stats.n
    total = np.add.reduceat(n, starts)
    run = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(n)))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        hi = stats.mean_hi.astype(np.longdouble)
        centre = (np.add.reduceat(n * hi, starts) / total).astype(np.float64)
        off = hi - centre[run] + stats.mean_lo
        weighted = n * off
        shift = np.add.reduceat(weighted, starts) / total
        m2 = np.add.reduceat(stats.m2 + weighted * off, starts) - total * shift * shift
        mean_hi = (centre + shift).astype(np.float64)
        return Stats(
            n=total,
            mean_hi=mean_hi,
            mean_lo=(centre - mean_hi + shift).astype(np.float64),
            m2=np.maximum(m2, 0).astype(np.float64),
            low=np.minimum.reduceat(stats.low, starts),
            high=np.maximum.reduceat(stats.high, starts),
        )


def merge(blocks: Sequence[Block]) -> Block:
    """One block of all groups of one device type; fields and identities in the order of their first appearance."""
    if len(blocks) == 1:
        return blocks[0]
    identities = _numbered(identity for block in blocks for identity in block.identities)
    rows = [np.array([identities[identity] for identity in block.identities], np.int64) for block in blocks]
    return _regroup(blocks, list(identities), rows)


def total(block: Block) -> Block:
    """The block's device type as a whole: one group over all identities."""
    return _regroup([block], [OTHERS], [np.zeros(len(block.identities), np.int64)])


def select(block: Block, rows: npt.NDArray[np.intp] | Sequence[int]) -> Block:
    """Some groups of a block, in ascending order."""
    index = np.asarray(rows, np.intp)
    place = np.full(len(block.identities), -1, np.int64)
    place[index] = np.arange(len(index))
    row = place[block.row]
    kept = row >= 0
    return Block(
        device_type=block.device_type,
        identities=[block.identities[number] for number in index],
        fields=block.fields,
        count=block.count[index],
        newest=block.newest[index],
        row=row[kept],
        column=block.column[kept],
        stats=block.stats.at(kept),
    )


def _numbered(items: Iterable[Any]) -> dict[Any, int]:
    numbers: dict[Any, int] = {}
    for item in items:
        numbers.setdefault(item, len(numbers))
    return numbers


def _regroup(blocks: Sequence[Block], identities: list[Identity], rows: Sequence[Ints]) -> Block:
    """The groups of all blocks under new names: `rows` says which of `identities` each block's groups are."""
    fields = _numbered(name for block in blocks for name in block.fields)
    columns = [np.array([fields[name] for name in block.fields], np.int64) for block in blocks]
    row = np.concatenate([numbers[block.row] for numbers, block in zip(rows, blocks, strict=True)])
    column = np.concatenate([numbers[block.column] for numbers, block in zip(columns, blocks, strict=True)])
    key = row * max(1, len(fields)) + column
    order = np.argsort(key, kind="stable")
    starts = _starts(key[order])
    first = order[starts]
    group = np.concatenate(rows)
    newest = np.full(len(identities), np.iinfo(np.int64).min)
    np.maximum.at(newest, group, np.concatenate([block.newest for block in blocks]))
    count = np.zeros(len(identities), np.int64)
    np.add.at(count, group, np.concatenate([block.count for block in blocks]))
    return Block(
        device_type=blocks[0].device_type,
        identities=identities,
        fields=list(fields),
        count=count,
        newest=newest,
        row=row[first],
        column=column[first],
        stats=combine(Stats.joined([block.stats for block in blocks]), order, starts),
    )


def _starts(key: Ints) -> npt.NDArray[np.intp]:
    """Where each run of equal numbers begins."""
    return np.flatnonzero(np.diff(key, prepend=key[:1] - 1))


def pack(blocks: Iterable[Block]) -> bytes:
    """Blocks as MessagePack, one after the other, arrays as little-endian bytes: doubles stay the same to the bit."""
    return b"".join(msgpack.packb(_packed(block)) for block in blocks)


def unpack(raw: bytes) -> Iterator[Block]:
    """The blocks that `pack` wrote, one at a time; before it wrote one after the other it wrote a list, of full tables."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(raw) or 1)
    unpacker.feed(raw)
    for value in unpacker:
        yield from map(_unpacked, value if isinstance(value, list) else [value])


def _packed(block: Block) -> dict[str, Any]:
    cells = block.row * max(1, len(block.fields)) + block.column
    full = len(cells) == len(block.identities) * len(block.fields)
    return {
        "type": block.device_type,
        "identities": block.identities,
        "fields": block.fields,
        "count": block.count.astype("<u4").tobytes(),
        "newest": block.newest.astype("<i8").tobytes(),
        **({} if full else {"cells": cells.astype("<u4").tobytes()}),
        **_packed_stats(block.stats),
    }


def _packed_stats(stats: Stats) -> dict[str, bytes]:
    columns = {name: getattr(stats, name).astype("<f8").tobytes() for name in _FLOATS}
    value, nothing = columns["mean_hi"], bytes(8 * len(stats.n))
    if columns["low"] == columns["high"] == value and columns["m2"] == columns["mean_lo"] == nothing and np.all(stats.n == 1):
        return {"value": value}
    return {"n": stats.n.astype("<u4").tobytes(), **columns}


def _unpacked(value: Mapping[str, Any]) -> Block:
    fields = value["fields"]
    stats = _unpacked_stats(value)
    cells = np.frombuffer(value["cells"], "<u4").astype(np.int64) if "cells" in value else np.flatnonzero(stats.n)
    if len(cells) < len(stats.n):
        stats = stats.at(cells)
    return Block(
        device_type=value["type"],
        identities=[(identity[0], identity[1]) for identity in value["identities"]],
        fields=fields,
        count=np.frombuffer(value["count"], "<u4").astype(np.int64),
        newest=np.frombuffer(value["newest"], "<i8").astype(np.int64),
        row=cells // max(1, len(fields)),
        column=cells % max(1, len(fields)),
        stats=stats,
    )


def _unpacked_stats(value: Mapping[str, Any]) -> Stats:
    if "value" in value:
        return Stats.of_values(np.frombuffer(value["value"], "<f8"))
    floats = {name: np.frombuffer(value[name], "<f8") for name in _FLOATS}
    return Stats(n=np.frombuffer(value["n"], "<u4").astype(np.int64), **floats)
