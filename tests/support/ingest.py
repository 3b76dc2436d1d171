"""Messages for tests of the way in, and what the stage says about them."""

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack
import numpy as np
import orjson

from hort.batch import Message, Messages
from hort.decoded import Decoded
from hort.decoding import decode
from hort.ingest_options import IngestOptions
from hort.schema import Known, TypeSchema

ARRIVAL = 1_769_860_800_123
"""2026-01-31T12:00:00.123Z"""
BATCH = "aaaa-0-1"
TOPIC = "iot-2/type/bike/id/7/evt/status/fmt/json"


def topic(device_type: str = "bike", device_id: str = "7", event: str = "status") -> str:
    return f"iot-2/type/{device_type}/id/{device_id}/evt/{event}/fmt/json"


def messages(*contents: Any, on: str = TOPIC, at: int = ARRIVAL) -> Messages:
    """Each content one message; what is not bytes is sent as JSON."""
    return Messages.of(
        [Message(on, payload(content), at + number) for number, content in enumerate(contents)]
    )


def payload(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def settled(
    batch: Messages,
    options: IngestOptions | None = None,
    known: Known | None = None,
    *,
    batch_id: str = BATCH,
) -> Decoded:
    """Decoded as ingest does: once to see the fields and once with their schemas."""
    options = options or IngestOptions()
    schemas = dict(known or {})
    decoded = decode(batch, options, schemas, batch_id=batch_id)
    for device_type, fields in decoded.unknown.items():
        old = schemas.get(device_type, TypeSchema()).fields
        schemas[device_type] = TypeSchema({**old, **fields})
    return decode(batch, options, schemas, batch_id=batch_id)


def documents(body: bytes | Iterable[bytes]) -> list[dict[str, Any]]:
    """The documents of a bulk body, each with its `_id`."""
    lines = (body if isinstance(body, bytes) else b"".join(body)).splitlines()
    rows = [orjson.loads(line) for line in lines]
    return [
        {**document, "_id": head["index"]["_id"]}
        for head, document in zip(rows[::2], rows[1::2], strict=True)
    ]


def data(decoded: Decoded) -> list[dict[str, Any]]:
    """The data of each record, in order."""
    return [document["data"] for document in documents(decoded.lines)]


def reasons(decoded: Decoded) -> list[str]:
    return [letter["reason"] for letter in documents(decoded.dead)]


def buried(letter: Mapping[str, Any]) -> bytes:
    """The payload that a dead letter holds."""
    return base64.b64decode(letter["payload_base64"])


def numbers(fields: Mapping[str, bytes]) -> dict[int, dict[str, float]]:
    """Record position -> its numeric fields, as window reads them from the stage."""
    found: dict[int, dict[str, float]] = {}
    for columns in msgpack.unpackb(fields["cols"]):
        rows = np.frombuffer(columns["rows"], "<u4")
        values = np.frombuffer(columns["values"], "<f8").reshape(len(rows), len(columns["fields"]))
        for row, line in zip(rows.tolist(), values.tolist(), strict=True):
            assert row not in found
            found[row] = {
                name: value
                for name, value in zip(columns["fields"], line, strict=True)
                if not math.isnan(value)
            }
    return found
