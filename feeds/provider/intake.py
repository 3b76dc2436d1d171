"""From the broker to the journal: one thread takes messages, cuts batches, journals them and acknowledges.

The order is fixed: journal (with the packet ids) -> ack -> forget the packet ids. A new connection begins only when everything
that came over the old one is journalled or spooled; so a message that the broker repeats is always recognised by one mechanism,
whether the connection, this process or Redis was interrupted.
"""

from __future__ import annotations

import json
import random
import secrets
import threading
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import redis

from feeds.provider.columns import Columns, PacketIds, digest, merged
from feeds.provider.connection import Connect, Connection
from feeds.provider.ledger import Ledger, Piece
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.pace import Gate
from feeds.provider.unacked import Unacked
from hort import batch, keys
from hort.feed_options import FeedConfig

STALL_MS = 25
"""When no message has come for this long, the broker may be waiting for acks: its window can be small."""
GATHER_S = 0.015
"""In a busy stream the socket is left alone for this long, so that a read brings many messages."""
GATHER_WINDOW_S = 0.001
"""The same where the broker stops by itself after a few messages."""
BUSY = 4
IDLE_MS = 250
RETRY_MS = (200, 5_000)
CONNECT_RETRY_MS = (500, 30_000)
CONNACK_TIMEOUT_MS = 15_000
TIDY_EVERY_MS = 1_000
LONGEST_WAIT_MS = 60_000
"""Messages that cannot be fired are journalled after this long all the same: their arrival decides whether they are late."""
INLINE_ENVELOPE = 500


class Subscriptions(Protocol):
    """Remembers what the broker's session is subscribed to."""

    def load(self) -> str:
        """The text that was saved last, or the empty one."""

    def save(self, text: str) -> None:
        """Keeps a text."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Whose messages these are."""

    registration: str
    trigger: str
    client_id: str


@dataclass(slots=True)
class _Outgoing:
    """A piece on its way into Redis; `connection` numbers the connection it came over, `arrived` is its newest message's time."""

    partition: int
    piece: Piece
    ids: PacketIds
    connection: int
    count: int
    arrived: int
    reference: batch.Reference | None = None
    rest: bytes | None = None


class Backoff:
    """Growing waits with jitter, bounded."""

    def __init__(self, limits_ms: tuple[int, int]) -> None:
        self._low, self._high = limits_ms
        self._tries = 0

    def next_ms(self) -> int:
        """How long to wait this time."""
        wait = min(self._low << min(self._tries, 16), self._high)
        self._tries += 1
        return round(wait * random.uniform(0.5, 1.0))

    def reset(self) -> None:
        """It worked."""
        self._tries = 0


class Intake:
    """Takes messages of one registration; `step` is called over and over by one thread."""

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
        meters: Meters,
        put: Callable[[], None] = lambda: None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.stream = stream
        self.config = config
        self.problem = "not yet connected"
        self._ledgers = ledgers
        self._subscriptions = subscriptions
        self._gate = gate
        self._clock = clock
        self._meters = meters
        self._put = put
        self._pause = pause or threading.Event().wait
        self._connection: Connection = connect(config, stream.client_id, self, clock)
        # -- the connection
        self._up = False
        self._dialling_since = 0
        self._generation = 0
        self._dial_at = 0
        self._dial_backoff = Backoff(CONNECT_RETRY_MS)
        self._want_topics: tuple[tuple[str, ...], int] | None = None
        # -- what is journalled and not yet confirmed
        self._unacked = Unacked()
        self._again: dict[int, array[int]] = {}
        self._came_all = False
        self._forget: dict[int, list[str]] = {}
        self._save = ""
        self._tidy_at = 0
        # -- what is on its way into Redis
        self._outgoing: deque[_Outgoing] = deque()
        self._write_at = 0
        self._write_backoff = Backoff(RETRY_MS)
        self._last_arrival = 0
        self._stalled_at = 0
        self._window = 0

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection."""
        return self._up

    @property
    def waiting(self) -> int:
        """Messages that are in no batch yet."""
        return len(self._connection.columns)

    # -- life ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Takes over what an earlier owner left: spooled messages become a batch, packet ids are expected again."""
        expected = self._session_name()
        same_session = self._subscriptions.load().startswith(expected)
        for partition, ledger in enumerate(self._ledgers):
            left = ledger.open()
            if same_session:
                for chunk, raw in left.unacked.items():
                    self._unacked.add(chunk, partition, PacketIds.unpack(raw), ack=None)
            elif left.unacked:
                ledger.forget_all()
            if left.spooled:
                self._recover(partition, left.spooled)

    def step(self) -> None:
        """One round: connect or read, then journal what is due."""
        now = self._clock()
        self._write(now)
        if self._up or self._dialling_since:
            self._poll(now)
        elif self._settled() and now >= self._dial_at and not self._gate.full:
            self._dial(now)
        else:
            self._pause(min(max(self._dial_at - now, 10), IDLE_MS) / 1000)
        self._collect(self._clock())
        self._housekeep(self._clock())

    def stop(self, *, flush: bool) -> None:
        """Journals and acknowledges what is in memory if told so (one try), and says goodbye."""
        if flush:
            self._write_at = 0
            self._cut_all()
            self._write(self._clock())
        self._up, self._dialling_since = False, 0
        self._connection.close()

    def update(self, config: FeedConfig) -> None:
        """Takes over options that need no new connection; topics are changed on the live one."""
        changed = (config.topics, config.qos) != (self.config.topics, self.config.qos)
        self.config = config
        if changed and self._up:
            self._subscribe(session_present=True)

    # -- what the connection tells ------------------------------------------------------------------------------

    def accepted(self, *, session_present: bool) -> None:
        """See the Handler port."""
        self._up, self._dialling_since, self.problem = True, 0, ""
        self._generation += 1
        self._dial_backoff.reset()
        self._again, self._came_all = {}, False
        if session_present:
            self._unacked.expect()
        else:
            self._forget_later(self._unacked.clear())
        self._meters.reconnects.labels(self.stream.trigger, "resumed" if session_present else "new").inc()
        log("mqtt-connected", trigger=self.stream.trigger, session_present=session_present)
        self._subscribe(session_present=session_present)

    def lost(self, reason: str) -> None:
        """See the Handler port."""
        if not self._up and not self._dialling_since:
            return
        self._up, self._dialling_since, self.problem = False, 0, reason
        self._unacked.lost()
        self._dial_at = self._clock() + self._dial_backoff.next_ms()
        log("mqtt-lost", error=reason, trigger=self.stream.trigger)

    def repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        """See the Handler port."""
        if not self._unacked.matches(mid, digest(topic, payload)):
            return False
        self._again.setdefault(qos, array("H")).append(mid)
        return True

    def fresh(self) -> None:
        """See the Handler port."""
        self._came_all = True

    def subscribed(self, failed: Sequence[str]) -> None:
        """The broker answered a subscription; `failed` are its reasons for refusing filters."""
        if self._want_topics is None:
            return
        topics, qos = self._want_topics
        if failed:
            self.problem = f"subscription refused: {', '.join(failed)}"
            log("mqtt-refused", error=self.problem, trigger=self.stream.trigger)
            return
        self.problem = ""
        self._save = self._session_name() + json.dumps([*topics, qos])
        self._guard(self._tidy)

    # -- the connection -----------------------------------------------------------------------------------------

    def _session_name(self) -> str:
        return json.dumps([self.config.url, self.stream.client_id]) + "\n"

    def _settled(self) -> bool:
        columns = self._connection.columns
        return not self._outgoing and columns.spooled == len(columns)

    def _dial(self, now: int) -> None:
        self._dialling_since = now
        try:
            self._connection.connect()
        except (OSError, ValueError) as error:
            self.lost(f"cannot connect: {error}")

    def _subscribe(self, *, session_present: bool) -> None:
        wanted = (self.config.topics, self.config.qos)
        try:
            saved = self._subscriptions.load()
        except redis.RedisError:
            saved = ""
        name = self._session_name()
        if session_present and saved == name + json.dumps([*wanted[0], wanted[1]]):
            return
        if session_present and saved.startswith(name):
            old = json.loads(saved[len(name) :])
            gone = tuple(topic for topic in old[:-1] if topic not in wanted[0])
            if gone:
                self._connection.unsubscribe(gone)
        self._want_topics = wanted
        self._connection.subscribe(*wanted)

    def _poll(self, now: int) -> None:
        if self._dialling_since and now - self._dialling_since > CONNACK_TIMEOUT_MS:
            self._connection.close()
            self.lost("the broker did not answer CONNECT")
            return
        columns = self._connection.columns
        count, size = len(columns), columns.size
        came = self._connection.poll(self._patience(now) / 1000, read=self._may_read())
        if came <= 0:
            return
        self._last_arrival = self._clock()
        self._meters.received.labels(self.stream.trigger).inc(came)
        self._meters.received_bytes.labels(self.stream.trigger).inc(columns.size - size)
        if came >= BUSY and count + came < self.config.max_records:
            self._pause(GATHER_WINDOW_S if self._window else GATHER_S)

    def _may_read(self) -> bool:
        columns = self._connection.columns
        full = len(columns) >= self.config.max_records or columns.size >= self.config.max_bytes
        return not (full and self._outgoing) and not self._gate.full

    def _patience(self, now: int) -> int:
        columns = self._connection.columns
        if self._outgoing:
            return max(1, min(self._write_at - now, IDLE_MS))
        if not columns:
            return IDLE_MS
        wait = max(columns.received[0] + self.config.linger_ms - now, self._gate.wait(now))
        if len(columns) > columns.spooled:
            wait = min(wait, STALL_MS)
        return max(1, min(wait, IDLE_MS))

    # -- into Redis ---------------------------------------------------------------------------------------------

    def _collect(self, now: int) -> None:
        columns = self._connection.columns
        if not columns or self._outgoing:
            return
        if self._batch_due(columns, now):
            self._cut()
        elif self._spool_due(columns, now):
            self._spool()
        else:
            return
        self._write(now)

    def _batch_due(self, columns: Columns, now: int) -> bool:
        if self._gate.full:
            return False
        overhead = 150 * len(columns) if self.config.delivery == "inline" else 0
        if len(columns) >= self.config.max_records or columns.size + overhead >= self.config.max_bytes:
            return True
        waited = now - columns.received[0] - self.config.linger_ms
        return waited >= 0 and (self._gate.wait(now) == 0 or waited >= max(LONGEST_WAIT_MS, 2 * self._gate.pace.interval))

    def _spool_due(self, columns: Columns, now: int) -> bool:
        fresh = len(columns) - columns.spooled
        if not fresh:
            return False
        if not self._up:
            return True
        if not columns.mids[-1]:
            return False
        if self._window and fresh >= self._window:
            return True
        if now - self._last_arrival < STALL_MS:
            return False
        self._learn(fresh)
        return True

    def _learn(self, fresh: int) -> None:
        # Twice the same count when the stream stops: that is the broker's window, and waiting again would only cost time.
        self._window = fresh if fresh == self._stalled_at and fresh >= BUSY else 0
        self._stalled_at = fresh

    def _cut_all(self) -> None:
        while self._connection.columns:
            self._cut()

    def _cut(self) -> None:
        columns = self._connection.columns
        inline = self.config.delivery == "inline"
        limit = self.config.max_bytes - (INLINE_ENVELOPE if inline else 0)
        count = columns.fitting(max_records=self.config.max_records, max_bytes=limit, inline=inline)
        if count == len(columns):
            part, self._connection.columns = columns, Columns()
        else:
            part = columns.take(count)
        self._window = 0
        rest = self._rest()
        for partition, mine in part.split(self.config.partitions):
            reference = self._reference(partition)
            ids = mine.packet_ids(mine.spooled)
            piece = Piece(reference.batch_id, batch.pack(mine.messages()), ids.pack())
            self._outgoing.append(
                _Outgoing(
                    partition, piece, ids, self._generation, len(mine), mine.received[-1], reference, rest.get(partition)
                )
            )

    def _rest(self) -> dict[int, bytes]:
        """What stays behind a cut and is spooled already: the batch's transaction must not take it out of the spool."""
        columns = self._connection.columns
        if not columns.spooled:
            return {}
        parts = columns.split(self.config.partitions)
        return {partition: batch.pack(part.messages(0, part.spooled)) for partition, part in parts if part.spooled}

    def _spool(self) -> None:
        columns = self._connection.columns
        for partition, mine in columns.split(self.config.partitions):
            if mine.spooled == len(mine):
                continue
            ids = mine.packet_ids(mine.spooled)
            piece = Piece(f"s-{secrets.token_hex(8)}", batch.pack(mine.messages(mine.spooled)), ids.pack())
            count = len(mine) - mine.spooled
            self._outgoing.append(_Outgoing(partition, piece, ids, self._generation, count, mine.received[-1]))
        columns.spooled = len(columns)

    def _recover(self, partition: int, spooled: Sequence[bytes]) -> None:
        messages = merged([batch.unpack(raw) for raw in spooled])
        reference = self._reference(partition)
        none = PacketIds(array("H"), array("I"), b"")
        piece = Piece(reference.batch_id, batch.pack(messages), b"")
        arrived = messages.received_at[-1]
        self._outgoing.append(_Outgoing(partition, piece, none, -1, len(messages), arrived, reference))
        log("recovered", trigger=self.stream.trigger, batch_id=reference.batch_id, count=len(messages))

    def _reference(self, partition: int) -> batch.Reference:
        batch_id = batch.new_id(self.stream.registration, partition, self._clock())
        return batch.Reference(batch_id, keys.journal(partition, self.stream.registration))

    def _write(self, now: int) -> None:
        while self._outgoing and now >= self._write_at:
            outgoing = self._outgoing[0]
            try:
                self._write_one(outgoing)
            except redis.RedisError as error:
                self._write_at = self._clock() + self._write_backoff.next_ms()
                self._meters.errors.labels(self.stream.trigger, "redis").inc()
                log("journal-failed", error=f"{type(error).__name__}: {error}", trigger=self.stream.trigger)
                return
            self._outgoing.popleft()
            self._write_backoff.reset()
            self._acknowledge(outgoing)

    def _write_one(self, outgoing: _Outgoing) -> None:
        ledger, label = self._ledgers[outgoing.partition], self.stream.trigger
        if outgoing.reference is None:
            ledger.spool(outgoing.piece)
            self._meters.spooled.labels(label).inc(outgoing.count)
            return
        ledger.put(
            outgoing.piece,
            outgoing.reference,
            trigger=label,
            count=outgoing.count,
            now=outgoing.arrived,
            rest=outgoing.rest,
        )
        self._gate.batches += 1
        self._gate.bytes += len(outgoing.piece.raw)
        self._meters.journalled.labels(label).inc(outgoing.count)
        self._meters.batches.labels(label).inc()
        self._put()

    # -- acks ---------------------------------------------------------------------------------------------------

    def _acknowledge(self, outgoing: _Outgoing) -> None:
        ack = None
        if self._up and outgoing.connection == self._generation:
            for qos in (1, 2):
                if mids := outgoing.ids.of_qos(qos):
                    ack = self._ack(qos, mids)
        self._unacked.add(outgoing.piece.chunk, outgoing.partition, outgoing.ids, ack=ack)

    def _ack(self, qos: int, mids: array[int]) -> int:
        self._meters.acked.labels(self.stream.trigger).inc(len(mids))
        number = self._connection.ack(qos, mids)
        if self._came_all:
            self._came_all = False
            self._unacked.came_all(ack=number)
        return number

    def _housekeep(self, now: int) -> None:
        if self._up and self._again:
            again, self._again = self._again, {}
            for qos, mids in again.items():
                self._meters.duplicates.labels(self.stream.trigger).inc(len(mids))
                self._ack(qos, mids)
        self._forget_later(self._unacked.confirmed(self._connection.confirmed))
        if now >= self._tidy_at and (self._forget or self._save):
            self._tidy_at = now + TIDY_EVERY_MS
            self._guard(self._tidy)

    def _forget_later(self, chunks: dict[int, list[str]]) -> None:
        for partition, names in chunks.items():
            self._forget.setdefault(partition, []).extend(names)

    def _tidy(self) -> None:
        if self._save:
            self._subscriptions.save(self._save)
            self._save = ""
        for partition, chunks in list(self._forget.items()):
            self._ledgers[partition].forget(chunks)
            del self._forget[partition]

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except redis.RedisError as error:
            self._meters.errors.labels(self.stream.trigger, "redis").inc()
            log("redis-failed", error=f"{type(error).__name__}: {error}", trigger=self.stream.trigger)
