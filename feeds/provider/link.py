"""The way to the broker: dialled again when it is lost, subscribed to what is wanted, asked again where that was refused."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from feeds.provider.acks import Acks
from feeds.provider.connection import Connect, Connection
from feeds.provider.log import log
from feeds.provider.meters import Meters
from feeds.provider.pace import Backoff
from hort.feed_options import FeedConfig

CONNECT_RETRY_MS = (500, 5_000)
CONNACK_TIMEOUT_MS = 15_000
SUBSCRIBE_RETRY_MS = (5_000, 300_000)
SETTLE_MS = 10_000
"""A broker that is killed comes back with subscriptions of a moment ago: a change is made again where a connection is lost so soon after it."""
_REFUSED_QOS = -1
"""In the place of the QoS: a subscription that was refused, perhaps only in part, is never the one that is wanted."""


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


class Link:
    """The connection of one registration, see `feeds.provider.connection.Handler`; `generation` numbers the connections.

    `clock` stamps messages; everything that waits goes by `steady`, and so does each `now`.
    """

    def __init__(
        self,
        stream: Stream,
        config: FeedConfig,
        *,
        subscriptions: Subscriptions,
        acks: Acks,
        connect: Connect,
        clock: Callable[[], int],
        steady: Callable[[], int],
        meters: Meters,
    ) -> None:
        self.connection: Connection = connect(config, stream.client_id, self, clock)
        self.up = False
        self.generation = 0
        self.dial_at = 0
        self.refused = ""
        self._trouble = "not yet connected"
        self._stream = stream
        self._config = config
        self._subscriptions = subscriptions
        self._acks = acks
        self._steady = steady
        self._meters = meters
        self._dialling_since = 0
        self._dial_backoff = Backoff(CONNECT_RETRY_MS)
        self._wanted: tuple[tuple[str, ...], int] | None = None
        self._had: list[str] = []
        self._gone: tuple[str, ...] = ()
        self._settled_at = 0
        self._subscribe_at = 0
        self._subscribe_backoff = Backoff(SUBSCRIBE_RETRY_MS)
        self._save = ""

    @property
    def active(self) -> bool:
        """Whether there is a connection, or one is being made."""
        return self.up or bool(self._dialling_since)

    @property
    def problem(self) -> str:
        """What is wrong with the connection or the subscription, in words."""
        return self._trouble or self.refused

    @property
    def untidy(self) -> bool:
        """Whether a confirmed subscription is not yet remembered."""
        return bool(self._save)

    def knows_session(self) -> bool:
        """Whether the session that is remembered is this one; RedisError where that cannot be read."""
        return self._subscriptions.load().startswith(self._name())

    def dial(self, now: int) -> None:
        """Begins to connect."""
        self._dialling_since = now
        try:
            self.connection.connect()
            self._acks.dialled()
        except (OSError, ValueError) as error:
            self.lost(f"cannot connect: {error}")

    def tend(self, now: int) -> bool:
        """Gives up on a broker that does not answer CONNECT, asks again where it refused a subscription; False: no connection."""
        if self._dialling_since and now - self._dialling_since > CONNACK_TIMEOUT_MS:
            self.connection.close()
            self.lost("the broker did not answer CONNECT")
            return False
        if self.up and self._subscribe_at and now >= self._subscribe_at:
            self._subscribe(session_present=True)
        return True

    def update(self, config: FeedConfig) -> None:
        """Takes over topics and QoS on the live connection."""
        changed = (config.topics, config.qos) != (self._config.topics, self._config.qos)
        self._config = config
        if changed and self.up:
            self._subscribe_backoff.reset()
            self._subscribe(session_present=True)

    def remember(self) -> None:
        """Saves what the broker confirmed; RedisError where Redis is away."""
        if self._save:
            self._subscriptions.save(self._save)
            self._save = ""

    def close(self) -> None:
        """Says goodbye; the broker keeps the session."""
        self.up, self._dialling_since = False, 0
        self.connection.close()

    # -- what the connection tells ------------------------------------------------------------------------------

    def accepted(self, *, session_present: bool) -> None:
        """See the Handler port."""
        self.up, self._dialling_since, self._trouble = True, 0, ""
        self.generation += 1
        self._dial_backoff.reset()
        self._acks.connected(session_present=session_present)
        self._meters.reconnects.labels(self._stream.trigger, "resumed" if session_present else "new").inc()
        log("mqtt-connected", trigger=self._stream.trigger, session_present=session_present)
        self._subscribe(session_present=session_present)

    def lost(self, reason: str) -> None:
        """See the Handler port."""
        if not self.active:
            return
        self._meters.lost.labels(self._stream.trigger, "broken" if self.up else "not-made").inc()
        self.up, self._dialling_since, self._trouble = False, 0, reason
        self._subscribe_at = 0
        self._acks.lost()
        self.dial_at = self._steady() + self._dial_backoff.next_ms()
        log("mqtt-lost", error=reason, trigger=self._stream.trigger)

    def repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        """See the Handler port."""
        return self._acks.repeated(mid, qos, topic, payload)

    def fresh(self, mids: array[int]) -> None:
        """See the Handler port."""
        self._acks.fresh(mids)

    def subscribed(self, failed: Sequence[str]) -> None:
        """See the Handler port."""
        if self._wanted is None:
            return
        topics, qos = self._wanted
        if failed:
            self._refuse(failed, topics)
            return
        self.refused, self._subscribe_at = "", 0
        self._subscribe_backoff.reset()
        self._save = self._name() + json.dumps([*topics, qos])

    def _refuse(self, reasons: Sequence[str], topics: Sequence[str]) -> None:
        wait = self._subscribe_backoff.next_ms()
        self._subscribe_at = self._steady() + wait
        self.refused = f"subscription refused: {', '.join(reasons)}"
        self._save = self._name() + json.dumps([*dict.fromkeys((*self._had, *topics)), _REFUSED_QOS])
        self._meters.errors.labels(self._stream.trigger, "subscription").inc()
        log("mqtt-refused", error=self.refused, trigger=self._stream.trigger, retry_in_ms=wait)

    # -- subscriptions ------------------------------------------------------------------------------------------

    def _name(self) -> str:
        return json.dumps([self._config.url, self._stream.client_id]) + "\n"

    def _subscribe(self, *, session_present: bool) -> None:
        topics, qos = self._config.topics, self._config.qos
        self._subscribe_at = 0
        if not session_present:
            self._save = ""
        *self._had, had_qos = self._remembered() if session_present else (None,)
        changed = (tuple(self._had), had_qos) != (topics, qos)
        if not session_present or self._steady() >= self._settled_at:
            self._gone = ()
            if not changed:
                self._wanted, self.refused = None, ""
                return
        self._gone = tuple(dict.fromkeys(topic for topic in (*self._gone, *self._had) if topic not in topics))
        if self._gone:
            self.connection.unsubscribe(self._gone)
        if changed and session_present:
            self._settled_at = self._steady() + SETTLE_MS
        self._wanted = (topics, qos)
        self.connection.subscribe(topics, qos)

    def _remembered(self) -> tuple[Any, ...]:
        """Topics and QoS that the session has, as far as is known: (None,) where nothing is."""
        try:
            name, _, saved = (self._save or self._subscriptions.load()).partition("\n")
            found = json.loads(saved) if f"{name}\n" == self._name() else None
        except (redis.RedisError, ValueError) as error:
            self._meters.errors.labels(self._stream.trigger, "subscriptions").inc()
            log("subscriptions-unreadable", error=type(error).__name__, trigger=self._stream.trigger)
            found = None
        return tuple(found) if found else (None,)
