"""Whether the records in all-events are those that were published: each as often as its group's delivery promises.

Knows of the suite what the README says and imports nothing of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campaign.stream import EVENT, FLEETING, LEAST, NUMBERED, PLAIN, QOS, Kill, Published, Stream
from campaign.verdict import BROKERS_OWN, DOUBLED, LATE, LOST, NEVER_ACKED, REPEATED, WRONG, Verdict

Name = tuple[str, str, int]
"""Group, device, seq."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is allowed.

    Args:
        save_interval_s: of the broker: what it acknowledged since its last save is gone with a kill -9.
        margin_s: between what happens and what a client sees of it.
        ack_delay_s: from a message's arrival at the provider to its acknowledgement.
        size_ms: length of a window.
        slide_ms: between the ends of two windows.
        lateness_ms: allowed lateness of the suite, after the end of a record's last window.
        late_slack_ms: how much later than `received_at` a record may be judged: its batch arrives when it is journalled.
        clock_slack_ms: how far the suite's clocks may be from ours (clocks that jump).
        closed_until_ms: windows that end later are neither demanded nor compared.
    """

    save_interval_s: float = 5.0
    margin_s: float = 2.0
    ack_delay_s: float = 5.0
    size_ms: int = 45_000
    slide_ms: int = 15_000
    lateness_ms: int = 300_000
    late_slack_ms: int = 60_000
    clock_slack_ms: int = 5_000
    closed_until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A document of all-events as the other checks need it; `fields` are the names of its `numbers`."""

    doc_id: str
    group: str
    device: str
    event: str
    seq: int
    at_ms: int
    received_ms: int
    late: bool
    fields: tuple[str, ...]
    numbers: tuple[float, ...]
    values: tuple[float, int] = (0.0, 0)
    """`value` and `seq`, which a model's answer is made of."""


def milliseconds(text: str) -> int:
    """An ISO 8601 time as milliseconds since the epoch."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def judge(stream: Stream, events: Iterable[Mapping[str, Any]], rules: Rules, verdict: Verdict) -> list[Stored]:
    """Compares the documents with the stream; what is stored, for the checks of windows and results."""
    known = {(record.group, record.device, record.seq): record for record in stream.published}
    copies: dict[Name, list[Stored]] = defaultdict(list)
    stored = []
    names: dict[tuple[str, ...], tuple[str, ...]] = {}
    for event in events:
        row = _row(event, names, verdict)
        if row is None:
            continue
        stored.append(row)
        record = known.get((row.group, row.device, row.seq))
        if record is None:
            verdict.add(WRONG, "record", **_at(row), ids=(row.doc_id,), detail="was never published")
            continue
        verdict.stored[row.group] += 1
        copies[row.group, row.device, row.seq].append(row)
        for problem in _differences(event, row, record, rules):
            verdict.add(WRONG, "record", **_at(row), ids=(row.doc_id,), detail=problem)
        if row.late:
            detail = f"{(row.received_ms - row.at_ms) / 1000:.1f} s old when it arrived"
            verdict.add(LATE, "record", **_at(row), ids=(row.doc_id,), detail=detail)
    broker = _Broker(stream, rules)
    for name, record in known.items():
        _count(record, copies.get(name, []), broker, verdict)
    return stored


def _at(row: Stored) -> dict[str, Any]:
    return {"group": row.group, "device": row.device, "seq": row.seq}


def _row(event: Mapping[str, Any], names: dict[tuple[str, ...], tuple[str, ...]], verdict: Verdict) -> Stored | None:
    """A document's row; None, and a finding, where it cannot be read."""
    try:
        data = event["data"]
        fields = tuple(name for name, value in data.items() if type(value) in (int, float))
        return Stored(
            doc_id=event["_id"],
            group=event["device_type"],
            device=event["device_id"],
            event=event["event"],
            seq=data["seq"],
            at_ms=milliseconds(event["@timestamp"]),
            received_ms=milliseconds(event["received_at"]),
            late=event.get("late") is True,
            fields=names.setdefault(fields, fields),
            numbers=tuple(float(data[name]) for name in fields),
            values=(data["value"], data["seq"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        detail = f"cannot be read: {type(error).__name__} {error}"
        verdict.add(WRONG, "record", group=str(event.get("device_type")), ids=(event["_id"],), detail=detail)
        return None


def _differences(event: Mapping[str, Any], row: Stored, record: Published, rules: Rules) -> Iterator[str]:
    """What is not as published, a sentence each."""
    right = {"data": record.values, "event": EVENT, "topic": record.topic, "record_id": row.doc_id}
    for name, value in right.items():
        if event.get(name) != value:
            yield f"{name} is {event.get(name)!r}, published {value!r}"
    if row.at_ms != record.time_ms:
        yield f"@timestamp is {event['@timestamp']}, published {record.time_ms}"
    if not isinstance(event.get("batch_id"), str) or not event["batch_id"]:
        yield f"batch_id is {event.get('batch_id')!r}"
    if row.received_ms < record.handed_at * 1000 - rules.clock_slack_ms:
        yield f"received_at {event['received_at']} is before it was published at {record.handed_at:.3f}"
    age = row.received_ms - row.at_ms
    slack = rules.late_slack_ms + rules.clock_slack_ms
    if row.late and age < rules.lateness_ms - slack:
        yield f"marked late, but only {age / 1000:.1f} s old when it arrived"
    if not row.late and age > rules.lateness_ms + rules.size_ms + rules.clock_slack_ms:
        yield f"not marked late, but {age / 1000:.1f} s old when it arrived"


def _count(record: Published, copies: list[Stored], broker: _Broker, verdict: Verdict) -> None:
    """Judges how often a record is there."""
    verdict.published[record.group] += 1
    verdict.acked[record.group] += record.done_at is not None
    facts: dict[str, Any] = {
        "group": record.group,
        "device": record.device,
        "seq": record.seq,
        "ids": tuple(row.doc_id for row in copies),
    }
    times = f"handed over at {record.handed_at:.3f}, acked at {record.done_at and round(record.done_at, 3)}"
    if record.done_at is None and QOS[record.group]:
        verdict.add(NEVER_ACKED, "record", **facts, detail=f"{times}, stored {len(copies)} times")
    if not copies:
        verdict.unseen[record.group] += record.group == FLEETING or record.done_at is None
        kind = _missing(record, broker)
        if kind:
            verdict.add(kind, "record", **facts, detail=f"{times}, stored never")
    elif len(copies) > 1:
        detail = f"{times}, stored {len(copies)} times"
        verdict.add(_many(record, copies, broker), "record", **facts, detail=detail)


def _missing(record: Published, broker: _Broker) -> str:
    """What it is when a record is not there; empty where that may be."""
    if record.done_at is None or record.group == FLEETING:
        return ""
    return BROKERS_OWN if record.group != NUMBERED and broker.forgot_taking(record) else LOST


def _many(record: Published, copies: list[Stored], broker: _Broker) -> str:
    """What it is when a record is there more than once."""
    if record.group == LEAST and record.interrupted:
        return REPEATED
    if record.group in (PLAIN, LEAST):
        forgotten = broker.forgot_taking(record) + broker.forgot_giving(copies)
        if len(copies) <= 1 + forgotten:
            return BROKERS_OWN
    return DOUBLED


class _Broker:
    """What a broker that was killed may have forgotten: what it did since its last save, to either side."""

    def __init__(self, stream: Stream, rules: Rules) -> None:
        self._stream = stream
        self._rules = rules

    def forgot_taking(self, record: Published) -> int:
        """Kills that a publish was under way at, or was complete so shortly before that it was not saved."""
        return sum(
            record.started_at <= self._noticed(record.group, kill) and (record.done_at is None or record.done_at >= self._saved(kill))
            for kill in self._stream.kills
        )

    def forgot_giving(self, copies: list[Stored]) -> int:
        """Kills with a copy given shortly before, whose acknowledgement was not saved, and another one after."""
        rules, count = self._rules, 0
        slack = rules.margin_s + rules.clock_slack_ms / 1000
        received = sorted(row.received_ms / 1000 for row in copies)
        for kill in self._stream.kills:
            since = self._saved(kill) - rules.ack_delay_s - slack
            given = any(since <= moment <= kill.at_s + slack for moment in received[:-1])
            count += given and received[-1] >= kill.at_s - slack
        return count

    def _saved(self, kill: Kill) -> float:
        stood = kill.at_s if kill.frozen_since_s is None else min(kill.at_s, kill.frozen_since_s)
        return stood - self._rules.save_interval_s - self._rules.margin_s

    def _noticed(self, group: str, kill: Kill) -> float:
        """Until when the group may have sent something to the broker that was killed."""
        for outage in self._stream.outages.get(group, ()):
            if outage.back_s is None or outage.back_s > kill.at_s:
                return max(kill.at_s, outage.lost_s) + self._rules.margin_s
        return kill.at_s + self._rules.margin_s
