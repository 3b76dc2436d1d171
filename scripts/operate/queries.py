"""What is asked of Elasticsearch to get from one document to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hort import documents


def every(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Documents whose fields have all these values."""
    return {"bool": {"filter": [{"term": {name: value}} for name, value in terms.items()]}}


def letters_of(record_id: str) -> dict[str, Any]:
    """The dead letters of a record's message, of its results, and of its documents."""
    exact = [record_id, f"{documents.ALL_EVENTS}/{record_id}"]
    begins = [f"{record_id}/", f"{documents.MODEL_RESULTS}/{record_id}/"]
    either = [{"terms": {"message_id": exact}}, *({"prefix": {"message_id": text}} for text in begins)]
    return {"bool": {"should": either, "minimum_should_match": 1}}


def records_of_window(source: Mapping[str, Any]) -> dict[str, Any]:
    """The records that a window counts."""
    terms = {"device_type": source["devicetype"]}
    if source["level"] == "device":
        terms |= {"device_id": source["id"], "event": source["event"]}
    span = {"range": {"@timestamp": {"gte": source["window_start"], "lt": source["window_end"]}}}
    return {"bool": {"filter": [every(terms), span], "must_not": [{"term": {"late": True}}]}}


def last_record(source: Mapping[str, Any]) -> dict[str, Any]:
    """The record that an alarm's device sent last before it fell silent."""
    return every({"@timestamp": source["last_seen"], **{name: source[name] for name in ("device_type", "device_id", "event")}})


def windows_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The windows that hold a record's time, of its device and of its device type."""
    when = record["@timestamp"]
    span = [{"range": {"window_start": {"lte": when}}}, {"range": {"window_end": {"gt": when}}}]
    device = every({"level": "device", "id": record["device_id"], "event": record["event"]})
    either = {"bool": {"should": [device, every({"level": "device_type"})], "minimum_should_match": 1}}
    return {"bool": {"filter": [{"term": {"devicetype": record["device_type"]}}, *span, either]}}
