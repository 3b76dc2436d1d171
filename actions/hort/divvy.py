"""The demo source: a poll of a GBFS source that publishes each station's status to MQTT, each document once.

What was published is remembered in Redis after the broker has acknowledged it, and not before: a poll that fails half-way
is taken up by the next one where it stopped. A lock with a time to live keeps two polls from running at once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from hort import config, gbfs
from hort.counters import Counters
from hort.divvy_state import Memory, PollState
from hort.errors import ConfigError, HortError, PublishFailed
from hort.publisher import Outgoing, Publisher

Result = dict[str, Any]

TOPIC = "iot-2/type/{device_type}/id/{station}/evt/{event}/fmt/json"
KEPT_DOCUMENTS = 32
"""Documents remembered as published: a cache in front of a source may serve an old one again."""
LOCK_SPARE_S = 10.0
MIN_WAIT_S = 0.5
PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "/+#%")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a poll does; times in seconds."""

    device_type: str = "divvy"
    event: str = "status"
    stations: tuple[str, ...] = ()
    """Only these; empty means all."""
    changed_only: bool = False
    qos: int = 1
    timeout_s: float = 20.0
    follow_s: float = 0.0
    """Goes on polling as the source's ttl says for so long, within one activation."""

    @classmethod
    def of(cls, params: config.Params) -> Settings:
        """The settings of an action's parameters; ConfigError names the one that cannot be used."""
        return cls(
            device_type=_topic_part(params, "device_type", "divvy"),
            event=_topic_part(params, "event", "status"),
            stations=config.strings(params, "stations"),
            changed_only=config.boolean(params, "changed_only", default=False),
            qos=config.integer(params, "qos", default=1, maximum=2),
            timeout_s=config.number(params, "publish_timeout_s", default=20.0, minimum=0.1, maximum=50),
            follow_s=config.number(params, "follow_s", default=0.0, maximum=50),
        )


def _topic_part(params: config.Params, name: str, default: str) -> str:
    value = config.text(params, name, default=default)
    if any(sign in value for sign in "/+#\0"):
        raise ConfigError(name, value, "must be one level of a topic: no / + # in it")
    return value


class Source(Protocol):
    """What brings the station status: `hort.gbfs.Client`."""

    def status(self) -> gbfs.Status | None:
        """The newest document, or None while the last one is fresh."""

    @property
    def next_poll_ms(self) -> int:
        """When the source has something new by its own account."""


@dataclass(slots=True)
class Poller:
    """The poll with everything it touches outside."""

    source: Source
    publisher: Publisher
    state: PollState
    counters: Counters
    settings: Settings
    now: Callable[[], int]
    wait: Callable[[float], object] = time.sleep
    _counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> Result:
        """Polls once, or for `follow_s`; the answer counts what was published and says why where nothing was.

        Raises:
            PublishFailed: acknowledgements are missing; the next poll publishes the rest.
        """
        self._counts = Counter()
        seconds = self.settings.timeout_s + self.settings.follow_s + LOCK_SPARE_S
        token = self.state.lock(round(seconds * 1000))
        if token is None:
            self.counters.add({"divvy.busy": 1})
            return {"published": 0, "reason": "another poll is running"}
        try:
            return self._follow()
        finally:
            self.state.unlock(token)
            self.counters.add({f"divvy.{name}": count for name, count in self._counts.items()})

    def _follow(self) -> Result:
        end = self.now() + round(self.settings.follow_s * 1000)
        result = self._poll()
        while True:
            due = max(self.source.next_poll_ms, self.now() + round(MIN_WAIT_S * 1000))
            if due > end:
                return {**result, "published": self._counts["published"], "polls": self._counts["polls"]}
            self.wait((due - self.now()) / 1000)
            result = self._poll()

    def _poll(self) -> Result:
        self._counts["polls"] += 1
        try:
            status = self.source.status()
        except HortError as error:
            self._counts[f"poll-failed.{error.code}"] += 1
            return {"reason": str(error)}
        if status is None:
            self._counts["unchanged"] += 1
            return {"reason": "the last document is still fresh"}
        memory = self.state.load()
        if status.identity in memory.seen:
            self._counts["unchanged"] += 1
            return {"document": status.last_updated, "reason": "published before"}
        return self._publish(status, memory)

    def _publish(self, status: gbfs.Status, memory: Memory) -> Result:
        done = set(memory.partial) if memory.partial_of == status.identity else set()
        chosen = [
            record
            for record in status.stations
            if self._wanted(record, memory) and record["station_id"] not in done
        ]
        try:
            acked = self._acknowledged(chosen)
        except PublishFailed as error:
            self._counts[f"poll-failed.{error.code}"] += 1
            raise
        self._counts["published"] += len(acked)
        self._counts["malformed"] += status.malformed if len(acked) == len(chosen) else 0
        digests = {**memory.digests, **{record["station_id"]: _digest(record) for record in acked}}
        if len(acked) < len(chosen):
            self._counts[f"poll-failed.{PublishFailed.code}"] += 1
            partial = sorted(done | {record["station_id"] for record in acked})
            self.state.save(Memory(memory.seen, status.identity, partial, digests))
            missing = len(chosen) - len(acked)
            raise PublishFailed(
                f"{missing} of {len(chosen)} messages have no acknowledgement, the next poll publishes them"
            )
        present = {record["station_id"] for record in status.stations}
        kept = {station: digest for station, digest in digests.items() if station in present}
        self.state.save(Memory([*memory.seen, status.identity][-KEPT_DOCUMENTS:], digests=kept))
        problems = {"problems": status.problems} if status.problems else {}
        return {"document": status.last_updated, "stations": len(status.stations), **problems}

    def _wanted(self, record: gbfs.Record, memory: Memory) -> bool:
        station = record["station_id"]
        if self.settings.stations and station not in self.settings.stations:
            return False
        return not self.settings.changed_only or memory.digests.get(station) != _digest(record)

    def _acknowledged(self, records: list[gbfs.Record]) -> list[gbfs.Record]:
        if not records:
            return []
        messages = [self._message(record) for record in records]
        flags = self.publisher.publish(messages, qos=self.settings.qos, timeout_s=self.settings.timeout_s)
        return [record for record, flag in zip(records, flags, strict=True) if flag]

    def _message(self, record: gbfs.Record) -> Outgoing:
        station = quote(record["station_id"], safe=PRINTABLE)
        topic = TOPIC.format(
            device_type=self.settings.device_type, event=self.settings.event, station=station
        )
        return topic, json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _digest(record: gbfs.Record) -> str:
    """What a station says, without the time at which it said it."""
    said = {name: value for name, value in record.items() if name != "last_reported"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
