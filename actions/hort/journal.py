"""The journal: batches that were taken from the broker and are not yet stored, and what the actions leave for each other.

Both sides are here. The provider puts batches and asks which are due; the actions load a batch, stage data under it, and
acknowledge it at the end. Everything of one batch lies in one slot. A batch whose entry is gone is done: nothing is staged
for it any more, so that an activation that comes late can do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hort import activation_log, keys, store
from hort import batch as batches
from hort.counters import RedisCounters

DIRECT_TTL_S = 86_400
"""How long messages are kept that nobody fires again."""
STAGE_TTL_S = 7 * 86_400
"""A safety net: what a batch left behind goes by itself when nobody ever acknowledges it."""

FAR_MS = 900_000
"""Nobody puts a batch off for so long. A time further ahead was given by a clock that was wrong: the batch is due."""

FREE_CUTS = 4
"""Whatever stops a batch, it may be cut so often; its parts only where others pass, or an outage would leave nothing but single records."""

_LOOK_AT = 32
_PULLED_AT_ONCE = 500

_STAGE_LUA = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[2] ~= '' and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
"""

_ACK_LUA = """
local size = redis.call('HGET', KEYS[2], 'bytes')
local known = redis.call('UNLINK', KEYS[2])
redis.call('UNLINK', KEYS[3])
redis.call('ZREM', KEYS[1], ARGV[1])
if size then redis.call('DECRBY', KEYS[4], size) end
if size then redis.call('INCR', KEYS[5]) end
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('DEL', KEYS[4]) end
return known
"""

# Nobody knows the size of a batch that is gone: the bytes are right again when the journal is empty.
_VANISHED_LUA = """
local known = redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
return known
"""

_RETRY_LUA = """
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
return 1
"""

_TAKE_LUA = """
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
redis.call('HINCRBY', KEYS[2], 'attempts', ARGV[3])
return 1
"""

_TRY_LUA = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local name = 'tries:' .. ARGV[1]
if ARGV[2] == '1' then
  local acked = redis.call('GET', KEYS[2]) or '0'
  if redis.call('HGET', KEYS[1], name .. ':acked') == acked then
    return tonumber(redis.call('HGET', KEYS[1], name))
  end
  redis.call('HSET', KEYS[1], name .. ':acked', acked)
end
return redis.call('HINCRBY', KEYS[1], name, 1)
"""

_UNTRY_LUA = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HINCRBY', KEYS[1], 'tries:' .. ARGV[1], -1) end
"""

_NOTE_LUA = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""

_PULL_IN_LUA = """
local late = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])
for _, name in ipairs(late) do redis.call('ZADD', KEYS[1], 'XX', ARGV[1], name) end
return #late
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


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a batch that takes its place with others: `raw` are its messages, or `stage` is what they became already.

    `tried` names a step for which the piece counts as tried once.
    """

    reference: batches.Reference
    count: int
    raw: bytes = b""
    stage: Mapping[str, bytes] = field(default_factory=dict)
    tried: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is known of an action's earlier tries with a batch: how many, and the positions at which the last one stood."""

    tries: int = 0
    at: range | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a journal is: batches, bytes, batches not yet due (again), and when the oldest batch was made (0: none)."""

    count: int
    bytes: int
    in_flight: int
    oldest_ms: int


class Journal(Protocol):
    """What a journal must do."""

    def put(self, reference: batches.Reference, raw: bytes, *, trigger: str, count: int, now: int) -> None:
        """Keeps a batch; it is due at once."""

    def put_direct(self, reference: batches.Reference, raw: bytes, *, count: int, now: int) -> None:
        """Keeps messages that came without a journal: they are staged and acked like others, but never due."""

    def load(self, reference: batches.Reference) -> bytes | None:
        """The batch's bytes, or None where it is done."""

    def created(self, reference: batches.Reference) -> int | None:
        """When the batch was put (ms), or None where it is done."""

    def write_stage(self, reference: batches.Reference, fields: Mapping[str, bytes], unless: str = "") -> bool:
        """Leaves fields for the next actions; False where the batch is done, or already has the field `unless`."""

    def read_stage(self, reference: batches.Reference, names: Sequence[str]) -> Stage | None:
        """The named fields that are there, or None where the batch is done."""

    def count_try(self, reference: batches.Reference, step: str, *, only_if_others_pass: bool = False) -> int:
        """Counts that an action begins with the batch; how many tries there were, 0 where the batch is done.

        `only_if_others_pass`: not where no other batch was stored since the last try, so that what stops all of them is
        held against none.
        """

    def uncount_try(self, reference: batches.Reference, step: str) -> None:
        """Takes back a try that failed for a reason outside of the batch."""

    def note(self, reference: batches.Reference, step: str, at: range | None) -> None:
        """Keeps the positions that an action is about to try: one that is killed has told where."""

    def trouble(self, reference: batches.Reference, step: str) -> Trouble:
        """What `count_try` and `note` have kept of an action."""

    def others_passed(self, reference: batches.Reference) -> bool:
        """Whether another batch was stored since a part was made; True for what was cut less than FREE_CUTS times."""

    def split(self, reference: batches.Reference, parts: Sequence[Part], *, unless: str) -> bool:
        """Puts parts in the place of a batch; they are due at once, and as old as the batch.

        False, and nothing changes, where the batch is done, already has the stage field `unless`, or is one that nobody fires.
        """

    def ack(self, reference: batches.Reference) -> bool:
        """The batch is stored: forgets it and all that was staged; False where it was done already."""

    def retry_at(self, reference: batches.Reference, due_ms: int) -> bool:
        """Moves the time from which on the batch is fired again; False where it is done."""

    def due(self, journal: str, *, now: int, limit: int) -> list[Entry]:
        """The oldest batches whose time has come, then those whose time is further ahead than FAR_MS."""

    def pull_in(self, journal: str, *, due_ms: int) -> int:
        """Batches that are due later than this are due then; how many."""

    def times(self, references: Sequence[batches.Reference]) -> list[int | None]:
        """From when on each batch may be fired (again); None where it is done."""

    def entries(self, references: Sequence[batches.Reference]) -> list[Entry]:
        """These batches, without those that are done."""

    def take(self, reference: batches.Reference, *, due_ms: int) -> bool:
        """Counts an attempt and moves the time of the next one, before the fire; False where the batch is done."""

    def give_back(self, reference: batches.Reference, *, due_ms: int) -> bool:
        """Takes back an attempt that was not accepted; False where the batch is done."""

    def fired(self, reference: batches.Reference, *, activation: str) -> None:
        """Notes the activation that the accepted fire started."""

    def usage(self, journal: str, *, now: int) -> Usage:
        """How full a journal is."""

    def drop(self, journal: str) -> int:
        """Forgets every batch of a journal unstored; how many there were."""

    def size(self, journal: str) -> int:
        """How many batches are not yet stored."""


class RedisJournal:
    """The journal in Redis."""

    def __init__(self, client: store.Client) -> None:
        self._client: Any = client
        self._stage = client.register_script(_STAGE_LUA)
        self._ack = client.register_script(_ACK_LUA)
        self._retry = client.register_script(_RETRY_LUA)
        self._take = client.register_script(_TAKE_LUA)
        self._note = client.register_script(_NOTE_LUA)
        self._try = client.register_script(_TRY_LUA)
        self._untry = client.register_script(_UNTRY_LUA)
        self._pull_in = client.register_script(_PULL_IN_LUA)
        self._vanished = client.register_script(_VANISHED_LUA)

    def put(self, reference: batches.Reference, raw: bytes, *, trigger: str, count: int, now: int) -> None:
        """Keeps a batch in one transaction."""
        pipeline = self._client.pipeline(transaction=True)
        self.add_put(pipeline, reference, raw, trigger=trigger, count=count, now=now, due_ms=now)
        pipeline.execute()

    @staticmethod
    def add_put(
        pipeline: store.Client, reference: batches.Reference, raw: bytes, *, trigger: str, count: int, now: int, due_ms: int
    ) -> None:
        """Adds the commands of `put` to a transaction of the caller's; it is due from `due_ms` on."""
        fields: dict[Any, Any] = {
            "raw": raw,
            "trigger": trigger,
            "count": count,
            "bytes": len(raw),
            "created_ms": now,
            "attempts": 0,
        }
        pipeline.hset(reference.batch_key, mapping=fields)
        pipeline.incrby(keys.journal_bytes(reference.journal), len(raw))
        pipeline.zadd(reference.journal, {reference.batch_id: due_ms})

    def put_direct(self, reference: batches.Reference, raw: bytes, *, count: int, now: int) -> None:
        """Keeps messages for a day, outside of any journal."""
        fields: dict[Any, Any] = {"raw": raw, "count": count, "created_ms": now}
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hset(reference.batch_key, mapping=fields)
        pipeline.expire(reference.batch_key, DIRECT_TTL_S)
        pipeline.execute()

    def load(self, reference: batches.Reference) -> bytes | None:
        """The batch's bytes, or None where it is done."""
        raw: bytes | None = self._client.hget(reference.batch_key, "raw")
        return raw

    def created(self, reference: batches.Reference) -> int | None:
        """When the batch was put (ms), or None where it is done."""
        value = self._client.hget(reference.batch_key, "created_ms")
        return None if value is None else int(value)

    def write_stage(self, reference: batches.Reference, fields: Mapping[str, bytes], unless: str = "") -> bool:
        """Leaves fields in the stage hash, if the batch is still there."""
        flat: list[bytes | str | int] = [STAGE_TTL_S, unless]
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

    def count_try(self, reference: batches.Reference, step: str, *, only_if_others_pass: bool = False) -> int:
        """Counts in the batch itself, before the work: an action that is killed has counted."""
        names = [reference.batch_key, keys.journal_acked(reference.journal)]
        return int(self._try(keys=names, args=[step, int(only_if_others_pass)]))

    def uncount_try(self, reference: batches.Reference, step: str) -> None:
        """Takes a try back."""
        self._untry(keys=[reference.batch_key], args=[step])

    def note(self, reference: batches.Reference, step: str, at: range | None) -> None:
        """Kept beside the tries, if the batch is still there."""
        self._note(keys=[reference.batch_key], args=[f"at:{step}", f"{at.start}:{at.stop}" if at else ""])

    def trouble(self, reference: batches.Reference, step: str) -> Trouble:
        """One round trip."""
        tries, at = self._client.hmget(reference.batch_key, [f"tries:{step}", f"at:{step}"])
        return Trouble(int(tries or 0), range(*map(int, at.split(b":"))) if at else None)

    def others_passed(self, reference: batches.Reference) -> bool:
        """Compares how many were stored when the part was made, and now."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(reference.batch_key, ["cuts", "acked_before"])
        pipeline.get(keys.journal_acked(reference.journal))
        (cuts, before), now = pipeline.execute()
        return int(cuts or 0) < FREE_CUTS or before != (now or b"0")

    def split(self, reference: batches.Reference, parts: Sequence[Part], *, unless: str) -> bool:
        """One transaction, made anew where the batch or its stage changes meanwhile."""
        journal, batch_key, stage_key = reference.journal, reference.batch_key, reference.stage_key

        def cut(pipeline: Any) -> bool:
            trigger, size, created, cuts = pipeline.hmget(batch_key, ["trigger", "bytes", "created_ms", "cuts"])
            if trigger is None or pipeline.hexists(stage_key, unless) or pipeline.zscore(journal, reference.batch_id) is None:
                return False
            due_ms, acked = store.now_ms(pipeline), pipeline.get(keys.journal_acked(journal)) or b"0"
            pipeline.multi()
            for part in parts:
                put = {"trigger": trigger, "count": part.count, "now": int(created), "due_ms": due_ms}
                self.add_put(pipeline, part.reference, part.raw, **put)
                made: dict[Any, Any] = {"cuts": int(cuts or 0) + 1, "acked_before": acked}
                made |= {f"tries:{part.tried}": 1} if part.tried else {}
                pipeline.hset(part.reference.batch_key, mapping=made)
                if part.stage:
                    pipeline.hset(part.reference.stage_key, mapping=part.stage)
            pipeline.unlink(batch_key, stage_key)
            pipeline.zrem(journal, reference.batch_id)
            pipeline.decrby(keys.journal_bytes(journal), int(size))
            return True

        return bool(self._client.transaction(cut, batch_key, stage_key, value_from_callable=True))

    def ack(self, reference: batches.Reference) -> bool:
        """Forgets the batch, its stage and its place in the journal at once."""
        journal = reference.journal
        names = [journal, reference.batch_key, reference.stage_key, keys.journal_bytes(journal), keys.journal_acked(journal)]
        return bool(self._ack(keys=names, args=[reference.batch_id]))

    def retry_at(self, reference: batches.Reference, due_ms: int) -> bool:
        """Moves the batch's time in the journal."""
        return bool(self._retry(keys=[reference.journal, reference.batch_key], args=[reference.batch_id, due_ms]))

    def due(self, journal: str, *, now: int, limit: int) -> list[Entry]:
        """The batches with the earliest times up to now, and those of times that cannot be meant."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zrangebyscore(journal, "-inf", now, start=0, num=limit)
        pipeline.zrangebyscore(journal, f"({now + FAR_MS}", "+inf", start=0, num=limit)
        due, odd = pipeline.execute()
        return self.entries([batches.Reference(batch_id, journal) for batch_id in _texts((*due, *odd))[:limit]])

    def pull_in(self, journal: str, *, due_ms: int) -> int:
        """Some hundred a call, so that Redis serves others between."""
        total = 0
        while pulled := int(self._pull_in(keys=[journal], args=[due_ms, _PULLED_AT_ONCE])):
            total += pulled
        return total

    def times(self, references: Sequence[batches.Reference]) -> list[int | None]:
        """One round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for reference in references:
            pipeline.zscore(reference.journal, reference.batch_id)
        return [None if score is None else int(score) for score in pipeline.execute()]

    def entries(self, references: Sequence[batches.Reference]) -> list[Entry]:
        """A place whose batch is gone (a Redis that evicts) is given up: it would be the first one for ever. It is told."""
        pipeline = self._client.pipeline(transaction=False)
        for reference in references:
            pipeline.hmget(reference.batch_key, ["trigger", "count", "bytes", "created_ms", "attempts"])
        found, gone = [], []
        for reference, row in zip(references, pipeline.execute(), strict=True):
            if row[0] is not None:
                found.append(Entry(reference, row[0].decode(), *map(int, row[1:])))
            elif self._vanish(reference):  # an ack takes both away at once
                gone.append(reference.batch_id)
        if gone:
            RedisCounters(self._client).add({"journal.vanished": len(gone)})
            activation_log.log("journal.vanished", batch_id=gone[0], batches=gone, error="Redis no longer has them: it evicts, or lost writes")
        return found

    def _vanish(self, reference: batches.Reference) -> bool:
        journal = reference.journal
        return bool(self._vanished(keys=[journal, keys.journal_bytes(journal)], args=[reference.batch_id]))

    def take(self, reference: batches.Reference, *, due_ms: int) -> bool:
        """Counts an attempt before the fire: the batch's own actions may move its time at once."""
        return self._move(reference, due_ms, 1)

    def give_back(self, reference: batches.Reference, *, due_ms: int) -> bool:
        """Takes back an attempt."""
        return self._move(reference, due_ms, -1)

    def _move(self, reference: batches.Reference, due_ms: int, attempts: int) -> bool:
        names = [reference.journal, reference.batch_key]
        return bool(self._take(keys=names, args=[reference.batch_id, due_ms, attempts]))

    def fired(self, reference: batches.Reference, *, activation: str) -> None:
        """Notes the activation, if the batch was not stored in the meantime."""
        self._note(keys=[reference.batch_key], args=["activation", activation])

    def usage(self, journal: str, *, now: int) -> Usage:
        """How full a journal is; the oldest batch is looked for among those that wait first and those in flight."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zcard(journal)
        pipeline.get(keys.journal_bytes(journal))
        pipeline.zcount(journal, f"({now}", now + FAR_MS)
        pipeline.zrange(journal, 0, 0)
        pipeline.zrangebyscore(journal, f"({now}", "+inf", start=0, num=_LOOK_AT)
        count, size, in_flight, first, flying = pipeline.execute()
        ids = _texts((*first, *flying))
        return Usage(int(count), int(size or 0), int(in_flight), min(map(batches.created_ms, ids), default=0))

    def drop(self, journal: str) -> int:
        """Forgets the batches one by one: a journal may be large, and an ack is atomic."""
        ids = _texts(self._client.zrange(journal, 0, -1))
        dropped = sum(self.ack(batches.Reference(batch_id, journal)) for batch_id in ids)
        self._client.delete(keys.journal_bytes(journal), keys.journal_acked(journal))
        return dropped

    def size(self, journal: str) -> int:
        """How many batches are not yet stored."""
        return int(self._client.zcard(journal))


def _texts(values: Any) -> list[str]:
    return [value.decode() for value in values]
