"""Documents that a suite without a fault would have stored of a published stream, and streams to begin with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from campaign.oracle import Documents, Model, Rules, Verdict, judge
from campaign.stream import QOS, Published, Stream, draw, prediction
from tests.support.exact import statistics

START_MS = 1_700_000_000_000
MODELS = (Model(name="m1", since_ms=0),)
Document = dict[str, Any]


def iso(moment: int) -> str:
    """ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def published(group: str, device: str, seq: int, *, at_s: float, late_s: float = 0, **facts: Any) -> Published:
    """A record handed over `at_s` seconds after the start and acknowledged at once."""
    drawn = draw(1, group, device, seq)
    handed = START_MS / 1000 + at_s
    given = {"handed_at": handed, "started_at": handed, "done_at": handed + 0.01} | facts
    time_ms = START_MS + round((at_s - late_s) * 1000)
    return Published(
        group=group, device=device, seq=seq, time_ms=time_ms, value=drawn.value, level=drawn.level, **given
    )


def steady(*, seconds: int = 24, devices: int = 2) -> list[Published]:
    """A record each second of each device of each group."""
    return [
        published(group, f"{group[0]}{device}", second, at_s=second + device / 10)
        for group in QOS
        for device in range(devices)
        for second in range(seconds)
    ]


@dataclass
class Perfect:
    """The documents; a test spoils some of them and asks for the verdict."""

    stream: Stream
    events: list[Document] = field(default_factory=list)
    analytics: list[Document] = field(default_factory=list)
    results: list[Document] = field(default_factory=list)
    dead: list[Document] = field(default_factory=list)
    alarms: list[Document] = field(default_factory=list)

    @classmethod
    def of(cls, records: Sequence[Published], **facts: Any) -> Perfect:
        """What is stored of these records."""
        events = [event_of(record) for record in records]
        return cls(
            Stream(seed=1, published=records, **facts),
            events=events,
            analytics=windows_of(events),
            results=[result_of(event) for event in events],
        )

    def verdict(self, rules: Rules | None = None) -> Verdict:
        """What the oracle says; every window is due."""
        documents = Documents(
            events=self.events,
            analytics=self.analytics,
            results=self.results,
            dead=self.dead,
            alarms=self.alarms,
        )
        return judge(self.stream, documents, rules or Rules(closed_until_ms=START_MS + 10**9), models=MODELS)


def event_of(record: Published, *, copy: int = 0, received_s: float | None = None) -> Document:
    """The record's document in all-events."""
    doc_id = f"{record.group}.{record.device}.{record.seq}.{copy}"
    received = record.handed_at + 0.02 if received_s is None else received_s
    event = {
        "_id": doc_id,
        "record_id": doc_id,
        "batch_id": "b1",
        "device_type": record.group,
        "device_id": record.device,
        "event": "status",
        "topic": f"iot-2/type/{record.group}/id/{record.device}/evt/status/fmt/json",
        "@timestamp": iso(record.time_ms),
        "received_at": iso(round(received * 1000)),
        "data": dict(record.values),
    }
    late = received * 1000 - record.time_ms > 345_000
    return {**event, "late": True} if late else event


def result_of(event: Document, model: str = "m1") -> Document:
    """The model's result for a record."""
    names = ("record_id", "device_type", "device_id", "event", "@timestamp")
    return {
        "_id": f"{event['_id']}/{model}",
        **{name: event[name] for name in names},
        "model": model,
        "status": "ok",
        "result": prediction(event["data"]),
    }


def windows_of(events: Sequence[Document]) -> list[Document]:
    """Analytics by exact sums, by another way than the oracle's."""
    held: dict[tuple[str, str, str, int], list[Document]] = defaultdict(list)
    for event in events:
        moment = round(datetime.fromisoformat(event["@timestamp"]).timestamp() * 1000)
        for end in range(moment - moment % 15_000 + 15_000, moment + 45_001, 15_000):
            if not event.get("late"):
                held["device", event["device_type"], event["device_id"], end].append(event["data"])
                held["device_type", event["device_type"], "", end].append(event["data"])
    return [_window(key, rows) for key, rows in held.items()]


def _window(key: tuple[str, str, str, int], rows: list[Document]) -> Document:
    level, group, device, end = key
    columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
    stats = {name: _statistics(values) for name, values in columns.items()}
    return {
        "_id": f"{level}/{group}/{device}/{end}",
        "level": level,
        "devicetype": group,
        "id": device or None,
        "event": "status" if device else None,
        "window_start": iso(end - 45_000),
        "window_end": iso(end),
        "revision": 0,
        "count": len(rows),
        "n": {name: len(values) for name, values in columns.items()},
        "properties": {
            what: {name: one[what] for name, one in stats.items()}
            for what in ("min", "max", "sum", "avg", "ssd", "std")
        },
    }


def _statistics(values: list[float]) -> dict[str, float]:
    exact = statistics(values)
    return {
        "min": min(values),
        "max": max(values),
        "sum": float(exact.sum),
        "avg": float(exact.mean),
        "ssd": float(exact.ssd),
        "std": math.sqrt(exact.ssd / exact.n),
    }
