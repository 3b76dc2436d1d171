"""Staged batches as `ingest` leaves them, for tests of the actions that follow."""

from array import array
from collections.abc import Sequence
from typing import Any

import orjson

from hort.records import Records

Row = tuple[tuple[str, str, str], dict[str, Any]]


def stage_fields(rows: Sequence[Row], *, batch_id: str = "b-0-1") -> dict[str, bytes]:
    """The stage of a batch with these records: (device type, id, event) and data."""
    keys: dict[tuple[str, str, str], int] = {}
    index = array("I")
    lines: list[bytes] = []
    for number, (key, data) in enumerate(rows):
        index.append(keys.setdefault(key, len(keys)))
        document = {
            "record_id": f"{batch_id}.{number}",
            "batch_id": batch_id,
            "device_type": key[0],
            "device_id": key[1],
            "event": key[2],
            "topic": f"iot-2/type/{key[0]}/id/{key[1]}/evt/{key[2]}/fmt/json",
            "@timestamp": "2026-01-31T12:00:00.123Z",
            "received_at": "2026-01-31T12:00:00.456Z",
            "data": data,
        }
        lines.append(
            orjson.dumps({"index": {"_id": document["record_id"]}}) + b"\n" + orjson.dumps(document) + b"\n"
        )
    return {
        "events": b"".join(lines),
        "keys": orjson.dumps(list(keys)),
        "key_index": index.tobytes(),
        "dead": b"",
    }


def records(rows: Sequence[Row]) -> Records:
    """The same, read."""
    fields = stage_fields(rows)
    return Records(fields["events"], fields["keys"], fields["key_index"])


def bikes(count: int, *, device_type: str = "bike") -> list[Row]:
    """One record a device."""
    return [((device_type, f"d{number}", "status"), {"n": number}) for number in range(count)]


def documents(lines: bytes) -> list[dict[str, Any]]:
    """The documents of a bulk body, each with its action's `_id`."""
    rows = [orjson.loads(line) for line in lines.splitlines()]
    return [
        {**document, "_id": action["index"]["_id"]}
        for action, document in zip(rows[::2], rows[1::2], strict=True)
    ]
