"""In-memory twins of the provider's ports, for tests without sockets: broker, ledger, OpenWhisk, registrations, leases."""

from __future__ import annotations

import copy
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from feeds.provider.columns import Columns
from feeds.provider.connection import Handler
from feeds.provider.ledger import Left, Piece
from feeds.provider.registrations import Registration
from feeds.provider.whisk import Outcome, Started, Target
from hort.batch import Reference
from hort.errors import FeedRefused, Fenced
from hort.feed_options import FeedConfig
from hort.journal import Journal


@dataclass(slots=True)
class _InFlight:
    topic: bytes
    payload: bytes
    qos: int
    sent: bool = False


class MemoryBroker:
    """A broker with one client's session: unacknowledged messages come again after each connection, with DUP."""

    def __init__(self, *, window: int = 65_535) -> None:
        self.window = window
        self.up = True
        self.session = False
        self.queue: deque[tuple[bytes, bytes, int]] = deque()
        self.inflight: dict[int, _InFlight] = {}
        self.subscriptions: list[tuple[tuple[str, ...], int]] = []
        self.connection: MemoryConnection | None = None
        self.acked: list[int] = []
        self._mid = 0

    def publish(self, *payloads: bytes, topic: bytes = b"t/a", qos: int = 1) -> None:
        """Messages for the subscriber."""
        self.queue.extend((topic, payload, qos) for payload in payloads)

    def connect(self, config: FeedConfig, client_id: str, handler: Handler, clock: Callable[[], int]) -> MemoryConnection:
        """The `Connect` port."""
        del config, client_id
        return MemoryConnection(self, handler, clock)

    @property
    def connected(self) -> bool:
        """Whether a client is connected."""
        return self.connection is not None

    def drop(self) -> None:
        """Cuts the connection."""
        if self.connection is not None:
            connection, self.connection = self.connection, None
            connection.cut = True

    def next_id(self) -> int:
        """A free packet id, counting up as mosquitto does."""
        self._mid = self._mid % 65_535 + 1
        return self._mid


class MemoryConnection:
    """A connection to a MemoryBroker, see `feeds.provider.connection.Connection`."""

    def __init__(self, broker: MemoryBroker, handler: Handler, clock: Callable[[], int]) -> None:
        self.columns = Columns()
        self.qos_limit = 2
        self.confirmed = 0
        self.cut = False
        self.mute = False
        self._broker = broker
        self._handler = handler
        self._clock = clock
        self._accepted = False
        self._acks = 0
        self._again: list[int] = []
        self._sent = array("H")

    def connect(self) -> None:
        """OSError while the broker is down."""
        if not self._broker.up:
            raise ConnectionRefusedError("down")
        self._broker.connection = self
        self.cut, self._accepted = False, False
        self._sent = array("H")
        self._again = [mid for mid, message in self._broker.inflight.items() if message.sent]

    def subscribe(self, topics: tuple[str, ...], qos: int) -> None:
        """Granted at once."""
        self._broker.subscriptions.append((topics, qos))
        self._handler.subscribed([])

    def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """Noted."""
        self._broker.subscriptions.append((topics, -1))

    def poll(self, timeout_s: float, *, read: bool) -> int:
        """Delivers what the window allows."""
        del timeout_s
        if self.cut:
            self.cut, self._sent = False, array("H")
            self._handler.lost("cut")
            return 0
        if not self._accepted:
            self._accepted = True
            known, self._broker.session = self._broker.session, True
            self._handler.accepted(session_present=known)
        if not self.mute:
            self._arrive()
        before = len(self.columns)
        if read:
            self._repeat()
            self._deliver()
        return len(self.columns) - before

    def ack(self, qos: int, mids: array[int]) -> int:
        """Sends acks; they arrive with the next poll, later while `mute`, and never when the connection is cut before."""
        del qos
        self._acks += 1
        for mid in mids:
            if mid not in self._broker.inflight:
                raise AssertionError(f"packet id {mid} was acknowledged but is not in flight")
        self._sent.extend(mids)
        if not self.mute:
            self._arrive(confirm=False)
        return self._acks

    def close(self) -> None:
        """Leaves the session at the broker."""
        if self._broker.connection is self:
            self._broker.connection = None

    def _arrive(self, *, confirm: bool = True) -> None:
        sent, self._sent = self._sent, array("H")
        for mid in sent:
            self._broker.inflight.pop(mid, None)
        self._broker.acked.extend(sent)
        if confirm:
            self.confirmed = self._acks

    def _repeat(self) -> None:
        again, self._again = self._again, []
        for mid in again:
            message = self._broker.inflight[mid]
            if not self._handler.repeated(mid, message.qos, message.topic, message.payload):
                self._append(mid, message)

    def _deliver(self) -> None:
        broker = self._broker
        while broker.queue and (broker.queue[0][2] == 0 or len(broker.inflight) < broker.window):
            topic, payload, qos = broker.queue.popleft()
            message = _InFlight(topic, payload, qos, sent=True)
            mid = broker.next_id() if qos else 0
            if qos:
                broker.inflight[mid] = message
                self._handler.fresh()
            self._append(mid, message)

    def _append(self, mid: int, message: _InFlight) -> None:
        self.columns.append(message.topic, message.payload, received=self._clock(), flags=message.qos, mid=mid)


class MemoryLedger:
    """A ledger over a MemoryJournal; `away` makes each call fail as a Redis that is down."""

    def __init__(self, journal: Journal) -> None:
        self.away = False
        self.fence = [0]
        self.token = 0
        self.spooled: list[bytes] = []
        self.unacked: dict[str, bytes] = {}
        self._journal = journal

    def owned(self, token: int) -> MemoryLedger:
        """The same ledger in the hands of the owner with this token."""
        other = copy.copy(self)
        other.token = token
        return other

    def open(self) -> Left:
        """Raises the fence."""
        self._reach()
        if self.fence[0] > self.token:
            raise Fenced("older")
        self.fence[0] = self.token
        return Left(tuple(self.spooled), dict(self.unacked))

    def spool(self, piece: Piece) -> None:
        """Keeps messages."""
        if self._fresh(piece):
            self.spooled.append(piece.raw)

    def put(
        self, piece: Piece, reference: Reference, *, trigger: str, count: int, now: int, rest: bytes | None = None
    ) -> None:
        """Journals."""
        if self._fresh(piece):
            self._journal.put(reference, piece.raw, trigger=trigger, count=count, now=now)
            self.spooled[:] = [rest] if rest else []

    def forget(self, chunks: Sequence[str]) -> None:
        """Drops packet ids."""
        self._reach()
        for chunk in chunks:
            self.unacked.pop(chunk, None)

    def forget_all(self) -> None:
        """Drops all packet ids."""
        self._reach()
        self.unacked.clear()

    def _fresh(self, piece: Piece) -> bool:
        self._reach()
        if self.fence[0] != self.token:
            raise Fenced("older")
        if piece.chunk in self.unacked:
            return False
        self.unacked[piece.chunk] = piece.ids
        return True

    def _reach(self) -> None:
        if self.away:
            raise redis.ConnectionError("away")


class MemorySubscriptions:
    """What a session is subscribed to."""

    def __init__(self) -> None:
        self.text = ""

    def load(self) -> str:
        """The text."""
        return self.text

    def save(self, text: str) -> None:
        """Keeps it."""
        self.text = text


@dataclass
class MemoryWhisk:
    """An OpenWhisk that answers as told; the last answer is repeated."""

    answers: list[Outcome] = field(default_factory=lambda: [Outcome("accepted", 202, activation="a" * 32)])
    rules: Started = field(default_factory=lambda: Started(known=True))
    refuse: str = ""
    fires: list[dict[str, Any]] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    clock: Callable[[], int] = lambda: 0

    def fire(self, target: Target, payload: dict[str, Any]) -> Outcome:
        """Notes the fire."""
        del target
        self.fires.append(payload)
        self.at.append(self.clock())
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def started(self, target: Target, activation: str) -> Started:
        """What the rules did."""
        del target, activation
        return self.rules

    def check(self, target: Target, *, may_be_gone: bool = False) -> None:
        """Refuses with a text, where there is one."""
        del target, may_be_gone
        if self.refuse:
            raise FeedRefused(self.refuse)


class MemoryRegistrations:
    """Registrations of one process."""

    def __init__(self) -> None:
        self.rows: dict[str, Registration] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.texts: dict[str, str] = {}

    def all(self) -> dict[str, Registration]:
        """Every registration."""
        return dict(self.rows)

    def get(self, registration: str) -> Registration | None:
        """One registration."""
        return self.rows.get(registration)

    def change(self, registration: str, edit: Callable[[Registration | None], Registration | None]) -> Registration | None:
        """Replaces or removes."""
        new = edit(self.rows.get(registration))
        if new is None:
            self.rows.pop(registration, None)
            self.texts.pop(registration, None)
        else:
            self.rows[registration] = new
        return new

    def runtime(self, registration: str) -> dict[str, Any]:
        """The last report."""
        return self.facts.get(registration, {})

    def report(self, registration: str, facts: dict[str, Any], *, ttl_s: int) -> None:
        """Keeps a report."""
        del ttl_s
        self.facts[registration] = facts

    def subscribed(self, registration: str) -> str:
        """The text."""
        return self.texts.get(registration, "")

    def set_subscribed(self, registration: str, text: str) -> None:
        """Keeps it."""
        self.texts[registration] = text
