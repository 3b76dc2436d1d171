"""Documents on their way to Elasticsearch: bulk lines (NDJSON), safe ids, index names and dead letters.

A bulk body is pairs of lines, an action and a document, each ended by a newline. The index is not in the action line: the
sink posts each stage field to the index of its name (`INDEX_OF`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from hort import clock

ALL_EVENTS = "all-events"
ANALYTICS = "analytics"
MODEL_RESULTS = "model-results"
DEAD_LETTERS = "dead-letters"
ALARMS = "alarms"
PLATES = "plates"

INDEX_OF = {
    "events": ALL_EVENTS,
    "analytics": ANALYTICS,
    "results": MODEL_RESULTS,
    "alarms": ALARMS,
    "plates": PLATES,
    "dead": DEAD_LETTERS,
}
"""Stage field -> index; each field is a bulk body."""

STATISTICS = ("max", "min", "sum", "avg", "ssd", "std", "std_sample")
"""Of each field in the `properties` of analytics."""

MAX_ID_BYTES = 512
"""Elasticsearch refuses longer ids."""
MAX_DEAD_PAYLOAD = 262_144
"""Bytes of a payload that a dead letter keeps."""
MAX_DETAIL = 500
RESULT_DEPTH = 20
"""Elasticsearch's depth limit of a `flattened` field."""


def safe_id(doc_id: str) -> str:
    """The id itself where Elasticsearch takes it, else a digest of it (empty, no UTF-8, or more than 512 bytes of it)."""
    raw = doc_id.encode("utf-8", "surrogatepass")
    if 0 < len(raw) <= MAX_ID_BYTES and doc_id == well_formed(doc_id):
        return doc_id
    return "sha256-" + hashlib.sha256(raw).hexdigest()


def well_formed(text: str) -> str:
    """The text with lone surrogates, which no JSON in UTF-8 can hold, written as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def action_line(doc_id: str, *, version: int | None = None) -> bytes:
    """The action line of one document, newline included; the same id replaces the document.

    With a version (0 and above) it does so only where no higher one is stored: a request that comes late changes nothing.
    """
    raw = orjson.dumps(safe_id(doc_id))
    if version is None:
        return b'{"index":{"_id":%b}}\n' % raw
    return b'{"index":{"_id":%b,"version":%d,"version_type":"external_gte"}}\n' % (raw, version)


def bulk_line(doc_id: str, doc: dict[str, Any] | bytes, *, version: int | None = None) -> bytes:
    """Both lines of one document; bytes are taken as its JSON, which must not hold a newline."""
    body = doc if isinstance(doc, bytes) else orjson.dumps(doc)
    return b"%b%b\n" % (action_line(doc_id, version=version), body)


def result_object(value: Any) -> dict[str, Any]:
    """A model's answer as the object that the field `result` of model-results must be.

    An object stays as it is, anything else becomes `{"value": ...}`; what Elasticsearch could not index (too deep, a NUL
    in a name) becomes `{"json": "<text>"}`.
    """
    result = value if isinstance(value, dict) else {"value": value}
    if _indexable(result, RESULT_DEPTH):
        return result
    return {"json": orjson.dumps(value).decode()}


def _indexable(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(
            "\0" not in name and _indexable(item, depth - 1) for name, item in value.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(_indexable(item, depth - 1) for item in value)
    return True


def cut(lines: bytes) -> int:
    """How many dead letters in a bulk body hold only a part of their payload; no text in them can look like this."""
    return lines.count(b',"payload_truncated":true')


def letter_id(message_id: str, stage: str) -> str:
    """The `_id` of a dead letter."""
    return safe_id(f"{message_id}-{stage}")


def dead_letter(
    message_id: str,
    *,
    stage: str,
    reason: str,
    detail: str,
    topic: str,
    batch_id: str,
    payload: bytes,
    at_ms: int,
    items: Sequence[int] = (),
) -> bytes:
    """Both lines of one dead letter; its id is message id + stage.

    `items`: where the payload is only a part of a message's array, the places of its records in that array.

    `reason` is a stable code (`not-json`), `detail` a sentence. Of a long payload the first 256 KiB are kept and
    `payload_truncated` says so; `payload_bytes` is its whole size. `at_ms` must not change when the batch comes again.
    """
    doc: dict[str, Any] = {
        "@timestamp": clock.iso(at_ms),
        "stage": stage,
        "reason": reason,
        "detail": well_formed(detail[:MAX_DETAIL]),
        "topic": well_formed(topic),
        "batch_id": batch_id,
        "message_id": well_formed(message_id),
        "payload_base64": base64.b64encode(payload[:MAX_DEAD_PAYLOAD]).decode(),
        "payload_bytes": len(payload),
        "payload_truncated": len(payload) > MAX_DEAD_PAYLOAD,
    }
    if items:
        doc["items"] = list(items)
    return bulk_line(letter_id(message_id, stage), doc)
