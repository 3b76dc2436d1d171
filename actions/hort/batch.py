"""Batches of MQTT messages: their binary form in the journal and the two payloads a trigger may carry."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack

from hort import keys
from hort.errors import BatchError

VERSION = 1
RETAINED = 4
"""Bit of the flags that says the broker had kept the message; the lower two bits are the QoS."""
_BATCH_ID = re.compile(r"^[0-9a-z][0-9a-z-]{0,127}$")
_DIRECT = "direct"
_TIME_DIGITS = 12
_PART = "p"


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as it came in; `received_at` in milliseconds."""

    topic: str
    payload: bytes
    received_at: int
    qos: int = 0
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a batch lies: its id and the key of the journal that holds it."""

    batch_id: str
    journal: str

    @property
    def partition(self) -> int:
        """The partition whose slot holds everything of this batch."""
        return keys.partition_of(self.journal)

    @property
    def batch_key(self) -> str:
        """Key of the journalled batch."""
        return keys.batch(self.partition, self.batch_id)

    @property
    def stage_key(self) -> str:
        """Key of what the actions leave for each other."""
        return keys.stage(self.partition, self.batch_id)

    def as_result(self) -> dict[str, Any]:
        """The part of an action's result that the next action needs."""
        return {"batch_id": self.batch_id, "journal": self.journal}


@dataclass(frozen=True, slots=True)
class Messages:
    """A batch's messages by column: `topics[topic_index[i]]`, `payloads[i]`, `received_at[i]`, `flags[i]`.

    Where `names` are given, `names[i]` is what message i was called in its first batch: of a part, and of a batch that replays
    dead letters, whose `extra` are stage fields that ingest adds to its own, see `hort.replay`.
    """

    topics: Sequence[str]
    topic_index: Sequence[int]
    payloads: Sequence[bytes]
    received_at: Sequence[int]
    flags: bytes
    names: Sequence[str] = ()
    extra: Mapping[str, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.payloads)

    def only(self, positions: Sequence[int], *, batch_id: str) -> Messages:
        """Some of the messages, called as in this batch of theirs."""
        names = [self.names[at] if self.names else f"{batch_id}.{at}" for at in positions]
        index, received = [self.topic_index[at] for at in positions], [self.received_at[at] for at in positions]
        payloads, flags = [self.payloads[at] for at in positions], bytes(self.flags[at] for at in positions)
        return Messages(self.topics, index, payloads, received, flags, names, self.extra)

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Messages:
        """The columns of a row-wise list."""
        numbers: dict[str, int] = {}
        index = [numbers.setdefault(message.topic, len(numbers)) for message in messages]
        flags = bytes(message.qos | (RETAINED if message.retained else 0) for message in messages)
        return cls(list(numbers), index, [m.payload for m in messages], [m.received_at for m in messages], flags)


def new_id(registration: str, partition: int, now: int) -> str:
    """A fresh batch id; ids of one registration sort by time."""
    return f"{registration}-{partition}-{now:012x}{secrets.token_hex(4)}"


def part_id(batch_id: str, created: int) -> str:
    """A fresh id for a part of a batch that was made at `created`: it sorts with it, and says that it is a part."""
    return f"{batch_id.rpartition('-')[0]}-{created:012x}{_PART}{secrets.token_hex(4)}"


def is_part(batch_id: str) -> bool:
    """Whether a batch is a part of another one: more than its messages, whose names it brings."""
    return mark(batch_id) == _PART


def mark(batch_id: str) -> str:
    """What follows the time in a batch id: a hexadecimal digit where it is an ordinary one."""
    return batch_id.rpartition("-")[2][_TIME_DIGITS : _TIME_DIGITS + 1]


def created_ms(batch_id: str) -> int:
    """The time in a batch id of `new_id`; ValueError where it is none."""
    return int(batch_id.rpartition("-")[2][:_TIME_DIGITS], 16)


def pack(messages: Messages) -> bytes:
    """The journal's binary form (MessagePack, columns little-endian)."""
    value: dict[str, Any] = {
        "v": VERSION,
        "topics": list(messages.topics),
        "topic_index": array("I", messages.topic_index).tobytes(),
        "payloads": list(messages.payloads),
        "received_at": array("q", messages.received_at).tobytes(),
        "flags": messages.flags,
    }
    if messages.names or messages.extra:
        value |= {"names": list(messages.names), "extra": dict(messages.extra)}
    raw: bytes = msgpack.packb(value)
    return raw


def unpack(raw: bytes) -> Messages:
    """The messages of a journalled batch; BatchError where the bytes are none."""
    try:
        value = msgpack.unpackb(raw)
        if value["v"] != VERSION:
            raise BatchError(f"batch format {value['v']!r} is not known, expected {VERSION}")
        index, received = array("I"), array("q")
        index.frombytes(value["topic_index"])
        received.frombytes(value["received_at"])
        names, extra = value.get("names", ()), value.get("extra", {})
        return Messages(value["topics"], index, value["payloads"], received, value["flags"], names, extra)
    except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
        raise BatchError(f"journalled batch of {len(raw)} bytes cannot be read: {error}") from error


def reference(params: Mapping[str, Any]) -> Reference | None:
    """The reference that an action's parameters carry, or None where they carry none."""
    batch_id, journal = params.get("batch_id"), params.get("journal")
    if batch_id is None and journal is None:
        return None
    if not isinstance(batch_id, str) or not _BATCH_ID.fullmatch(batch_id):
        raise BatchError(f"'batch_id' must match {_BATCH_ID.pattern}, got {batch_id!r}")
    if not isinstance(journal, str):
        raise BatchError(f"'journal' must be a key of a journal, got {journal!r}")
    try:
        keys.partition_of(journal)
    except ValueError as error:
        raise BatchError(f"'journal' must be a key of a journal, got {journal!r}") from error
    return Reference(batch_id, journal)


def direct_reference(raw: bytes, *, partition: int = 0) -> Reference:
    """The reference of messages that somebody gave to the sequence without a journal: same messages, same id."""
    digest = hashlib.sha256(raw).hexdigest()[:32]
    return Reference(f"{_DIRECT}-{partition}-{digest}", keys.journal(partition, _DIRECT))


def inline_messages(value: object, *, now: int) -> Messages:
    """The messages of an `inline` payload; BatchError names the message and the field that is wrong."""
    if not isinstance(value, list):
        raise BatchError(f"'messages' must be a list, got {type(value).__name__}")
    return Messages.of([_inline_message(number, item, now) for number, item in enumerate(value)])


def _inline_message(number: int, item: object, now: int) -> Message:
    if not isinstance(item, dict):
        raise BatchError(f"messages[{number}] must be an object, got {type(item).__name__}")
    topic, received = item.get("topic"), item.get("received_at", now)
    qos, retained = item.get("qos", 0), item.get("retained", False)
    if not isinstance(topic, str):
        raise BatchError(f"messages[{number}].topic must be text, got {topic!r}")
    if type(received) is not int or not 0 <= received < 2**53:
        raise BatchError(f"messages[{number}].received_at must be milliseconds, got {received!r}")
    if qos not in (0, 1, 2):
        raise BatchError(f"messages[{number}].qos must be 0, 1 or 2, got {qos!r}")
    # JSON may carry half a surrogate pair, which nothing downstream can encode.
    topic = topic.encode("utf-8", "replace").decode()
    return Message(topic, _inline_payload(number, item), received, int(qos), bool(retained))


def _inline_payload(number: int, item: Mapping[str, Any]) -> bytes:
    payload, encoding = item.get("payload"), item.get("encoding", "utf-8")
    if payload is None and isinstance(item.get("error"), str):
        # A message too large for a fire: the provider says so in its place, and that text becomes the dead letter.
        return str(item["error"]).encode("utf-8", "replace")
    if not isinstance(payload, str):
        raise BatchError(f"messages[{number}].payload must be text, got {type(payload).__name__}")
    if encoding == "utf-8":
        return payload.encode("utf-8", "surrogatepass")
    if encoding != "base64":
        raise BatchError(f"messages[{number}].encoding must be utf-8 or base64, got {encoding!r}")
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:  # binascii.Error, or text that is not ASCII
        raise BatchError(f"messages[{number}].payload is not base64: {error}") from error
