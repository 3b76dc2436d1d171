"""What a fire carries: a batch's place, or its messages where they fit into a trigger's payload."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from feeds.provider.columns import inline_row, inline_size
from hort import batch
from hort.errors import BatchError
from hort.feed_options import INLINE_LIMIT
from hort.journal import Entry

INLINE_ENVELOPE = 500
SHOWN_BYTES = 262_144
"""Of a batch that cannot be read, so much goes along for a dead letter."""


def by_reference(entry: Entry) -> dict[str, Any]:
    """Where the batch lies."""
    reference = entry.reference
    return {
        "batch_id": reference.batch_id,
        "count": entry.count,
        "bytes": entry.bytes,
        "journal": reference.journal,
    }


def inline(entry: Entry, raw: bytes, *, ack: str) -> dict[str, Any] | None:
    """The batch's messages; None where several are together too large, or cannot be read and ingest will say so.

    A message that alone is too large is replaced by an error. A batch that is done once its actions have started is gone
    before they run: they must not look for its journal, and if it cannot be read, its bytes come in place of messages.
    """
    reference = entry.reference
    journal = {"journal": reference.journal} if ack == "sink" else {}
    try:
        rows = _rows(batch.unpack(raw))
    except (BatchError, ValueError, IndexError, TypeError, AttributeError) as error:
        if ack == "sink":
            return None
        rows = [_unreadable(raw, entry.created_ms, error)]
    if len(rows) > 1 and sum(map(inline_size, rows)) + len(rows) > INLINE_LIMIT - INLINE_ENVELOPE:
        return None
    return {"batch_id": reference.batch_id, **journal, "messages": rows}


def fitting(row: dict[str, Any], size: int) -> dict[str, Any]:
    """The row, or one with an error in place of a payload of this many bytes that no fire can carry."""
    if inline_size(row) <= INLINE_LIMIT - INLINE_ENVELOPE:
        return row
    del row["encoding"]
    return {**row, "payload": None, "error": f"message of {size} bytes exceeds {INLINE_LIMIT}"}


def _rows(messages: batch.Messages) -> list[dict[str, Any]]:
    columns = zip(messages.topic_index, messages.payloads, messages.received_at, messages.flags, strict=True)
    return [
        fitting(inline_row(messages.topics[number], payload, received, flags), len(payload))
        for number, payload, received, flags in columns
    ]


def _unreadable(raw: bytes, received: int, error: Exception) -> dict[str, Any]:
    return {
        "topic": "",
        "qos": 0,
        "retained": False,
        "received_at": received,
        "payload": b64encode(raw[:SHOWN_BYTES]).decode(),
        "encoding": "base64",
        "error": f"batch of {len(raw)} bytes cannot be read: {error}",
    }
