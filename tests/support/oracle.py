"""What must be in Elasticsearch, computed by numpy from the stored records alone: independent of the code under test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

Key = tuple[str, str, str, str, int]
"""Level, device type, device id, event (both empty at type level), window end in milliseconds."""
TOLERANCE = 1e-9


def milliseconds(text: str) -> int:
    """An ISO 8601 time as milliseconds since the epoch."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def documents(client: Elasticsearch, index: str) -> list[dict[str, Any]]:
    """Every document of an index, with its id under `_id`."""
    client.indices.refresh(index=index)
    hits = scan(client, index=index, query={"query": {"match_all": {}}}, size=5_000, ignore_unavailable=True)
    return [{**hit["_source"], "_id": hit["_id"]} for hit in hits]


def expected_windows(events: Iterable[Mapping[str, Any]], *, size_ms: int = 45_000, slide_ms: int = 15_000) -> dict[Key, dict[str, list[float]]]:
    """Values of each numeric field by window, for every window that holds at least one record; `""` holds one entry a record."""
    windows: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        moment = milliseconds(event["@timestamp"])
        numbers = {name: float(value) for name, value in event["data"].items() if type(value) in (int, float)}
        first_end = moment - moment % slide_ms + slide_ms
        for end in range(first_end, moment + size_ms + 1, slide_ms):
            for key in (
                ("device", event["device_type"], event["device_id"], event["event"], end),
                ("device_type", event["device_type"], "", "", end),
            ):
                windows[key][""].append(1.0)
                for name, value in numbers.items():
                    windows[key][name].append(value)
    return windows


def key_of(analytics: Mapping[str, Any]) -> Key:
    """The window an analytics document is about."""
    end = milliseconds(analytics["window_end"])
    if analytics["level"] == "device_type":
        return ("device_type", analytics["devicetype"], "", "", end)
    return ("device", analytics["devicetype"], analytics["id"], analytics["event"], end)


def wrong_windows(events: list[dict[str, Any]], analytics: list[dict[str, Any]]) -> list[str]:
    """What is missing, too much or different, a line each; empty where every closed window is right."""
    expected = expected_windows(events)
    stored = {key_of(document): document for document in analytics}
    if not stored:
        return ["no analytics at all"]
    closed = max(key[4] for key in stored)
    due = {key for key in expected if key[4] <= closed}
    lines = [f"missing {key}" for key in sorted(due - stored.keys())]
    lines += [f"not from any record {key}" for key in sorted(stored.keys() - expected.keys())]
    if len(stored) != len(analytics):
        lines.append(f"{len(analytics)} documents for {len(stored)} windows")
    for key in sorted(due & stored.keys()):
        lines += _differences(key, stored[key], expected[key])
    return lines


def _differences(key: Key, document: Mapping[str, Any], values: Mapping[str, list[float]]) -> list[str]:
    lines = []
    if document["count"] != len(values[""]):
        lines.append(f"{key} count {document['count']}, expected {len(values[''])}")
    for name, numbers in values.items():
        if name == "":
            continue
        array = np.array(numbers)
        truth = {
            "min": array.min(),
            "max": array.max(),
            "sum": array.sum(),
            "avg": array.mean(),
            "ssd": ((array - array.mean()) ** 2).sum(),
            "std": array.std(),
        }
        scale = float(np.abs(array).max())
        for what, right in truth.items():
            got = document["properties"][what].get(name)
            if got is None or not np.isclose(got, right, rtol=TOLERANCE, atol=TOLERANCE * scale if what in ("sum", "avg") else 1e-12):
                lines.append(f"{key} {what}({name}) is {got}, expected {right}")
        if document["n"].get(name) != len(numbers):
            lines.append(f"{key} n({name}) is {document['n'].get(name)}, expected {len(numbers)}")
    return lines
