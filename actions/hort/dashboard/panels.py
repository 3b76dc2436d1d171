"""From Elasticsearch's answers to what the page shows: small, flat, the same shape whether there is data or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from hort import anomaly, urls
from hort.dashboard.queries import WORRIES
from hort.dashboard.view import STATS, View

Answer = dict[str, Any]
Panel = dict[str, Any]

MAX_FIELDS = 200
MAX_FINDINGS = 8
MAX_DETAIL = 300
MAX_TEXT = 200


def streams(types: Answer, windows: Answer) -> list[Panel]:
    """Device types with their events, device counts and numeric fields; the busiest first."""
    fields = {row["device_type"]: list(row["fields"]) for row in type_windows(windows)}
    return [
        {
            "type": bucket["key"],
            "events": [event["key"] for event in bucket["events"]["buckets"]],
            "devices": bucket["devices"]["value"],
            "fields": fields.get(bucket["key"], [])[:MAX_FIELDS],
        }
        for bucket in _buckets(types, "types")
    ]


def type_windows(answer: Answer) -> list[Panel]:
    """The last closed window of each device type, each field with its statistics."""
    rows: dict[str, Panel] = {}
    for source in _sources(answer):
        rows.setdefault(str(source.get("devicetype")), window(source))
    return list(rows.values())


def window(source: Answer) -> Panel:
    """One analytics document, by field instead of by statistic."""
    by_stat = {stat: _flat(source.get("properties", {}).get(stat)) for stat in STATS}
    counts = _flat(source.get("n"))
    fields = {
        name: {"n": counts.get(name), **{stat: by_stat[stat].get(name) for stat in STATS}}
        for name in by_stat["avg"]
    }
    return {
        "level": source.get("level"),
        "device_type": source.get("devicetype"),
        "id": source.get("id"),
        "event": source.get("event"),
        "end": source.get("window_end"),
        "count": source.get("count"),
        "fields": fields,
    }


def chosen(view: View, found: list[Panel]) -> View:
    """The view with type and event filled in where it leaves them open: the busiest type, its first event."""
    known = {stream["type"]: stream for stream in found}
    device_type = view.device_type or next(iter(known), "")
    stream = known.get(device_type, {"events": []})
    return replace(view, device_type=device_type, event=view.event or next(iter(stream["events"]), ""))


def liveliest(fields: dict[str, Panel], answer: Answer) -> str:
    """The field that varies most within the devices' windows, by the answer to `queries.activity` in the fields' order.

    What counts is the deviation against both the field's range and its average, so that neither a time stamp, nor what is
    different for each device but never changes, nor a number that is nearly always zero wins.
    """
    deviations = answer.get("aggregations", {})
    scores = {
        name: _variation(stats, deviations.get(str(position), {}).get("value") or 0.0)
        for position, (name, stats) in enumerate(fields.items())
    }
    return max(scores, key=lambda name: scores[name], default="")


def _variation(stats: Panel, deviation: float) -> float:
    low, high, average = (float(stats[stat] or 0.0) for stat in ("min", "max", "avg"))
    return min(deviation / ((high - low) or 1.0), deviation / max(abs(average), 1.0))


def lines(answer: Answer) -> Panel:
    """Values over time in columns: `times` (s) and for each device `values` with None where it has no window."""
    buckets = answer.get("aggregations", {}).get("lines", {}).get("devices", {}).get("buckets", [])
    times = sorted({point["key"] for bucket in buckets for point in bucket["points"]["buckets"]})
    devices = []
    for bucket in buckets:
        values = {point["key"]: point["value"]["value"] for point in bucket["points"]["buckets"]}
        last = next(_sources(bucket["last"]), {})
        devices.append(
            {"id": bucket["key"], "values": [values.get(time) for time in times], "last": window(last)}
        )
    return {
        "times": [time // 1000 for time in times],
        "devices": devices,
        "ids": [bucket["key"] for bucket in _buckets(answer, "ids")],
        "known": answer.get("aggregations", {}).get("known", {}).get("value", 0),
    }


def labels(answer: Answer) -> dict[str, Panel]:
    """Device id -> {name, at, data} of its last record; `name` where the data has a text of that name."""
    result = {}
    for source in _sources(answer):
        data = _flat(source.get("data"))
        name = data.get("name")
        shown = {key: _short(value) for key, value in list(data.items())[:MAX_FIELDS]}
        result[str(source.get("device_id"))] = {
            "name": _short(name) if isinstance(name, str) else "",
            "at": source.get("@timestamp"),
            "data": shown,
        }
    return result


def rate(answer: Answer, *, step_s: int) -> Panel:
    """Stored records a second over time; the last, unfinished interval is left out."""
    buckets = _buckets(answer, "rate")[:-1]
    return {
        "times": [bucket["key"] // 1000 for bucket in buckets],
        "values": [bucket["doc_count"] / step_s for bucket in buckets],
    }


def models(answer: Answer) -> dict[str, Panel]:
    """Model -> results by status and latency (ms) of the last minutes."""
    return {
        bucket["key"]: {
            "statuses": {status["key"]: status["doc_count"] for status in bucket["statuses"]["buckets"]},
            "p50_ms": bucket["latency"]["values"].get("50.0"),
            "p95_ms": bucket["latency"]["values"].get("95.0"),
        }
        for bucket in _buckets(answer, "models")
    }


def anomalies(answer: Answer) -> Panel:
    """The latest results that a model called dangerous, how many there are, and the devices with most of them."""
    rows = [
        {
            "at": source.get("@timestamp"),
            "device_type": source.get("device_type"),
            "id": source.get("device_id"),
            "event": source.get("event"),
            "model": source.get("model"),
            "findings": findings(source.get("result")),
        }
        for source in _sources(answer)
    ]
    devices = [
        {
            "id": bucket["key"],
            "device_type": next((kind["key"] for kind in bucket["type"]["buckets"]), ""),
            "count": bucket["doc_count"],
        }
        for bucket in _buckets(answer, "devices")
    ]
    return {"total": _total(answer), "rows": rows, "devices": devices}


def findings(result: Any) -> list[Panel]:
    """What a model's answer calls dangerous, as {field, state, value, avg}.

    The example model says it three times (as a whole, by field, and under the original's key); other models say it in their
    own words. Each field is named once, and the whole only where no field is.
    """
    leaves = dict(_leaves(result))
    found: dict[str, Panel] = {}
    for name, state in leaves.items():
        if state not in WORRIES:
            continue
        parent = name.removesuffix(".status")
        field = parent.removeprefix("fields.").removeprefix(anomaly.KEY)
        facts = {fact: leaves.get(f"{parent}.{fact}") for fact in ("value", "avg", "std")}
        found.setdefault(field, {"field": field, "state": state, **facts})
    if len(found) > 1:
        found.pop("status", None)
    return list(found.values())[:MAX_FINDINGS]


def alarms(answer: Answer) -> list[Panel]:
    """The latest alarms, whatever words their writer used for kind and device."""
    return [
        {
            "at": source.get("@timestamp"),
            "kind": source.get("alarm") or source.get("kind") or source.get("state") or source.get("type"),
            "device_type": source.get("device_type") or source.get("devicetype"),
            "id": source.get("device_id") or source.get("id"),
            "event": source.get("event"),
            "detail": _short(source.get("detail") or source.get("reason") or ""),
        }
        for source in _sources(answer)
    ]


def dead_letters(answer: Answer) -> Panel:
    """Dead letters of the last day by reason, and the latest ones without their payload."""
    reasons = [
        {
            "reason": bucket["key"],
            "stages": [stage["key"] for stage in bucket["stages"]["buckets"]],
            "count": bucket["doc_count"],
        }
        for bucket in _buckets(answer, "reasons")
    ]
    rows = [
        {
            "at": source.get("@timestamp"),
            "stage": source.get("stage"),
            "reason": source.get("reason"),
            "detail": urls.without_addresses(str(source.get("detail") or "")[:MAX_DETAIL]),
            "topic": _short(source.get("topic") or ""),
            "bytes": source.get("payload_bytes"),
        }
        for source in _sources(answer)
    ]
    return {"total": _total(answer), "reasons": reasons, "rows": rows}


def seconds(iso: object) -> float | None:
    """POSIX seconds of an ISO time, None where it is none."""
    try:
        return datetime.fromisoformat(str(iso)).timestamp()
    except ValueError:
        return None


def _buckets(answer: Answer, name: str) -> list[Answer]:
    return list(answer.get("aggregations", {}).get(name, {}).get("buckets", []))


def _sources(answer: Answer) -> Iterator[Answer]:
    for hit in answer.get("hits", {}).get("hits", []):
        yield hit.get("_source", {})


def _total(answer: Answer) -> int:
    return int(answer.get("hits", {}).get("total", {}).get("value", 0))


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """An object's leaves by dotted name."""
    return dict(_leaves(value, prefix)) if isinstance(value, dict) else {}


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, prefix)
    else:
        yield prefix, value


def _short(value: Any) -> Any:
    return value[:MAX_TEXT] + "…" if isinstance(value, str) and len(value) > MAX_TEXT else value
