"""Payloads: from the bytes of a message to the JSON objects in it, or one reason why there are none.

A payload is a JSON object, a JSON array of objects, or gzip or zlib of one of these. Sizes are bounded before anything is
built from them, the inflated size too.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson

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
_GZIP = b"\x1f\x8b"
_ZLIB_FIRST_BYTE = 0x78


class Undecodable(Exception):
    """A message or a record in it cannot be used; `reason` is a stable code, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


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
    """The JSON value of a payload, inflated where it is compressed; Undecodable where it is none."""
    if len(payload) > caps.payload_bytes:
        size = f"more than {LARGEST_PAYLOAD_BYTES}" if len(payload) > LARGEST_PAYLOAD_BYTES else len(payload)
        raise Undecodable("too-large", f"payload of {size} bytes, allowed are {caps.payload_bytes}")
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if _is_compressed(payload):
            return _parse_inflated(inflate(payload, caps, budget))
        _explain(payload, error)


def inflate(payload: bytes, caps: Caps, budget: Budget) -> bytes:
    """The content of gzip (also of several members) or zlib, never more than the caps allow."""
    limit = min(caps.payload_bytes, budget.left)
    parts: list[bytes] = []
    size, rest = 0, payload
    try:
        while rest:
            inflater = zlib.decompressobj(_AUTO_WINDOW_BITS)
            parts.append(inflater.decompress(rest, limit - size + 1))
            size += len(parts[-1])
            if size > limit:
                raise Undecodable("too-large", f"compressed payload inflates to more than {limit} bytes")
            if not inflater.eof:
                raise Undecodable("bad-gzip", "compressed payload ends too early")
            rest = inflater.unused_data
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
        raise Undecodable(
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


def _parse_inflated(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        _explain(content, error)


def _explain(content: bytes, error: orjson.JSONDecodeError) -> NoReturn:
    """Raises Undecodable with the code that fits what the parser refused."""
    if not content.strip():
        raise Undecodable("empty", "payload is empty") from error
    try:
        content.decode()
    except UnicodeDecodeError as utf8:
        raise Undecodable("not-utf8", f"payload is not UTF-8: {utf8.reason} at byte {utf8.start}") from error
    if "depth" in error.msg:
        raise Undecodable("too-deep", "payload is nested too deeply for any JSON parser") from error
    if "infinity" in error.msg or _has_nan(content):
        raise Undecodable(
            "nan", "payload holds NaN, Infinity or a number beyond the range of a double"
        ) from error
    raise Undecodable("not-json", f"payload is not JSON: {error.msg}") from error


def _has_nan(content: bytes) -> bool:
    """Whether the payload would be JSON if NaN and Infinity were."""
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return b"NaN" in content or b"Infinity" in content
