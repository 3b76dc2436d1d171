"""From the broker to the journal: one thread takes messages, cuts batches, journals them and has them acknowledged.

The order is fixed: journal (with the packet ids) -> ack -> forget the packet ids. A new connection begins only when everything
that came over the old one is journalled or spooled; so a message that the broker repeats is always recognised by one mechanism,
whether the connection, this process or Redis was interrupted.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence

import redis

from feeds.provider.acks import Acks
from feeds.provider.columns import Columns, PacketIds, merged
from feeds.provider.connection import Connect
from feeds.provider.holding import REDIS, Holding
from feeds.provider.ledger import Ledger, Piece
from feeds.provider.link import Link, Stream, Subscriptions
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.outbox import Outbox, Outgoing
from feeds.provider.pace import Gate
from feeds.provider.payloads import INLINE_ENVELOPE
from hort import batch, keys
from hort.errors import BatchError
from hort.feed_options import FeedConfig

STALL_MS = 25
"""When no message that wants an ack has come for this long, the broker may be waiting for acks: its window can be small."""
GATHER_S = 0.015
"""In a busy stream the socket is left alone for this long, so that a read brings many messages."""
GATHER_WINDOW_S = 0.001
"""The same where the broker stops by itself after a few messages."""
BUSY = 4
IDLE_MS = 250
TIDY_EVERY_MS = 1_000
LONGEST_WAIT_MS = 60_000
"""Messages that cannot be fired are journalled after this long all the same: their arrival decides whether they are late."""


class Intake:
    """Takes messages of one registration; `step` is called over and over by one thread.

    Messages and ids are stamped by `clock`; everything that waits goes by `steady`, and so does each `now`.
    """

    def __init__(
        self,
        stream: Stream,
        config: FeedConfig,
        *,
        ledgers: Sequence[Ledger],
        subscriptions: Subscriptions,
        gate: Gate,
        connect: Connect,
        clock: Callable[[], int],
        steady: Callable[[], int],
        meters: Meters,
        put: Callable[[], None] = lambda: None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.stream = stream
        self.config = config
        self._ledgers = ledgers
        self._gate = gate
        self._clock = clock
        self._steady = steady
        self._meters = meters
        self._pause = pause or threading.Event().wait
        self._acks = Acks(ledgers, trigger=stream.trigger, meters=meters)
        self.link = Link(
            stream,
            config,
            subscriptions=subscriptions,
            acks=self._acks,
            connect=connect,
            clock=clock,
            steady=steady,
            meters=meters,
        )
        self._tidy_at = 0
        self._outbox = Outbox(
            ledgers, link=self.link, acks=self._acks, gate=gate, steady=steady, meters=meters, trigger=stream.trigger, put=put
        )
        self.holding = Holding(trigger=stream.trigger, meters=meters)
        self._since = 0
        self._last_arrival = 0
        self._last_wanting = 0
        self._stalled_at = 0
        self._window = 0

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection."""
        return self.link.up

    @property
    def waiting(self) -> int:
        """Messages that are in no batch yet."""
        return len(self._columns)

    @property
    def _columns(self) -> Columns:
        return self.link.connection.columns

    # -- life ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Takes over what an earlier owner left: spooled messages become a batch, packet ids are expected again."""
        self._outbox.clear()
        same_session = self.link.knows_session()
        lefts = {}
        for partition, ledger in enumerate(self._ledgers):
            left = ledger.open()
            if same_session:
                lefts[partition] = left
            elif left.unacked or left.kept:
                ledger.forget([*left.unacked, *left.kept])
            if left.spooled:
                self._recover(partition, left.spooled)
        if not same_session:
            self.link.begin_session()
        self._acks.inherit(lefts, now=self._steady())

    def step(self) -> None:
        """One round: connect or read, then journal what is due."""
        now = self._steady()
        self._outbox.write(now)
        if self.link.active:
            self._poll(now)
        elif self._settled() and now >= self.link.dial_at and not self._gate.full:
            self._dial(now)
        else:
            self._pause(min(max(self.link.dial_at - now, 10), IDLE_MS) / 1000)
        self._collect(self._steady())
        self._housekeep(self._steady())
        self.holding.tell(self._held_by(), now=self._steady(), batches=self._gate.batches, size=self._gate.bytes)

    def stop(self, *, flush: bool) -> None:
        """Journals and acknowledges what is in memory if told so (one try), and says goodbye."""
        if flush:
            self._flush()
        self.link.close()

    def update(self, config: FeedConfig) -> None:
        """Takes over options that need no new connection; topics are changed on the live one."""
        self.config = config
        self.link.update(config)

    # -- from the broker ----------------------------------------------------------------------------------------

    def _dial(self, now: int) -> None:
        if self._guard(self._acks.dialling):
            self.link.dial(now)
        else:
            self.link.dial_at = now + TIDY_EVERY_MS

    def _settled(self) -> bool:
        columns = self._columns
        return not self._outbox and columns.spooled == len(columns)

    def _poll(self, now: int) -> None:
        if not self.link.tend(now):
            return
        columns = self._columns
        count, size = len(columns), columns.size
        records, room = self._room()
        came = self.link.connection.poll(self._patience(now) / 1000, records=records, size=room)
        if came <= 0:
            return
        self._last_arrival = self._steady()
        if not count:
            self._since = self._last_arrival
        if columns.wanting(count):
            self._last_wanting = self._last_arrival
        self._meters.received.labels(self.stream.trigger).inc(came)
        self._meters.received_bytes.labels(self.stream.trigger).inc(columns.size - size)
        if came >= BUSY and count + came < self.config.max_records:
            self._pause(GATHER_WINDOW_S if self._window else GATHER_S)

    def _room(self) -> tuple[int, int]:
        """Messages and bytes that may be read. Never more than a batch is held: the broker's window may be many times that,
        and what is held is spooled and acknowledged, so that the broker would send another window.
        """
        columns = self._columns
        if self._gate.full:
            return 0, 0
        return max(0, self.config.max_records - len(columns)), max(0, self.config.max_bytes - columns.size)

    def _held_by(self) -> str:
        if limit := self._gate.limit:
            return limit
        return REDIS if self._outbox and not all(self._room()) else ""

    def _patience(self, now: int) -> int:
        columns = self._columns
        if self._outbox:
            return max(1, min(self._outbox.wait(now), IDLE_MS))
        if not columns:
            return IDLE_MS
        wait = max(self._since + self.config.linger_ms - now, self._gate.wait(now))
        if len(columns) > columns.spooled:
            wait = min(wait, STALL_MS)
        return max(1, min(wait, IDLE_MS))

    # -- into Redis ---------------------------------------------------------------------------------------------

    def _collect(self, now: int) -> None:
        while self._columns and not self._outbox and self._batch_due(self._columns, now):
            self._cut()
            self._outbox.write(now)
        if self._columns and not self._outbox and self._spool_due(self._columns, now):
            self._spool()
            self._outbox.write(now)

    def _batch_due(self, columns: Columns, now: int) -> bool:
        if self._gate.full:
            return False
        overhead = 150 * len(columns) if self.config.delivery == "inline" else 0
        if len(columns) >= self.config.max_records or columns.size + overhead >= self.config.max_bytes:
            return True
        waited = now - self._since - self.config.linger_ms
        return waited >= 0 and (self._gate.wait(now) == 0 or waited >= max(LONGEST_WAIT_MS, 2 * self._gate.pace.interval))

    def _spool_due(self, columns: Columns, now: int) -> bool:
        if columns.spooled == len(columns):
            return False
        if not self.link.up:
            return True
        wanting = columns.wanting(columns.spooled)
        if self._window and wanting >= self._window:
            return True
        if not wanting or now - self._last_wanting < STALL_MS:
            return False
        self._learn(wanting)
        return True

    def _learn(self, wanting: int) -> None:
        # Twice the same count when the stream stops: that is the broker's window, and waiting again would only cost time.
        self._window = wanting if wanting == self._stalled_at and wanting >= BUSY else 0
        self._stalled_at = wanting

    def _flush(self) -> None:
        """Batches while the journal may take them; the rest is spooled."""
        now = self._steady()
        self._outbox.write(now, at_once=True)
        while self._columns and not self._outbox and not self._gate.full:
            self._cut()
            self._outbox.write(now, at_once=True)
        if self._columns and not self._outbox:
            self._spool()
            self._outbox.write(now, at_once=True)

    def _cut(self) -> None:
        columns = self._columns
        count = self._fitting(columns)
        if count == len(columns):
            part, self.link.connection.columns = columns, Columns()
        else:
            part, self._since = columns.take(count), self._last_arrival
        self._window = 0
        rest = self._rest()
        for partition, mine in part.split(self.config.partitions):
            reference = self._reference(partition)
            ids = mine.packet_ids(mine.spooled)
            piece = Piece(reference.batch_id, batch.pack(mine.messages()), ids.pack())
            self._outbox.add(
                Outgoing(
                    partition, piece, ids, self.link.generation, len(mine), mine.received[-1], reference, rest.get(partition)
                )
            )

    def _rest(self) -> dict[int, bytes]:
        """What stays behind a cut and is spooled already: the batch's transaction must not take it out of the spool."""
        columns = self._columns
        if not columns.spooled:
            return {}
        parts = columns.split(self.config.partitions)
        return {partition: batch.pack(part.messages(0, part.spooled)) for partition, part in parts if part.spooled}

    def _spool(self) -> None:
        columns = self._columns
        for partition, mine in columns.split(self.config.partitions):
            if mine.spooled == len(mine):
                continue
            ids = mine.packet_ids(mine.spooled)
            name = f"s-{batch.new_id(self.stream.registration, partition, self._clock())}"
            piece = Piece(name, batch.pack(mine.messages(mine.spooled)), ids.pack())
            count = len(mine) - mine.spooled
            self._outbox.add(Outgoing(partition, piece, ids, self.link.generation, count, mine.received[-1]))
        columns.spooled = len(columns)

    def _recover(self, partition: int, spooled: Sequence[bytes]) -> None:
        """Batches of what an earlier owner spooled. Pieces that cannot be read are a batch, too: ingest will bury it."""
        readable, unreadable = [], []
        for raw in spooled:
            try:
                readable.append(merged([batch.unpack(raw)]).messages())
            except (BatchError, ValueError, IndexError, TypeError, AttributeError) as error:
                unreadable.append(raw)
                self._meters.errors.labels(self.stream.trigger, "spool").inc()
                log("spool-unreadable", error=error, trigger=self.stream.trigger)
        columns = merged(readable)
        if unreadable:
            self._recovered(partition, b"".join(unreadable), count=len(unreadable), arrived=self._clock(), rest=columns)
        while columns:
            part = columns.take(self._fitting(columns))
            raw = batch.pack(part.messages())
            self._recovered(partition, raw, count=len(part), arrived=part.received[-1], rest=columns)

    def _recovered(self, partition: int, raw: bytes, *, count: int, arrived: int, rest: Columns) -> None:
        reference, ids = self._reference(partition), PacketIds(array("H"), array("I"), b"")
        left = batch.pack(rest.messages()) if rest else None
        self._outbox.add(Outgoing(partition, Piece(reference.batch_id, raw, b""), ids, -1, count, arrived, reference, left))
        log("recovered", trigger=self.stream.trigger, batch_id=reference.batch_id, count=count)

    def _fitting(self, columns: Columns) -> int:
        inline = self.config.delivery == "inline"
        limit = self.config.max_bytes - (INLINE_ENVELOPE if inline else 0)
        return columns.fitting(max_records=self.config.max_records, max_bytes=limit, inline=inline)

    def _reference(self, partition: int) -> batch.Reference:
        batch_id = batch.new_id(self.stream.registration, partition, self._clock())
        return batch.Reference(batch_id, keys.journal(partition, self.stream.registration))

    def _housekeep(self, now: int) -> None:
        self._acks.keep_up(self.link.connection, up=self.link.up, now=now)
        if now >= self._tidy_at and not self._outbox and (self._acks.untidy or self.link.untidy):
            self._tidy_at = now + TIDY_EVERY_MS
            self._guard(self.link.remember)
            self._guard(self._acks.tidy)

    def _guard(self, work: Callable[[], None]) -> bool:
        try:
            work()
            return True
        except redis.RedisError as error:
            self._meters.errors.labels(self.stream.trigger, "redis").inc()
            log("redis-failed", error=f"{type(error).__name__}: {error}", trigger=self.stream.trigger)
            return False
