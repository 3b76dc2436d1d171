"""A dead letter as it is stored, and which of them somebody means."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import orjson

from hort import documents, keys
from hort.batch import Reference
from hort.decoding import STAGE as INGEST
from hort.results import STAGE as SCORE
from hort.sink import STAGE as SINK
from hort.topics import TopicPattern

WINDOW = "window"
STAGES = (INGEST, WINDOW, SCORE, SINK)


@dataclass(frozen=True, slots=True)
class Letter:
    """One document of `dead-letters`; `received_ms` is its `@timestamp`: the arrival of the message, or the event's time."""

    id: str
    stage: str
    reason: str
    detail: str
    topic: str
    batch_id: str
    message_id: str
    received_ms: int
    payload: bytes
    payload_bytes: int
    items: tuple[int, ...] = ()

    @classmethod
    def of(cls, doc_id: str, source: Mapping[str, Any]) -> Letter:
        """Reads a document; what it lacks is empty."""
        payload = _decoded(source.get("payload_base64", ""))
        return cls(
            id=doc_id,
            **{name: str(source.get(name, "")) for name in ("stage", "reason", "detail", "topic", "batch_id", "message_id")},
            received_ms=milliseconds(source.get("@timestamp")),
            payload=payload,
            payload_bytes=int(source.get("payload_bytes", len(payload))),
            items=tuple(int(number) for number in source.get("items", ())),
        )

    @property
    def batch(self) -> Reference:
        """The batch that made it; ids that are no provider's are looked for in the first partition."""
        registration, partition = origin(self.batch_id)
        return Reference(self.batch_id, keys.journal(partition, registration))

    @property
    def truncated(self) -> bool:
        """Whether only the beginning of the payload was kept."""
        return self.payload_bytes > len(self.payload)

    @property
    def document(self) -> dict[str, Any]:
        """The record or document that a letter of `score` or `sink` holds; empty for others."""
        if self.stage not in (SCORE, SINK):
            return {}
        try:
            value = orjson.loads(self.payload)
        except orjson.JSONDecodeError:
            return {}
        return value if isinstance(value, dict) else {}

    def device_type(self, pattern: TopicPattern) -> str:
        """From the document that it holds, else from its topic; "" where neither says so."""
        found = self.document.get("device_type") or self.document.get("devicetype")
        return str(found or (pattern.match(self.topic) or {}).get("device_type", ""))


def origin(batch_id: str) -> tuple[str, int]:
    """The registration and the partition in a batch id."""
    registration, _, rest = batch_id.partition("-")
    partition = rest.partition("-")[0]
    return registration, int(partition) if re.fullmatch(r"[0-9]{1,6}", partition) else 0


def milliseconds(iso: object) -> int:
    """Epoch milliseconds of a document's time; 0 where it has none."""
    try:
        return round(datetime.fromisoformat(str(iso)).timestamp() * 1000)
    except ValueError:
        return 0


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which letters; everything that is given must fit. Times are those of Elasticsearch's date math."""

    stage: str = ""
    reason: str = ""
    topic: str = ""
    batch_id: str = ""
    since: str = ""
    until: str = ""
    device_type: str = ""

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)

    def query(self) -> dict[str, Any]:
        """All but the device type, which letters do not have as a field."""
        terms = {"stage": self.stage, "reason": self.reason, "batch_id": self.batch_id}
        found: list[dict[str, Any]] = [{"term": {name: value}} for name, value in terms.items() if value]
        if self.topic:
            found.append({"wildcard": {"topic": {"value": self.topic}}})
        times = {name: value for name, value in (("gte", self.since), ("lte", self.until)) if value}
        if times:
            found.append({"range": {"@timestamp": times}})
        return {"bool": {"filter": found}} if found else {"match_all": {}}

    def fits(self, letter: Letter, pattern: TopicPattern) -> bool:
        """What the query cannot say."""
        return not self.device_type or fnmatchcase(letter.device_type(pattern), self.device_type)


def field_of(index: str) -> str | None:
    """The stage field whose documents go to an index."""
    return next((name for name, target in documents.INDEX_OF.items() if target == index), None)
