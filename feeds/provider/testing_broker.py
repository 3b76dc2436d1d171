"""The in-memory twin of a broker and of the connection to it, for tests without sockets.

It numbers messages as they come in, as mosquitto does, or with `lowest_free` as they go out; `save` and `die` are an autosave and a
kill -9 after it.
"""

from __future__ import annotations

import copy
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from feeds.provider.columns import Columns
from feeds.provider.connection import Handler
from hort.feed_options import FeedConfig


@dataclass(slots=True)
class _InFlight:
    topic: bytes
    payload: bytes
    qos: int
    sent: bool = False


class MemoryBroker:
    """A broker with one client's session: unacknowledged messages come again after each connection, with DUP."""

    def __init__(self, *, window: int = 65_535, lowest_free: bool = False) -> None:
        self.window = window
        self.lowest_free = lowest_free
        self.up = True
        self.refuses = False
        self.forbidden: set[str] = set()
        self.session = False
        self.queue: deque[tuple[int, bytes, bytes, int]] = deque()
        self.inflight: dict[int, _InFlight] = {}
        self.subscriptions: list[tuple[tuple[str, ...], int]] = []
        self.connection: MemoryConnection | None = None
        self.acked: list[int] = []
        self._mid = 0
        self._saved = self._state()

    def publish(self, *payloads: bytes, topic: bytes = b"t/a", qos: int = 1) -> None:
        """Messages for the subscriber."""
        self.queue.extend((self._number(qos), topic, payload, qos) for payload in payloads)

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

    def save(self) -> None:
        """Writes the session to disk."""
        self._saved = self._state()

    def die(self) -> None:
        """Is killed, and comes back as it was when it saved."""
        self.drop()
        self.session, self.queue, self.inflight, self._mid = copy.deepcopy(self._saved)

    def send(self, count: int = 1 << 30) -> list[tuple[int, _InFlight]]:
        """Sends what the window allows, `count` at most; packet ids and messages."""
        sent: list[tuple[int, _InFlight]] = []
        while len(sent) < count and self.queue and (self.queue[0][3] == 0 or len(self.inflight) < self.window):
            mid, topic, payload, qos = self.queue.popleft()
            message = _InFlight(topic, payload, qos, sent=True)
            if qos:
                mid = mid or self._lowest()
                self.inflight[mid] = message
            sent.append((mid, message))
        return sent

    def _state(self) -> tuple[bool, deque[tuple[int, bytes, bytes, int]], dict[int, _InFlight], int]:
        return copy.deepcopy((self.session, self.queue, self.inflight, self._mid))

    def _number(self, qos: int) -> int:
        if self.lowest_free or not qos:
            return 0
        self._mid = self._mid % 65_535 + 1
        return self._mid

    def _lowest(self) -> int:
        return next(mid for mid in range(1, 65_536) if mid not in self.inflight)


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
        """Answered at once."""
        self._broker.subscriptions.append((topics, qos))
        refused = topics if self._broker.refuses else self._broker.forbidden
        self._handler.subscribed(qos, {topic: "Not authorized" if topic in refused else "" for topic in topics})

    def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """Noted."""
        self._broker.subscriptions.append((topics, -1))
        self._handler.unsubscribed(topics)

    def poll(self, timeout_s: float, *, records: int, size: int) -> int:
        """Delivers what the window allows, `records` at most."""
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
        if records > 0 and size > 0:
            self._repeat()
            self._deliver(records)
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

    def _deliver(self, count: int) -> None:
        for mid, message in self._broker.send(count):
            if mid:
                self._handler.fresh(array("H", [mid]))
            self._append(mid, message)

    def _append(self, mid: int, message: _InFlight) -> None:
        self.columns.append(message.topic, message.payload, received=self._clock(), flags=message.qos, mid=mid)
