"""Payloads: from the bytes of a message to the JSON objects in it, or one reason why there are none.

A payload is a JSON object, a JSON array of objects, or gzip or zlib of one of these. Sizes are bounded before anything is
built from them, the inflated size too.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from hort import strict_json

MAX_PAYLOAD_BYTES = 1_048_576
LARGEST_PAYLOAD_BYTES = 16_777_216
"""No operator can allow more: of a longer message the feed's provider keeps one byte more than this, and it is buried here."""
MAX_INFLATED_BATCH_BYTES = 33_554_432
"""All compressed payloads of one batch together may become this large: a batch of bombs must not fill the memory."""
MAX_ARRAY_RECORDS = 50_000
"""Records of one batch beyond the first of each message: what does not fit into an action's memory is fired for ever."""
MAX_DEPTH = 16
MAX_FIELDS = 256
MAX_RECORDS_PER_MESSAGE = 10_000
MAX_NAME_LENGTH = 256

_AUTO_WINDOW_BITS = 47
"""zlib finds out by itself whether it reads gzip or zlib."""
_STRETCH = 2048
"""What is given to an inflater at once: each copies what is left of it, and a payload may be thousands of empty members."""
_GZIP = b"\x1f\x8b"
_ZLIB_FIRST_BYTE = 0x78


class Undecodable(Exception):
    """A message or a record in it cannot be used; `reason` is a stable code, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class OverBudget(Undecodable):
    """A message is well by itself and too much for what is left to its batch."""


@dataclass(frozen=True, slots=True)
class BadItem:
    """A record of an array that cannot be read: its text, and why."""

    text: bytes
    problem: Undecodable


@dataclass(frozen=True, slots=True)
class Caps:
    """How large a message and a record may be."""

    payload_bytes: int = MAX_PAYLOAD_BYTES
    depth: int = MAX_DEPTH
    fields: int = MAX_FIELDS
    records_per_message: int = MAX_RECORDS_PER_MESSAGE
    name_length: int = MAX_NAME_LENGTH


@dataclass(slots=True)
class Budget:
    """What the payloads of this batch may still become: inflated bytes, and records beyond one a message."""

    left: int = field(default=MAX_INFLATED_BATCH_BYTES)
    records: int = field(default=MAX_ARRAY_RECORDS)


def parse(payload: bytes, caps: Caps, budget: Budget) -> Any:
    """The JSON value of a payload, inflated where it is compressed; Undecodable where it is none.

    In an array a `BadItem` stands for each record that cannot be read, so that the others go on.
    """
    if len(payload) > caps.payload_bytes:
        size = f"more than {LARGEST_PAYLOAD_BYTES}" if len(payload) > LARGEST_PAYLOAD_BYTES else len(payload)
        raise Undecodable("too-large", f"payload of {size} bytes, allowed are {caps.payload_bytes}")
    if _is_compressed(payload):
        payload = inflate(payload, caps, budget)
    try:
        return strict_json.loads(payload)
    except strict_json.Refused as error:
        texts = strict_json.elements(payload, most=caps.records_per_message)
        if not texts:
            raise Undecodable(error.reason, f"payload cannot be used: {error.detail}") from error
        return [_item(text) for text in texts]


def _item(text: bytes) -> Any:
    try:
        return strict_json.loads(text)
    except strict_json.Refused as error:
        return BadItem(text, Undecodable(error.reason, f"record cannot be used: {error.detail}"))


def inflate(payload: bytes, caps: Caps, budget: Budget) -> bytes:
    """The content of gzip (also of several members) or zlib, never more than the caps allow."""
    limit = min(caps.payload_bytes, budget.left)
    parts: list[bytes] = []
    size, begin, whole = 0, 0, memoryview(payload)
    try:
        while begin < len(whole):
            inflater = zlib.decompressobj(_AUTO_WINDOW_BITS)
            while not inflater.eof:
                stretch = whole[begin : begin + _STRETCH]
                if not stretch:
                    raise Undecodable("bad-gzip", "compressed payload ends too early")
                parts.append(inflater.decompress(stretch, limit - size + 1))
                size += len(parts[-1])
                if size > limit:
                    kind = OverBudget if limit < caps.payload_bytes else Undecodable
                    raise kind("too-large", f"compressed payload inflates to more than {limit} bytes")
                begin += len(stretch) - len(inflater.unused_data)
    except zlib.error as error:
        raise Undecodable("bad-gzip", f"compressed payload cannot be inflated: {error}") from error
    finally:
        budget.left -= min(size, budget.left)
    return b"".join(parts)


def records(value: Any, caps: Caps, budget: Budget) -> list[Any]:
    """The records of a payload's value; those of an array are not checked yet."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise Undecodable(
            "not-object", f"payload is a JSON {json_name(value)}, not an object or an array of objects"
        )
    if not value:
        raise Undecodable("empty", "payload is an empty array")
    if len(value) > caps.records_per_message:
        raise Undecodable(
            "too-many-records", f"array of {len(value)} records, allowed are {caps.records_per_message}"
        )
    if len(value) - 1 > budget.records:
        raise OverBudget(
            "too-many-records", f"array of {len(value)} records, {budget.records + 1} are left to this batch"
        )
    budget.records -= len(value) - 1
    return value


def json_name(value: Any) -> str:
    """What JSON calls a value's type."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _is_compressed(payload: bytes) -> bool:
    if payload.startswith(_GZIP):
        return True
    return len(payload) > 2 and payload[0] == _ZLIB_FIRST_BYTE and int.from_bytes(payload[:2]) % 31 == 0
