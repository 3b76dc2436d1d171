"""The journal: batches that were taken from the broker and are not yet stored, and what the actions leave for each other.

Both sides are here. The provider puts batches and asks which are due; the actions load a batch, stage data under it, and
acknowledge it at the end. Everything of one batch lies in one slot. A batch whose entry is gone is done: nothing is staged
for it any more, so that an activation that comes late can do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hort import batch as batches
from hort import keys, store

STAGE_TTL_S = 7 * 86_400
"""A safety net: what a batch left behind goes by itself when nobody ever acknowledges it."""

_STAGE_LUA = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
"""

_ACK_LUA = """
local known = redis.call('UNLINK', KEYS[2])
redis.call('UNLINK', KEYS[3])
redis.call('ZREM', KEYS[1], ARGV[1])
return known
"""

_RETRY_LUA = """
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
return 1
"""

_FIRED_LUA = """
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
redis.call('HINCRBY', KEYS[2], 'attempts', 1)
redis.call('HSET', KEYS[2], 'activation', ARGV[3])
return 1
"""

Stage = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """A journalled batch as the provider sees it; times in milliseconds."""

    reference: batches.Reference
    trigger: str
    count: int
    bytes: int
    created_ms: int
    attempts: int


class Journal(Protocol):
    """What a journal must do."""

    def put(self, reference: batches.Reference, raw: bytes, *, trigger: str, count: int, now: int) -> None:
        """Keeps a batch; it is due at once."""

    def load(self, reference: batches.Reference) -> bytes | None:
        """The batch's bytes, or None where it is done."""

    def write_stage(self, reference: batches.Reference, fields: Mapping[str, bytes]) -> bool:
        """Leaves fields for the next actions; False where the batch is done."""

    def read_stage(self, reference: batches.Reference, names: Sequence[str]) -> Stage | None:
        """The named fields that are there, or None where the batch is done."""

    def ack(self, reference: batches.Reference) -> bool:
        """The batch is stored: forgets it and all that was staged; False where it was done already."""

    def retry_at(self, reference: batches.Reference, due_ms: int) -> bool:
        """Moves the time from which on the batch is fired again; False where it is done."""

    def due(self, journal: str, *, now: int, limit: int) -> list[Entry]:
        """The oldest batches whose time has come."""

    def fired(self, reference: batches.Reference, *, activation: str, due_ms: int) -> None:
        """Counts an attempt and moves the time of the next one."""

    def size(self, journal: str) -> int:
        """How many batches are not yet stored."""


class RedisJournal:
    """The journal in Redis."""

    def __init__(self, client: store.Client) -> None:
        self._client = client
        self._stage = client.register_script(_STAGE_LUA)
        self._ack = client.register_script(_ACK_LUA)
        self._retry = client.register_script(_RETRY_LUA)
        self._fired = client.register_script(_FIRED_LUA)

    def put(self, reference: batches.Reference, raw: bytes, *, trigger: str, count: int, now: int) -> None:
        """Keeps a batch in one transaction."""
        pipeline = self._client.pipeline(transaction=True)
        self.add_put(pipeline, reference, raw, trigger=trigger, count=count, now=now)
        pipeline.execute()

    @staticmethod
    def add_put(
        pipeline: store.Client, reference: batches.Reference, raw: bytes, *, trigger: str, count: int, now: int
    ) -> None:
        """Adds the commands of `put` to a transaction of the caller's."""
        fields: dict[str | bytes, bytes | float | int | str] = {
            "raw": raw,
            "trigger": trigger,
            "count": count,
            "bytes": len(raw),
            "created_ms": now,
            "attempts": 0,
        }
        pipeline.hset(reference.batch_key, mapping=fields)
        pipeline.zadd(reference.journal, {reference.batch_id: now})

    def load(self, reference: batches.Reference) -> bytes | None:
        """The batch's bytes, or None where it is done."""
        return self._client.hget(reference.batch_key, "raw")

    def write_stage(self, reference: batches.Reference, fields: Mapping[str, bytes]) -> bool:
        """Leaves fields in the stage hash, if the batch is still there."""
        flat: list[bytes | str | int] = [STAGE_TTL_S]
        for name, value in fields.items():
            flat += (name, value)
        return bool(self._stage(keys=[reference.batch_key, reference.stage_key], args=flat))

    def read_stage(self, reference: batches.Reference, names: Sequence[str]) -> Stage | None:
        """The named fields that are there."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.exists(reference.batch_key)
        pipeline.hmget(reference.stage_key, list(names))
        known, values = pipeline.execute()
        if not known:
            return None
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    def ack(self, reference: batches.Reference) -> bool:
        """Forgets the batch, its stage and its place in the journal at once."""
        return bool(self._ack(keys=[reference.journal, reference.batch_key, reference.stage_key], args=[reference.batch_id]))

    def retry_at(self, reference: batches.Reference, due_ms: int) -> bool:
        """Moves the batch's time in the journal."""
        return bool(self._retry(keys=[reference.journal, reference.batch_key], args=[reference.batch_id, due_ms]))

    def due(self, journal: str, *, now: int, limit: int) -> list[Entry]:
        """The batches with the earliest times up to now."""
        ids = self._client.zrangebyscore(journal, "-inf", now, start=0, num=limit)
        references = [batches.Reference(batch_id.decode(), journal) for batch_id in ids]
        pipeline = self._client.pipeline(transaction=False)
        for reference in references:
            pipeline.hmget(reference.batch_key, ["trigger", "count", "bytes", "created_ms", "attempts"])
        rows = zip(references, pipeline.execute(), strict=True)
        return [
            Entry(reference, row[0].decode(), int(row[1]), int(row[2]), int(row[3]), int(row[4]))
            for reference, row in rows
            if row[0] is not None
        ]

    def fired(self, reference: batches.Reference, *, activation: str, due_ms: int) -> None:
        """Counts an attempt, if the batch was not stored in the meantime."""
        self._fired(keys=[reference.journal, reference.batch_key], args=[reference.batch_id, due_ms, activation])

    def size(self, journal: str) -> int:
        """How many batches are not yet stored."""
        return int(self._client.zcard(journal))
