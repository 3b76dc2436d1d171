"""What the provider writes while it takes messages in, each step one transaction in the partition's slot.

Messages are first *spooled* (so that the broker can have its ack) or at once *put* into the journal as a batch; either way their
packet ids are kept beside them. A fence guards both: an owner that was declared dead cannot write any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import redis

from hort import keys, store
from hort.batch import Reference
from hort.errors import Fenced
from hort.journal import RedisJournal

KEPT_MARK, DOUBT_MARK = "~", "!"
"""Before a chunk's name: it is kept. Before an owner's token: that owner has connected, and what is kept is in doubt."""
_TRIES = 5
_FENCE_LUA = """
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
if newest > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier owner left: packed spooled messages, and packet ids by chunk: not yet confirmed, and confirmed and kept."""

    spooled: tuple[bytes, ...]
    unacked: dict[str, bytes]
    kept: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """Messages to write: their binary form and packet ids; `chunk` is their name, so that a repeated write does nothing."""

    chunk: str
    raw: bytes
    ids: bytes


def marked(chunks: Sequence[str]) -> list[str]:
    """The fields that chunks have in the hash of packet ids: their own, and the mark that they are kept."""
    return [*chunks, *(KEPT_MARK + name for name in chunks)]


def sorted_out(fields: dict[str, bytes]) -> tuple[tuple[dict[str, bytes], dict[str, bytes]], list[str]]:
    """The hash of packet ids -> what is unacknowledged and what is kept, oldest first, and the fields that no one may use again."""
    doubts = [name for name in fields if name.startswith(DOUBT_MARK)]
    kept = {name[1:] for name in fields if name.startswith(KEPT_MARK)}
    chunks = sorted((name for name in fields if name[0] not in (KEPT_MARK, DOUBT_MARK)), key=born)
    unacked = {name: fields[name] for name in chunks if name not in kept}
    if doubts:
        return (unacked, {}), [*marked(sorted(kept)), *doubts]
    lost = [KEPT_MARK + name for name in sorted(kept.difference(chunks))]  # a mark that came late, after its chunk was forgotten
    return (unacked, {name: fields[name] for name in chunks if name in kept}), lost


def born(chunk: str) -> str:
    """What chunks sort by: the time in the name."""
    return chunk.rpartition("-")[2]


class Ledger(Protocol):
    """What a ledger of one registration and partition must do; Fenced where another owner is newer."""

    def open(self) -> Left:
        """Takes the ledger over; what is kept and in doubt is dropped."""

    def check(self) -> None:
        """Only sees whether the ledger is still this owner's; RedisError where that cannot be known."""

    def spool(self, piece: Piece) -> None:
        """Keeps messages that are not yet part of a batch."""

    def put(
        self, piece: Piece, reference: Reference, *, trigger: str, count: int, now: int, due_ms: int, rest: bytes | None = None
    ) -> None:
        """Journals a batch that holds all that is spooled but `rest`, and the piece's packet ids; it may be fired from `due_ms` on."""

    def keep(self, chunks: Sequence[str]) -> None:
        """Notes that packet ids are confirmed, and kept all the same (`feeds.provider.kept`)."""

    def doubt(self, *, doubted: bool) -> None:
        """Puts what is kept in doubt, or believes it again: an owner ends its own doubts only."""

    def forget(self, chunks: Sequence[str]) -> None:
        """Drops packet ids."""


class RedisLedger:
    """The ledger in Redis."""

    def __init__(self, client: store.Client, *, registration: str, partition: int, token: int) -> None:
        self._client = client
        self._token = token
        self._fence = keys.fence(partition, registration)
        self._unacked = keys.unacked(partition, registration)
        self._spool = keys.spool(partition, registration)
        self._raise_fence = client.register_script(_FENCE_LUA)

    def open(self) -> Left:
        """Raises the fence, then reads what is left."""
        if not self._raise_fence(keys=[self._fence], args=[self._token]):
            raise Fenced(f"token {self._token} of {self._fence} is older than another owner's")
        pipeline = self._client.pipeline(transaction=True)
        pipeline.lrange(self._spool, 0, -1)
        pipeline.hgetall(self._unacked)
        spooled, fields = pipeline.execute()
        left, gone = sorted_out({name.decode(): raw for name, raw in fields.items()})
        if gone:
            self._client.hdel(self._unacked, *gone)
        return Left(tuple(spooled), *left)

    def check(self) -> None:
        """Reads the fence."""
        self._owned(self._client)

    def spool(self, piece: Piece) -> None:
        """Appends to the spool."""
        self._commit(piece, lambda pipeline: pipeline.rpush(self._spool, piece.raw))

    def put(
        self, piece: Piece, reference: Reference, *, trigger: str, count: int, now: int, due_ms: int, rest: bytes | None = None
    ) -> None:
        """Puts the batch and leaves in the spool what it does not hold."""

        def write(pipeline: Any) -> None:
            RedisJournal.add_put(pipeline, reference, piece.raw, trigger=trigger, count=count, now=now, due_ms=due_ms)
            pipeline.delete(self._spool)
            if rest:
                pipeline.rpush(self._spool, rest)

        self._commit(piece, write)

    def keep(self, chunks: Sequence[str]) -> None:
        """Adds marks to the hash."""
        self._client.hset(self._unacked, mapping={KEPT_MARK + name: b"" for name in chunks})

    def doubt(self, *, doubted: bool) -> None:
        """Adds a mark of this owner's to the hash, or takes it out."""
        if doubted:
            self._client.hset(self._unacked, f"{DOUBT_MARK}{self._token}", b"")
        else:
            self._client.hdel(self._unacked, f"{DOUBT_MARK}{self._token}")

    def forget(self, chunks: Sequence[str]) -> None:
        """Drops fields of the hash."""
        self._client.hdel(self._unacked, *marked(chunks))

    def _commit(self, piece: Piece, write: Callable[[Any], object]) -> None:
        for _ in range(_TRIES):
            with self._client.pipeline(transaction=True) as pipeline:
                try:
                    if self._attempt(pipeline, piece, write):
                        return
                except redis.WatchError:
                    continue
        raise redis.ConnectionError("the transaction was disturbed each time")

    def _attempt(self, pipeline: Any, piece: Piece, write: Callable[[Any], object]) -> bool:
        # Each write changes the packet ids: an EXEC that the network held back, and that was tried again meanwhile, does nothing.
        pipeline.watch(self._fence, self._unacked)
        self._owned(pipeline)
        if pipeline.hexists(self._unacked, piece.chunk):
            return True
        pipeline.multi()
        write(pipeline)
        pipeline.hset(self._unacked, piece.chunk, piece.ids)
        pipeline.execute()
        return True

    def _owned(self, client: Any) -> None:
        if int(client.get(self._fence) or 0) != self._token:
            raise Fenced(f"token {self._token} of {self._fence} is not the newest")
