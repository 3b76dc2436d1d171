"""The store of panes: what batches brought to each pane, which windows are closed, and the outbox of what closing wrote.

Panes are logs. A batch adds one field of its own to each pane it touches, so that adding it again changes nothing; a close
merges the fields it read into the field `=base`. A field that is not yet merged in a pane of a closed window therefore is
late data by itself, and needs no mark. Documents, state and merged panes change in one script (a transactional outbox):
the documents then lie in a journal of their own until `sink` has stored them, and a crash at any point repeats or finishes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgpack

from hort import keys, pane_scripts, store
from hort.batch import Reference
from hort.journal import STAGE_TTL_S

BASE = b"=base"
"""Pane field of what a close has merged; no batch id has an equals sign."""
JOURNAL = "close"
"""The journal of what closing wrote, in place of a registration id."""
HOME = 0
"""The partition that holds what there is once: closed windows, revisions, outbox."""
MERGED, AGAIN, GONE = "merged", "again", "gone"
_OUTCOMES = {0: GONE, 1: MERGED, 2: AGAIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaneKey:
    """One pane of one partition."""

    partition: int
    start: int
    length: int

    @property
    def key(self) -> str:
        """Its Redis key."""
        return keys.pane(self.partition, self.start, self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What a batch brings to one pane, which then goes by itself after `ttl_ms`."""

    pane: PaneKey
    blob: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class State:
    """How far closing came: end of the last closed window (None before the first), and a number that each commit raises."""

    closed: int | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """A pane's merged content, in place of its base and of the batches that were read."""

    pane: PaneKey
    base: bytes
    batches: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A device of one type fell silent or returned; `newest` is its newest record (ms)."""

    device_type: str
    member: bytes
    newest: int
    silent: bool


@dataclass(slots=True, kw_only=True)
class Settlement:
    """What a commit changes in one partition; panes that start before `panes_before` are removed."""

    compactions: list[Compaction] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    panes_before: int
    pane_length: int

    def __bool__(self) -> bool:
        return bool(self.compactions or self.transitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The end of one close: valid only while the state still has this generation.

    `outbox` holds the stage fields for `sink`, empty where there is nothing to store; `revisions` maps window end to
    {key id: revision}, each kept for `revisions_ttl_ms`.
    """

    generation: int
    closed: int
    now: int
    reference: Reference
    outbox: Mapping[str, bytes]
    count: int
    revisions: Mapping[int, Mapping[bytes, int]]
    revisions_ttl_ms: int
    settlement: Settlement


class PaneStore(Protocol):
    """What a store of panes must do."""

    def add(self, reference: Reference, additions: Sequence[Addition], *, late: bytes, now: int) -> str:
        """Adds a batch once and leaves its stage field `late`: MERGED, AGAIN where it was in already, GONE where it is acked."""

    def panes(self, partition: int) -> list[int]:
        """Starts of the panes there are, oldest first."""

    def touched(self, partition: int) -> list[int]:
        """Starts of the panes that hold more than what a close has merged, oldest first."""

    def read(self, pane: PaneKey) -> dict[bytes, bytes]:
        """A pane's fields."""

    def state(self) -> State:
        """How far closing came."""

    def outbox(self) -> Reference | None:
        """What the last close wrote, while it is not stored."""

    def revisions(self, end: int, key_ids: Sequence[bytes]) -> list[int]:
        """The revisions in which these keys of a window were written last; 0 where only once."""

    def commit(self, commit: Commit) -> bool:
        """Ends a close all at once; False where another close was first."""

    def settle(self, partition: int, settlement: Settlement) -> None:
        """The changes in a partition other than HOME, after the commit."""

    def oldest_waiting(self, partition: int) -> int | None:
        """When the oldest batch that is not yet stored was journalled (ms), of the journals that brought batches lately."""


class RedisPaneStore:
    """Panes in Redis; everything of one partition lies in one slot."""

    def __init__(self, client: store.Client) -> None:
        self._client: Any = client
        self._add = client.register_script(pane_scripts.ADD)
        self._commit = client.register_script(pane_scripts.COMMIT)

    def add(self, reference: Reference, additions: Sequence[Addition], *, late: bytes, now: int) -> str:
        """Adds the batch in one script."""
        partition = reference.partition
        names = [reference.batch_key, reference.stage_key, *(keys.window(partition, what) for what in _SETS)]
        args: list[bytes | str | int] = [reference.batch_id, late, STAGE_TTL_S, now, reference.journal]
        for addition in additions:
            names.append(addition.pane.key)
            args += (addition.pane.start, addition.ttl_ms, addition.blob)
        return _OUTCOMES[int(self._add(keys=names, args=args))]

    def panes(self, partition: int) -> list[int]:
        """Starts of the panes there are."""
        return [int(start) for start in self._client.zrange(keys.window(partition, "panes"), 0, -1)]

    def touched(self, partition: int) -> list[int]:
        """Starts of the panes with batches that no close has merged."""
        return [int(start) for start in self._client.zrange(keys.window(partition, "touched"), 0, -1)]

    def read(self, pane: PaneKey) -> dict[bytes, bytes]:
        """A pane's fields."""
        fields: dict[bytes, bytes] = self._client.hgetall(pane.key)
        return fields

    def state(self) -> State:
        """How far closing came."""
        closed, generation = self._client.hmget(keys.window(HOME, "state"), ["closed", "generation"])
        return State(None if closed is None else int(closed), int(generation or 0))

    def outbox(self) -> Reference | None:
        """The oldest batch of the close journal; entries without one are tidied away."""
        journal = keys.journal(HOME, JOURNAL)
        for batch_id in self._client.zrange(journal, 0, 9):
            reference = Reference(batch_id.decode(), journal)
            if self._client.exists(reference.batch_key, reference.stage_key) == 2:
                return reference
            self._client.zrem(journal, batch_id)
        return None

    def revisions(self, end: int, key_ids: Sequence[bytes]) -> list[int]:
        """The revisions written last."""
        values = self._client.hmget(keys.window(HOME, f"revisions:{end}"), list(key_ids)) if key_ids else []
        return [int(value or 0) for value in values]

    def commit(self, commit: Commit) -> bool:
        """Ends a close in one script."""
        return bool(self._commit(keys=[keys.window(HOME, "state")], args=[_commit_message(commit)]))

    def settle(self, partition: int, settlement: Settlement) -> None:
        """The partition's part of a commit in one script."""
        message = _message(_settlement_message(partition, settlement))
        self._commit(keys=[keys.window(partition, "state")], args=[message])

    def oldest_waiting(self, partition: int) -> int | None:
        """Looks at the batches that are due first, at most a hundred a journal."""
        names = self._client.zrange(keys.window(partition, "journals"), 0, -1)
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            for batch_id in self._client.zrange(name, 0, 99):
                pipeline.hget(keys.batch(partition, batch_id.decode()), "created_ms")
        times = [int(value) for value in pipeline.execute() if value is not None]
        return min(times, default=None)


_SETS = ("panes", "touched", "journals")


def _commit_message(commit: Commit) -> bytes:
    head: dict[str, Any] = {
        "state": keys.window(HOME, "state"),
        "generation": commit.generation,
        "closed": commit.closed,
        "now": commit.now,
        "revisions": [
            {
                "key": keys.window(HOME, f"revisions:{end}"),
                "fields": [part for name, number in revisions.items() for part in (name, number)],
                "ttl": commit.revisions_ttl_ms,
            }
            for end, revisions in commit.revisions.items()
        ],
    }
    if commit.outbox:
        head |= {
            "batch": commit.reference.batch_key,
            "stage": commit.reference.stage_key,
            "journal": commit.reference.journal,
            "batch_id": commit.reference.batch_id,
            "count": commit.count,
            "outbox": [part for pair in commit.outbox.items() for part in pair],
            "ttl": STAGE_TTL_S,
        }
    return _message({"head": head, **_settlement_message(HOME, commit.settlement)})


def _message(value: Mapping[str, Any]) -> bytes:
    """MessagePack as Redis reads it: its cmsgpack does not know the later type for bytes."""
    raw: bytes = msgpack.packb(value, use_bin_type=False)
    return raw


def _settlement_message(partition: int, settlement: Settlement) -> dict[str, Any]:
    return {
        "touched": keys.window(partition, "touched"),
        "panes": keys.window(partition, "panes"),
        "pane": keys.pane_prefix(partition),
        "length": settlement.pane_length,
        "before": str(settlement.panes_before),
        "transitions": [_transition_message(partition, item) for item in settlement.transitions],
        "compactions": [
            {"key": item.pane.key, "start": item.pane.start, "base": item.base, "batches": list(item.batches)}
            for item in settlement.compactions
        ],
    }


def _transition_message(partition: int, transition: Transition) -> dict[str, Any]:
    active = keys.window(partition, f"active:{transition.device_type}")
    silent = keys.window(partition, f"silent:{transition.device_type}")
    ends = {"from": active, "to": silent} if transition.silent else {"from": silent, "to": active}
    return {**ends, "member": transition.member, "newest": transition.newest}
