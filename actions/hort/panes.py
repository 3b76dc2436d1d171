"""Statistics of groups of records, and how groups are merged; pure numpy, nothing per record in Python.

A record is a group of one, so that reducing a batch and merging panes are the same calculation: Chan, Golub and LeVeque's
updating formula ("Algorithms for computing the sample variance", 1983) in its corrected two-pass form over any number of
groups. The mean is an unevaluated pair hi + lo: with a single double the difference of two means near 1e9 would be off by
1e-7, which the squared deviations would inherit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

MERGE_ROWS = 20_000
"""Groups merged at a time where there is a choice: memory is some kilobytes a group while it lasts."""
_FLOATS = ("mean_hi", "mean_lo", "m2", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Statistics of k groups by f fields: each array has shape (k, f); where `n` is 0 the rest means nothing."""

    n: Ints
    mean_hi: Floats
    mean_lo: Floats
    m2: Floats
    low: Floats
    high: Floats

    @classmethod
    def of_records(cls, values: Floats) -> Stats:
        """Each record a group of one; NaN says that the record has no such field."""
        there = ~np.isnan(values)
        filled = np.where(there, values, 0.0)
        zero = np.zeros_like(filled)
        return cls(
            n=there.astype(np.int64),
            mean_hi=filled,
            mean_lo=zero,
            m2=zero,
            low=np.where(there, values, np.inf),
            high=np.where(there, values, -np.inf),
        )

    @classmethod
    def empty(cls, groups: int, fields: int) -> Stats:
        """Groups without any value."""
        return cls(
            n=np.zeros((groups, fields), np.int64),
            mean_hi=np.zeros((groups, fields)),
            mean_lo=np.zeros((groups, fields)),
            m2=np.zeros((groups, fields)),
            low=np.full((groups, fields), np.inf),
            high=np.full((groups, fields), -np.inf),
        )

    def spread(self, rows: npt.NDArray[np.intp], groups: int) -> Stats:
        """The same statistics as rows `rows` of that many groups, the others empty."""
        if len(rows) == groups:
            return self
        wide = Stats.empty(groups, self.n.shape[1])
        for name in ("n", *_FLOATS):
            getattr(wide, name)[rows] = getattr(self, name)
        return wide

    @property
    def sum(self) -> Floats:
        """Sums, rounded once; may overflow to infinity."""
        with np.errstate(over="ignore"):
            return (self.n * (np.longdouble(1) * self.mean_hi + self.mean_lo)).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Groups of one device type: `identities` names the k groups, `count` and `newest` (k,) say how many records and how new."""

    device_type: str
    identities: list[Identity]
    fields: list[str]
    count: Ints
    newest: Ints
    stats: Stats


def combine(stats: Stats, order: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]) -> Stats:
    """Merges rows: `order` sorts them by group, `starts` says where each group begins in that order."""
    if not len(order) or not stats.n.shape[1]:
        return Stats.empty(len(starts), stats.n.shape[1])
    n = stats.n[order]
    total = np.add.reduceat(n, starts, axis=0)
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    some = np.maximum(total, 1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        hi = stats.mean_hi[order].astype(np.longdouble)
        lo = stats.mean_lo[order]
        centre = (np.add.reduceat(n * hi, starts, axis=0) / some).astype(np.float64)
        off = hi - centre[group] + lo
        weighted = n * off
        shift = np.add.reduceat(weighted, starts, axis=0) / some
        m2 = np.add.reduceat(stats.m2[order] + weighted * off, starts, axis=0) - total * shift * shift
        mean_hi = (centre + shift).astype(np.float64)
        return Stats(
            n=total,
            mean_hi=mean_hi,
            mean_lo=(centre - mean_hi + shift).astype(np.float64),
            m2=np.maximum(m2, 0).astype(np.float64),
            low=np.minimum.reduceat(stats.low[order], starts, axis=0),
            high=np.maximum.reduceat(stats.high[order], starts, axis=0),
        )


def merge(blocks: Sequence[Block]) -> Block:
    """One block of all groups of one device type; fields and identities in the order of their first appearance."""
    if len(blocks) == 1:
        return blocks[0]
    if len(blocks) > 2 and sum(len(block.identities) for block in blocks) > MERGE_ROWS:
        half = len(blocks) // 2
        return merge([merge(blocks[:half]), merge(blocks[half:])])
    identities: dict[Identity, int] = {}
    fields: dict[str, int] = {}
    for block in blocks:
        for identity in block.identities:
            identities.setdefault(identity, len(identities))
        for name in block.fields:
            fields.setdefault(name, len(fields))
    rows = np.array([identities[identity] for block in blocks for identity in block.identities], np.intp)
    return _regroup(blocks, list(identities), list(fields), rows)


def total(block: Block) -> Block:
    """The block's device type as a whole: one group over all identities."""
    return _regroup([block], [OTHERS], block.fields, np.zeros(len(block.identities), np.intp))


def select(block: Block, rows: npt.NDArray[np.intp] | Sequence[int]) -> Block:
    """Some groups of a block."""
    index = np.asarray(rows, np.intp)
    return Block(
        device_type=block.device_type,
        identities=[block.identities[row] for row in index],
        fields=block.fields,
        count=block.count[index],
        newest=block.newest[index],
        stats=Stats(**{name: getattr(block.stats, name)[index] for name in ("n", *_FLOATS)}),
    )


def _regroup(
    blocks: Sequence[Block], identities: list[Identity], fields: list[str], rows: npt.NDArray[np.intp]
) -> Block:
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(len(identities)))
    count = np.concatenate([block.count for block in blocks])[order]
    newest = np.concatenate([block.newest for block in blocks])[order]
    return Block(
        device_type=blocks[0].device_type,
        identities=identities,
        fields=fields,
        count=np.add.reduceat(count, starts),
        newest=np.maximum.reduceat(newest, starts),
        stats=combine(_aligned(blocks, fields), order, starts),
    )


def _aligned(blocks: Sequence[Block], fields: list[str]) -> Stats:
    """The rows of all blocks under one list of fields."""
    if all(block.fields == fields for block in blocks):
        return Stats(
            **{
                name: np.concatenate([getattr(block.stats, name) for block in blocks])
                for name in ("n", *_FLOATS)
            }
        )
    column = {name: number for number, name in enumerate(fields)}
    wide = Stats.empty(sum(len(block.identities) for block in blocks), len(fields))
    first = 0
    for block in blocks:
        here = slice(first, first + len(block.identities))
        columns = [column[name] for name in block.fields]
        for name in ("n", *_FLOATS):
            getattr(wide, name)[here, columns] = getattr(block.stats, name)
        first = here.stop
    return wide


def pack(blocks: Sequence[Block]) -> bytes:
    """Blocks as MessagePack, arrays as little-endian bytes: doubles stay the same to the bit."""
    raw: bytes = msgpack.packb([_packed(block) for block in blocks])
    return raw


def unpack(raw: bytes) -> list[Block]:
    """The blocks that `pack` wrote."""
    return [_unpacked(value) for value in msgpack.unpackb(raw)]


def _packed(block: Block) -> dict[str, Any]:
    return {
        "type": block.device_type,
        "identities": block.identities,
        "fields": block.fields,
        "count": block.count.astype("<u4").tobytes(),
        "newest": block.newest.astype("<i8").tobytes(),
        "n": block.stats.n.astype("<u4").tobytes(),
        **{name: getattr(block.stats, name).astype("<f8").tobytes() for name in _FLOATS},
    }


def _unpacked(value: Mapping[str, Any]) -> Block:
    shape = (len(value["identities"]), len(value["fields"]))
    return Block(
        device_type=value["type"],
        identities=[(identity[0], identity[1]) for identity in value["identities"]],
        fields=value["fields"],
        count=np.frombuffer(value["count"], "<u4").astype(np.int64),
        newest=np.frombuffer(value["newest"], "<i8").astype(np.int64),
        stats=Stats(
            n=np.frombuffer(value["n"], "<u4").reshape(shape).astype(np.int64),
            **{name: np.frombuffer(value[name], "<f8").reshape(shape) for name in _FLOATS},
        ),
    )
