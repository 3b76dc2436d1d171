"""The Elasticsearch searches behind the dashboard: few, bounded, without scripts."""

from __future__ import annotations

from typing import Any

from hort import anomaly, clock, documents
from hort.dashboard.view import DEFAULT_DEVICES, MAX_DEVICES, View

Body = dict[str, Any]
Search = tuple[str, Body]
"""Index (without prefix) and body."""

SEARCH_TIMEOUT = "3s"
MODELS_MINUTES = 5
DEAD_HOURS = 24
MAX_TYPES = 30
MAX_EVENTS = 10
MAX_IDS = 300
MAX_FIELDS = 40
ROWS = 12
TYPE_ROWS = 60
MAX_MODELS = 50
WORRIES = (anomaly.DANGER_HIGH, anomaly.DANGER_LOW)
"""Values anywhere in a model's answer that count as an anomaly."""
DEAD_FIELDS = ("@timestamp", "stage", "reason", "detail", "topic", "batch_id", "payload_bytes")
ANOMALY_FIELDS = ("@timestamp", "device_type", "device_id", "event", "model", "result")


def overview(view: View, *, now: int) -> dict[str, Search]:
    """What does not depend on the chosen stream, by panel."""
    return {
        "types": (documents.ANALYTICS, _types(view, now)),
        "type_windows": (documents.ANALYTICS, _type_windows(view, now)),
        "rate": (documents.ALL_EVENTS, _rate(view, now)),
        "models": (documents.MODEL_RESULTS, _models(now)),
        "anomalies": (documents.MODEL_RESULTS, _anomalies(view, now)),
        "alarms": (documents.ALARMS, _latest(now, hours=DEAD_HOURS)),
        "dead": (documents.DEAD_LETTERS, _dead(now)),
    }


def series(view: View, *, now: int) -> Search:
    """Lines of the chosen devices, or of those whose windows differ most; with each one's last window and the ids to choose from."""
    chosen: list[Body] = [{"terms": {"id": list(view.devices)}}] if view.devices else []
    lines: Body = {
        "terms": {
            "field": "id",
            "size": MAX_DEVICES if view.devices else DEFAULT_DEVICES,
            "order": {"change.std_deviation": "desc"},
            "collect_mode": "breadth_first",
        },
        "aggs": {
            "change": {"extended_stats": {"field": f"properties.avg.{view.field}"}},
            "points": {
                "date_histogram": {
                    "field": "window_end",
                    "fixed_interval": f"{view.step_s}s",
                    "min_doc_count": 1,
                },
                "aggs": {"value": {"avg": {"field": f"properties.{view.stat}.{view.field}"}}},
            },
            "last": {"top_hits": {"size": 1, "sort": [{"window_end": "desc"}]}},
        },
    }
    body = _body(
        [
            {"term": {"level": "device"}},
            *_stream(view, "devicetype"),
            _since("window_end", now, minutes=view.minutes),
        ]
    )
    body["aggs"] = {
        "lines": {"filter": {"bool": {"filter": chosen}}, "aggs": {"devices": lines}},
        "ids": {"terms": {"field": "id", "size": MAX_IDS, "order": {"_key": "asc"}}},
        "known": {"cardinality": {"field": "id"}},
    }
    return documents.ANALYTICS, body


def activity(view: View, fields: list[str], *, now: int) -> Search:
    """How much each field varies within a device's windows: the average of their standard deviations, by position."""
    body = _body(
        [
            {"term": {"level": "device"}},
            *_stream(view, "devicetype"),
            _since("window_end", now, minutes=view.minutes),
        ]
    )
    body["aggs"] = {
        str(position): {"avg": {"field": f"properties.std.{name}"}}
        for position, name in enumerate(fields[:MAX_FIELDS])
    }
    return documents.ANALYTICS, body


def latest_records(view: View, devices: list[str], *, now: int) -> Search:
    """The last record of each of some devices: what they are called and what they say."""
    body = _body(
        [
            *_stream(view, "device_type"),
            {"terms": {"device_id": devices}},
            _since("@timestamp", now, minutes=view.minutes),
        ]
    )
    body |= {
        "size": len(devices),
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
        "collapse": {"field": "device_id"},
        "_source": ["device_id", "@timestamp", "data"],
    }
    return documents.ALL_EVENTS, body


def _types(view: View, now: int) -> Body:
    body = _body([{"term": {"level": "device"}}, _since("window_end", now, minutes=view.minutes)])
    events = {
        "events": {"terms": {"field": "event", "size": MAX_EVENTS}},
        "devices": {"cardinality": {"field": "id"}},
    }
    body["aggs"] = {"types": {"terms": {"field": "devicetype", "size": MAX_TYPES}, "aggs": events}}
    return body


def _type_windows(view: View, now: int) -> Body:
    body = _body([{"term": {"level": "device_type"}}, _since("window_end", now, minutes=view.minutes)])
    return body | {"size": TYPE_ROWS, "sort": [{"window_end": {"order": "desc", "unmapped_type": "date"}}]}


def _rate(view: View, now: int) -> Body:
    body = _body([_since("@timestamp", now, minutes=view.minutes)])
    first = now - view.minutes * 60_000
    histogram = {
        "field": "@timestamp",
        "fixed_interval": f"{view.rate_step_s}s",
        "min_doc_count": 0,
        "extended_bounds": {"min": first, "max": now},
    }
    body["aggs"] = {"rate": {"date_histogram": histogram}}
    return body


def _models(now: int) -> Body:
    body = _body([_since("@timestamp", now, minutes=MODELS_MINUTES)])
    latency = {"percentiles": {"field": "latency_ms", "percents": [50, 95]}}
    parts = {"statuses": {"terms": {"field": "status", "size": 8}}, "latency": latency}
    body["aggs"] = {"models": {"terms": {"field": "model", "size": MAX_MODELS}, "aggs": parts}}
    return body


def _anomalies(view: View, now: int) -> Body:
    body = _body([{"terms": {"result": list(WORRIES)}}, _since("@timestamp", now, minutes=view.minutes)])
    body |= {
        "size": ROWS,
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}],
        "_source": list(ANOMALY_FIELDS),
    }
    body["aggs"] = {
        "devices": {
            "terms": {"field": "device_id", "size": 8},
            "aggs": {"type": {"terms": {"field": "device_type", "size": 1}}},
        }
    }
    return body | {"track_total_hits": 100_000}


def _dead(now: int) -> Body:
    body = _latest(now, hours=DEAD_HOURS) | {"_source": list(DEAD_FIELDS), "track_total_hits": 100_000}
    stages = {"stages": {"terms": {"field": "stage", "size": 4}}}
    body["aggs"] = {"reasons": {"terms": {"field": "reason", "size": 12}, "aggs": stages}}
    return body


def _latest(now: int, *, hours: int) -> Body:
    body = _body([_since("@timestamp", now, minutes=hours * 60)])
    return body | {"size": ROWS, "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]}


def _body(filters: list[Body]) -> Body:
    return {
        "size": 0,
        "timeout": SEARCH_TIMEOUT,
        "track_total_hits": False,
        "query": {"bool": {"filter": filters}},
    }


def _stream(view: View, type_field: str) -> list[Body]:
    event = [{"term": {"event": view.event}}] if view.event else []
    return [{"term": {type_field: view.device_type}}, *event]


def _since(field: str, now: int, *, minutes: int) -> Body:
    return {"range": {field: {"gte": clock.iso(now - minutes * 60_000)}}}
