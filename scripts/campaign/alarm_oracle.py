"""Whether `silent` and `resumed` take turns for each device, and each names a moment at which the device did send."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campaign.record_oracle import Stored, milliseconds
from campaign.verdict import DOUBLED, WRONG, Verdict

KINDS = ("silent", "resumed")


@dataclass(frozen=True, slots=True, order=True)
class _Alarm:
    """In the order in which they were raised."""

    window_end: int
    last_seen: int
    kind: str
    doc_id: str


def judge(stored: Sequence[Stored], alarms: Iterable[Mapping[str, Any]], verdict: Verdict) -> None:
    """Compares the alarms of each device with one another and with its records."""
    sent: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in stored:
        sent[row.group, row.device].add(row.at_ms)
    raised: dict[tuple[str, str], list[_Alarm]] = defaultdict(list)
    for document in alarms:
        try:
            alarm = _alarm(document)
        except (KeyError, TypeError, ValueError) as error:
            detail = f"cannot be read: {type(error).__name__} {error}"
            verdict.add(WRONG, "alarm", ids=(document["_id"],), detail=detail)
            continue
        verdict.alarms[alarm.kind] += 1
        raised[document["device_type"], document["device_id"]].append(alarm)
    for key, mine in sorted(raised.items()):
        _judge_device(key, sorted(mine), sent[key], verdict)


def _alarm(document: Mapping[str, Any]) -> _Alarm:
    kind = document["alarm"]
    if kind not in KINDS:
        raise ValueError(f"alarm is {kind!r}")
    moments = milliseconds(document["window_end"]), milliseconds(document["last_seen"])
    return _Alarm(*moments, kind, document["_id"])


def _judge_device(key: tuple[str, str], alarms: Sequence[_Alarm], sent: set[int], verdict: Verdict) -> None:
    before = None
    for alarm in alarms:
        facts: dict[str, Any] = {"group": key[0], "device": key[1], "ids": (alarm.doc_id,)}
        if before is None and alarm.kind == "resumed":
            verdict.add(WRONG, "alarm", **facts, detail=f"resumed at {alarm.window_end} without silent before")
        if before is not None and before.kind == alarm.kind:
            facts["ids"] = (before.doc_id, alarm.doc_id)
            verdict.add(DOUBLED, "alarm", **facts, detail=f"{alarm.kind} at {alarm.window_end} follows another one")
        if alarm.last_seen not in sent:
            detail = f"{alarm.kind} at {alarm.window_end} was last seen at {alarm.last_seen}, when nothing was sent"
            verdict.add(WRONG, "alarm", **facts, detail=detail)
        before = alarm
