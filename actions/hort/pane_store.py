"""The store of panes: what batches brought to each pane, which windows are closed, and the outbox of what closing wrote.

Panes are logs. A batch adds one field of its own to each pane it touches, so that adding it again changes nothing; a close
merges the fields it read into the pane's base, which lies beside the pane in parts and is named in the field `=base`. A field
that is not yet merged in a pane of a closed window therefore is late data by itself, and needs no mark.

A close writes documents and bases under names of its own, piece by piece, as they would be too much to hold at once; nobody
sees them, and they expire. State, documents and bases then change in one script (a transactional outbox): the documents are
batches of a journal of their own until `sink` has stored them, and a crash at any point repeats or finishes.
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
"""Pane field that names what a close has merged; no batch id has an equals sign."""
UNSEEN_TTL_S = 600
"""How long what a close wrote is kept until its commit: longer than an action may run."""
JOURNAL = "close"
"""The journal of what closing wrote, in place of a registration id."""
HOME = 0
"""The partition that holds what there is once: closed windows, revisions, outbox."""
MERGED, AGAIN, GONE, REMOVED = "merged", "again", "gone", "removed"
_OUTCOMES = {0: GONE, 1: MERGED, 2: AGAIN, 3: REMOVED}
FUTURE_MS = 120_000
"""Nobody puts off what a close wrote for as long as this: where it seems so, a clock has gone back since."""
LOOK_AT = 100
"""Batches looked at on each side of a journal: in flight are the last ones, waiting the first."""


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


@dataclass(frozen=True, slots=True)
class Base:
    """What closes merged of a pane: `parts` pieces by key, `size` bytes together, under a name of the pane's."""

    name: str
    parts: int
    size: int

    @classmethod
    def parse(cls, raw: bytes) -> Base:
        """The base that a pane's field names."""
        name, parts, size = raw.decode().split(":")
        return cls(name, int(parts), int(size))

    def __bytes__(self) -> bytes:
        """The pane's field."""
        return f"{self.name}:{self.parts}:{self.size}".encode()


@dataclass(frozen=True, slots=True)
class Content:
    """What lies in a pane: its base, and the bytes of each batch that is not merged yet."""

    base: Base | None = None
    batches: Mapping[bytes, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes together."""
        return sum(self.batches.values()) + (self.base.size if self.base else 0)


@dataclass(frozen=True, slots=True)
class Outbox:
    """What closes wrote that is not stored: the oldest batch that may be handed on now, and how many there are."""

    due: Reference | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What a batch brings to one pane, which then goes by itself after `ttl_ms`."""

    pane: PaneKey
    blob: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class State:
    """How far closing came: end of the last closed window (None before the first), and a number that each commit raises.

    `furthest` is the greatest `closed` there ever was: a clock that goes back opens windows again. The last commit was at
    `ticked`, and since `watched` there was one after the other without a gap (both None before the first).
    """

    closed: int | None = None
    generation: int = 0
    furthest: int = 0
    ticked: int | None = None
    watched: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """A pane's merged content, in place of the base and of the batches that were read."""

    pane: PaneKey
    base: Base
    replaced: Base | None
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
    """What a commit changes in one partition; panes that start before `panes_before` are removed, and windows lose them.

    Those stay that share a window with a touched pane, of this partition or one that starts at `unsettled` or later elsewhere.
    """

    compactions: list[Compaction] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    panes_before: int
    pane_length: int
    window_length: int
    unsettled: int | None = None

    def __bool__(self) -> bool:
        return bool(self.compactions or self.transitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The end of one close, which `by` names: valid only while the state still has this generation.

    `references` are the staged batches for `sink`, empty where there is nothing to store; `revisions` maps the ends of the
    windows that were written again to how many times they were, each kept for `revisions_ttl_ms`.
    """

    generation: int
    by: str
    closed: int
    furthest: int
    watched: int
    now: int
    references: Sequence[Reference]
    revisions: Mapping[int, int]
    revisions_ttl_ms: int
    settlement: Settlement


class PaneStore(Protocol):
    """What a store of panes must do."""

    def add(self, reference: Reference, additions: Sequence[Addition], *, late: bytes, now: int) -> str:
        """Adds a batch once and leaves its stage field `late`: MERGED.

        Nothing changes where it was in already (AGAIN), is acked (GONE), or is in a window that lost a pane (REMOVED).
        """

    def removed(self, partition: int) -> int:
        """Panes that start before this are no longer whole in all their windows, since others were removed; 0: none were."""

    def panes(self, partition: int) -> list[int]:
        """Starts of the panes there are, oldest first."""

    def touched(self, partition: int) -> list[int]:
        """Starts of the panes that hold more than what a close has merged, oldest first."""

    def content(self, pane: PaneKey) -> Content:
        """What lies in a pane, without reading it."""

    def read_batch(self, pane: PaneKey, batch_id: bytes) -> bytes | None:
        """What a batch brought to a pane; None where a close has merged it since."""

    def read_parts(self, pane: PaneKey, name: str, parts: Sequence[str]) -> list[bytes]:
        """Those of the parts under a name of a pane's that are there."""

    def write_parts(self, pane: PaneKey, name: str, parts: Mapping[str, bytes]) -> None:
        """Keeps parts of a pane under a name, unseen, until a commit makes them its base."""

    def drop_parts(self, pane: PaneKey, name: str) -> None:
        """Forgets what is kept under a name of a pane's, unless it is the pane's base: a commit may not have heard of itself."""

    def begin(self, token: str, *, ttl_ms: int) -> bool:
        """Takes the turn to close for that long; False where another close has it."""

    def keep(self, token: str, *, ttl_ms: int) -> None:
        """Keeps the turn for that long from now, where it is still one's own."""

    def end(self, token: str) -> None:
        """Gives the turn back."""

    def state(self) -> State:
        """How far closing came."""

    def outbox(self, now: int) -> Outbox:
        """What closes wrote, while it is not stored."""

    def revision(self, end: int) -> int:
        """How many times a window was written again."""

    def stage(self, reference: Reference, fields: Mapping[str, bytes], *, count: int, now: int) -> None:
        """Keeps documents for `sink`, unseen until the commit."""

    def discard(self, references: Sequence[Reference]) -> None:
        """Forgets documents that no commit handed on."""

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
        self._content = client.register_script(pane_scripts.CONTENT)
        self._keep = client.register_script(pane_scripts.KEEP)
        self._end = client.register_script(pane_scripts.END)
        self._drop = client.register_script(pane_scripts.DROP)
        self._commit = client.register_script(pane_scripts.COMMIT)

    def add(self, reference: Reference, additions: Sequence[Addition], *, late: bytes, now: int) -> str:
        """Adds the batch in one script."""
        partition = reference.partition
        names = [reference.batch_key, reference.stage_key, *(keys.window(partition, what) for what in _NAMES)]
        args: list[bytes | str | int] = [reference.batch_id, late, STAGE_TTL_S, now, reference.journal]
        for addition in additions:
            names.append(addition.pane.key)
            args += (addition.pane.start, addition.ttl_ms, addition.blob)
        return _OUTCOMES[int(self._add(keys=names, args=args))]

    def removed(self, partition: int) -> int:
        """One key."""
        return int(self._client.get(keys.window(partition, "removed")) or 0)

    def panes(self, partition: int) -> list[int]:
        """Starts of the panes there are."""
        return [int(start) for start in self._client.zrange(keys.window(partition, "panes"), 0, -1)]

    def touched(self, partition: int) -> list[int]:
        """Starts of the panes with batches that no close has merged."""
        return [int(start) for start in self._client.zrange(keys.window(partition, "touched"), 0, -1)]

    def content(self, pane: PaneKey) -> Content:
        """Names and sizes, in one script."""
        flat = self._content(keys=[pane.key])
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        base = found.pop(BASE, None)
        return Content(None if base is None else Base.parse(base), found)

    def read_batch(self, pane: PaneKey, batch_id: bytes) -> bytes | None:
        """One field."""
        raw: bytes | None = self._client.hget(pane.key, batch_id)
        return raw

    def read_parts(self, pane: PaneKey, name: str, parts: Sequence[str]) -> list[bytes]:
        """Some fields of the hash of that name."""
        values = self._client.hmget(keys.pane_parts(pane.key, name), list(parts)) if parts else []
        return [value for value in values if value is not None]

    def write_parts(self, pane: PaneKey, name: str, parts: Mapping[str, bytes]) -> None:
        """Adds fields to a hash that expires."""
        key = keys.pane_parts(pane.key, name)
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(key, mapping=parts)
        pipeline.expire(key, UNSEEN_TTL_S)
        pipeline.execute()

    def drop_parts(self, pane: PaneKey, name: str) -> None:
        """Removes the hash in a script."""
        self._drop(keys=[pane.key, keys.pane_parts(pane.key, name)], args=[name])

    def begin(self, token: str, *, ttl_ms: int) -> bool:
        """A key that expires, whatever becomes of the close; one's own where the client had to ask twice."""
        key = keys.window(HOME, "turn")
        return bool(self._client.set(key, token, nx=True, px=ttl_ms)) or self._client.get(key) == token.encode()

    def keep(self, token: str, *, ttl_ms: int) -> None:
        """Moves the key's expiry."""
        self._keep(keys=[keys.window(HOME, "turn")], args=[token, ttl_ms])

    def end(self, token: str) -> None:
        """Removes the key where it is still one's own."""
        self._end(keys=[keys.window(HOME, "turn")], args=[token])

    def state(self) -> State:
        """How far closing came."""
        values = self._client.hmget(keys.window(HOME, "state"), _STATE)
        closed, generation, furthest, ticked, watched = (None if value is None else int(value) for value in values)
        return State(closed, generation or 0, furthest or 0, ticked, watched)

    def outbox(self, now: int) -> Outbox:
        """The close journal; entries without a batch are tidied away."""
        journal = keys.journal(HOME, JOURNAL)
        while ids := self._handed_on(journal, now):
            reference = Reference(ids[0].decode(), journal)
            if self._client.exists(reference.batch_key, reference.stage_key) == 2:
                return Outbox(reference, self._client.zcard(journal))
            self._client.zrem(journal, ids[0])
        return Outbox(None, self._client.zcard(journal))

    def _handed_on(self, journal: str, now: int) -> list[bytes]:
        for lowest, highest in (("-inf", now), (now + FUTURE_MS, "+inf")):
            if ids := self._client.zrangebyscore(journal, lowest, highest, start=0, num=1):
                return list(ids)
        return []

    def revision(self, end: int) -> int:
        """How many times a window was written again."""
        return int(self._client.get(keys.window(HOME, f"revision:{end}")) or 0)

    def stage(self, reference: Reference, fields: Mapping[str, bytes], *, count: int, now: int) -> None:
        """A batch and its stage, which both expire and are in no journal yet."""
        facts: dict[str, Any] = {"raw": "", "trigger": "close", "count": count, "bytes": 0}
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(reference.batch_key, mapping={**facts, "created_ms": now, "attempts": 0})
        pipeline.hset(reference.stage_key, mapping=fields)
        for key in (reference.batch_key, reference.stage_key):
            pipeline.expire(key, UNSEEN_TTL_S)
        pipeline.execute()

    def discard(self, references: Sequence[Reference]) -> None:
        """Removes batches and stages."""
        for reference in references:
            self._client.unlink(reference.batch_key, reference.stage_key)

    def commit(self, commit: Commit) -> bool:
        """Ends a close in one script."""
        return bool(self._commit(keys=[keys.window(HOME, "state")], args=[_commit_message(commit)]))

    def settle(self, partition: int, settlement: Settlement) -> None:
        """The partition's part of a commit in one script."""
        message = _message(_settlement_message(partition, settlement))
        self._commit(keys=[keys.window(partition, "state")], args=[message])

    def oldest_waiting(self, partition: int) -> int | None:
        """Looks at the batches that wait and at those in flight, at most a hundred of each a journal."""
        names = self._client.zrange(keys.window(partition, "journals"), 0, -1)
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            ids = {*self._client.zrange(name, 0, LOOK_AT - 1), *self._client.zrange(name, -LOOK_AT, -1)}
            for batch_id in ids:
                pipeline.hget(keys.batch(partition, batch_id.decode()), "created_ms")
        times = [int(value) for value in pipeline.execute() if value is not None]
        return min(times, default=None)


_NAMES = ("panes", "touched", "journals", "removed")
_STATE = ("closed", "generation", "furthest", "ticked", "watched")


def _commit_message(commit: Commit) -> bytes:
    head: dict[str, Any] = {
        "state": keys.window(HOME, "state"),
        "generation": commit.generation,
        "by": commit.by,
        "closed": commit.closed,
        "furthest": commit.furthest,
        "watched": commit.watched,
        "now": commit.now,
        "ttl": STAGE_TTL_S,
        "journal": keys.journal(HOME, JOURNAL),
        "batches": [
            {"id": item.batch_id, "batch": item.batch_key, "stage": item.stage_key}
            for item in commit.references
        ],
        "revisions": [
            {"key": keys.window(HOME, f"revision:{end}"), "number": number, "ttl": commit.revisions_ttl_ms}
            for end, number in commit.revisions.items()
        ],
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
        "removed": keys.window(partition, "removed"),
        "pane": keys.pane_prefix(partition),
        "length": settlement.pane_length,
        "window": settlement.window_length,
        "before": str(settlement.panes_before),
        "unsettled": settlement.unsettled,
        "transitions": [_transition_message(partition, item) for item in settlement.transitions],
        "compactions": [_compaction_message(item) for item in settlement.compactions],
    }


def _compaction_message(compaction: Compaction) -> dict[str, Any]:
    return {
        "key": compaction.pane.key,
        "start": compaction.pane.start,
        "base": bytes(compaction.base),
        "replaced": bytes(compaction.replaced) if compaction.replaced else b"",
        "parts": keys.pane_parts(compaction.pane.key, compaction.base.name),
        "batches": list(compaction.batches),
    }


def _transition_message(partition: int, transition: Transition) -> dict[str, Any]:
    active = keys.window(partition, f"active:{transition.device_type}")
    silent = keys.window(partition, f"silent:{transition.device_type}")
    ends = {"from": active, "to": silent} if transition.silent else {"from": silent, "to": active}
    return {**ends, "member": transition.member, "newest": transition.newest}
