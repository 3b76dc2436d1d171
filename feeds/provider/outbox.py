"""Pieces on their way into Redis, in order: written, tried again while it is away, and then acknowledged to the broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from feeds.provider.acks import Acks
from feeds.provider.columns import PacketIds
from feeds.provider.ledger import Ledger, Piece
from feeds.provider.link import Link
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.pace import Backoff, Gate
from hort import batch

RETRY_MS = (200, 5_000)


@dataclass(slots=True)
class Outgoing:
    """A piece of a batch's messages (`reference`) or of the spool; `rest` stays in the spool when a batch is put.

    `connection` numbers the connection it came over, `arrived` is its newest message's time.
    """

    partition: int
    piece: Piece
    ids: PacketIds
    connection: int
    count: int
    arrived: int
    reference: batch.Reference | None = None
    rest: bytes | None = None


class Outbox:
    """Bounded by its user, who adds nothing while anything is under way."""

    def __init__(
        self,
        ledgers: Sequence[Ledger],
        *,
        link: Link,
        acks: Acks,
        gate: Gate,
        steady: Callable[[], int],
        meters: Meters,
        trigger: str,
        put: Callable[[], None],
    ) -> None:
        self._ledgers = ledgers
        self._link = link
        self._acks = acks
        self._gate = gate
        self._steady = steady
        self._meters = meters
        self._trigger = trigger
        self._put = put
        self._pieces: deque[Outgoing] = deque()
        self._write_at = 0
        self._backoff = Backoff(RETRY_MS)

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, outgoing: Outgoing) -> None:
        """Appends a piece."""
        self._pieces.append(outgoing)

    def clear(self) -> None:
        """Forgets what is under way: whoever starts anew reads it again."""
        self._pieces.clear()

    def wait(self, now: int) -> int:
        """Milliseconds until the next try."""
        return self._write_at - now

    def write(self, now: int, *, at_once: bool = False) -> None:
        """Writes what it can; Fenced where another owner is newer."""
        while self._pieces and (at_once or now >= self._write_at):
            outgoing = self._pieces[0]
            try:
                self._write_one(outgoing)
            except redis.RedisError as error:
                self._write_at = self._steady() + self._backoff.next_ms()
                self._meters.errors.labels(self._trigger, "redis").inc()
                batch_id = outgoing.reference.batch_id if outgoing.reference else None
                retry = self._write_at - self._steady()
                text = f"{type(error).__name__}: {error}"
                log("journal-failed", error=text, trigger=self._trigger, batch_id=batch_id, count=outgoing.count, retry_in_ms=retry)
                return
            self._pieces.popleft()
            self._backoff.reset()
            self._acknowledge(outgoing)

    def _write_one(self, outgoing: Outgoing) -> None:
        ledger = self._ledgers[outgoing.partition]
        if outgoing.reference is None:
            ledger.spool(outgoing.piece)
            self._meters.spooled.labels(self._trigger).inc(outgoing.count)
            return
        ledger.put(
            outgoing.piece,
            outgoing.reference,
            trigger=self._trigger,
            count=outgoing.count,
            now=outgoing.arrived,
            due_ms=self._steady(),
            rest=outgoing.rest,
        )
        self._gate.put(len(outgoing.piece.raw))
        self._meters.journalled.labels(self._trigger).inc(outgoing.count)
        self._meters.batches.labels(self._trigger).inc()
        self._put()

    def _acknowledge(self, outgoing: Outgoing) -> None:
        link = self._link
        connection = link.connection if link.up and outgoing.connection == link.generation else None
        self._acks.journalled(outgoing.piece.chunk, outgoing.partition, outgoing.ids, connection)
