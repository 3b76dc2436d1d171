"""The way to the broker: dialled again when it is lost, subscribed to what is wanted, asked again where that was refused."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

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
_SHOWN_TOPIC = 256
_UNSURE = -1
"""In the place of a filter's QoS: asked for, refused or perhaps forgotten, so that the session may have it; never the one that is wanted."""


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
        self._session: dict[str, int] | None = None
        self._unsaved = False
        self._settling: dict[str, int] = {}
        self._doubted: set[str] = set()
        self._subscribe_at = 0
        self._subscribe_backoff = Backoff(SUBSCRIBE_RETRY_MS)

    @property
    def active(self) -> bool:
        """Whether there is a connection, or one is being made."""
        return self.up or bool(self._dialling_since)

    @property
    def complete(self) -> bool:
        """Whether the broker's session has every topic of the configuration, over the connection that there is."""
        if not self.up:  # first: by the time a new connection is up, what an earlier session had is forgotten
            return False
        session, config = self._session or {}, self._config
        return all(session.get(topic) == config.qos for topic in config.topics)

    @property
    def problem(self) -> str:
        """What is wrong with the connection or the subscription, in words."""
        return self._trouble or self.refused

    @property
    def untidy(self) -> bool:
        """Whether what the session is subscribed to is not yet remembered."""
        return self._unsaved

    def knows_session(self) -> bool:
        """Whether the session that is remembered is this one, perhaps by another way; RedisError where that cannot be read."""
        return self._subscriptions.load().startswith(self._name())

    def begin_session(self) -> None:
        """Notes whose session it is, before anything of it is journalled; RedisError where that fails."""
        self._subscriptions.save(self._name() + json.dumps([self._config.url, {}]))

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
            self._subscribe()
        return True

    def update(self, config: FeedConfig) -> None:
        """Takes over topics and QoS on the live connection."""
        changed = (config.topics, config.qos) != (self._config.topics, self._config.qos)
        self._config = config
        if changed and self.up:
            self._subscribe_backoff.reset()
            self._subscribe()

    def remember(self) -> None:
        """Saves what the session is subscribed to; RedisError where Redis is away."""
        if self._unsaved:
            self._subscriptions.save(self._name() + json.dumps([self._config.url, self._session]))
            self._unsaved = False

    def close(self) -> None:
        """Says goodbye; the broker keeps the session."""
        self.up, self._dialling_since = False, 0
        self.connection.close()

    # -- what the connection tells ------------------------------------------------------------------------------

    def accepted(self, *, session_present: bool) -> None:
        """See the Handler port."""
        if not session_present:
            self._session, self._settling, self._doubted = {}, {}, set()
        self.up, self._dialling_since, self._trouble = True, 0, ""
        self.generation += 1
        self._dial_backoff.reset()
        self._acks.connected(session_present=session_present)
        self._meters.reconnects.labels(self._stream.trigger, "resumed" if session_present else "new").inc()
        log("mqtt-connected", trigger=self._stream.trigger, session_present=session_present)
        self._subscribe()

    def lost(self, reason: str) -> None:
        """See the Handler port."""
        if not self.active:
            return
        self._meters.lost.labels(self._stream.trigger, "broken" if self.up else "not-made").inc()
        self.up, self._dialling_since, self._trouble = False, 0, reason
        self._subscribe_at = 0
        self._doubt()
        self._acks.lost()
        self.dial_at = self._steady() + self._dial_backoff.next_ms()
        log("mqtt-lost", error=reason, trigger=self._stream.trigger)

    def repeated(self, mid: int, qos: int, topic: bytes, payload: bytes) -> bool:
        """See the Handler port."""
        return self._acks.repeated(mid, qos, topic, payload)

    def cut(self, topic: bytes, size: int) -> None:
        """See the Handler port."""
        self._meters.cut.labels(self._stream.trigger, "oversized").inc()
        name = topic[:_SHOWN_TOPIC].decode("utf-8", "backslashreplace")
        log("message-cut", error="longer than any feed takes: ingest will bury it", trigger=self._stream.trigger, topic=name, bytes=size)

    def fresh(self, mids: array[int]) -> None:
        """See the Handler port."""
        self._acks.fresh(mids)

    def subscribed(self, qos: int, answers: Mapping[str, str]) -> None:
        """See the Handler port."""
        granted = [topic for topic, reason in answers.items() if not reason]
        self._settle(dict.fromkeys(granted, qos))
        refused = [f"{topic}: {reason}" for topic, reason in answers.items() if reason and topic in self._config.topics]
        if refused:
            self._refuse(refused)
            return
        self.refused, self._subscribe_at = "", 0
        self._subscribe_backoff.reset()

    def unsubscribed(self, topics: Sequence[str]) -> None:
        """See the Handler port."""
        self._settle(dict.fromkeys(topics, _UNSURE))
        if self._session:
            self._session = {topic: qos for topic, qos in self._session.items() if topic in self._config.topics or topic not in topics}

    def _refuse(self, reasons: Sequence[str]) -> None:
        wait = self._subscribe_backoff.next_ms()
        self._subscribe_at = self._steady() + wait
        self.refused = f"subscription refused: {', '.join(reasons)}"
        self._meters.errors.labels(self._stream.trigger, "subscription").inc()
        log("mqtt-refused", error=self.refused, trigger=self._stream.trigger, retry_in_ms=wait)

    # -- subscriptions ------------------------------------------------------------------------------------------

    def _name(self) -> str:
        return json.dumps([self._config.host, self._stream.client_id]) + "\n"

    def _subscribe(self) -> None:
        """Asks only for what the session does not surely have: with each SUBSCRIBE the broker sends what is retained under its filters."""
        topics, qos = self._config.topics, self._config.qos
        self._subscribe_at = 0
        if self._session is None:
            self._session = self._remembered()
        gone = tuple(topic for topic in self._session if topic not in topics)
        missing = tuple(topic for topic in topics if self._session.get(topic) != qos)
        self._session.update(dict.fromkeys((*gone, *missing), _UNSURE))
        if gone:
            self.connection.unsubscribe(gone)
        if missing:
            self.connection.subscribe(missing, qos)
        else:
            self.refused = ""

    def _settle(self, changes: Mapping[str, int]) -> None:
        """The broker confirmed changes of the session, and may forget them if it is killed soon."""
        now = self._steady()
        self._session = {**(self._session or {}), **changes}
        # What is made again has no new time: each of many short connections would bring what is retained once more.
        new = dict.fromkeys(changes.keys() - self._doubted, now + SETTLE_MS)
        self._settling = {**{topic: until for topic, until in self._settling.items() if now < until}, **new}
        self._doubted -= changes.keys()
        self._unsaved = True

    def _doubt(self) -> None:
        """The connection is lost, perhaps because the broker was killed: what has changed lately is made again."""
        now = self._steady()
        lately = [topic for topic, until in self._settling.items() if now < until]
        self._doubted.update(lately)
        if self._session is not None:
            self._session.update(dict.fromkeys(lately, _UNSURE))
            self._unsaved = self._unsaved or _UNSURE in self._session.values()

    def _remembered(self) -> dict[str, int]:
        """The session's filters and their QoS, as far as is known; by another URL it may be another broker on the same host."""
        try:
            name, _, saved = self._subscriptions.load().partition("\n")
            url, session = json.loads(saved) if f"{name}\n" == self._name() else (self._config.url, {})
            return dict(session) if url == self._config.url else dict.fromkeys(session, _UNSURE)
        except (redis.RedisError, ValueError, TypeError) as error:
            self._meters.errors.labels(self._stream.trigger, "subscriptions").inc()
            log("subscriptions-unreadable", error=type(error).__name__, trigger=self._stream.trigger)
            return {}
