"""Result documents: one a record and model, built from bytes that are there already."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import orjson

from hort import documents
from hort.errors import BatchTooLarge
from hort.models import Model
from hort.records import Records
from hort.schema import kind_of

STAGE = "score"
MAX_RESULT_BYTES = 32 * 1024
MAX_ERROR = 300
MAX_FIELDS = 64
"""Names in a model's answers of one batch that are told to the sink, so that it maps their numbers."""
MAX_NAMED_DEPTH = 4
RESULTS_BYTES = 40_000_000
"""What a batch's results may take; they are in memory three times until they are staged."""
OK, ERROR, TIMEOUT, OPEN = "ok", "error", "timeout", "open"


@dataclass(slots=True)
class Room:
    """Bytes that the results of a batch may take, those of all models together."""

    left: float = math.inf

    def take(self, line: bytes) -> bytes:
        """The line, which is counted; BatchTooLarge where it is too much."""
        self.left -= len(line)
        if self.left < 0:
            raise BatchTooLarge("the results of the batch's models are more than may be held at once")
        return line


class Sheet:
    """One model's results of a batch: a line for each record that goes to the model, in any order.

    Slots number the records of this model, `positions[slot]` is the record's position in the batch; `identities` are those of
    `Records`, by position.
    """

    def __init__(
        self,
        model: Model,
        records: Records,
        positions: Sequence[int],
        identities: Sequence[tuple[bytes, bytes]],
        room: Room | None = None,
    ) -> None:
        self.model = model
        self.records = records
        self.positions = positions
        self.counts: Counter[str] = Counter()
        self.calls = 0
        self.retries: Counter[str] = Counter()
        self.breaker: Counter[str] = Counter()
        self.latency_ms = 0.0
        self.last_error = ""
        self.dead: list[bytes] = []
        self.fields: dict[str, str] = {}
        self._seen: set[str] = set()
        self._lines: list[bytes | None] = [None] * len(positions)
        self._joined = b""
        self._identities = identities
        self._room = room or Room()
        self._suffix = model.name.encode()
        self._longest_name = documents.MAX_ID_BYTES - len(model.name) - 1

    def answered(self, slots: Sequence[int], values: Sequence[Any], latency_ms: float) -> None:
        """A call's answers, one a slot."""
        head = self._call_part(OK, latency_ms) + b',"result":'
        lines, positions, line = self._lines, self.positions, self._line
        dumps, good = orjson.dumps, 0
        for slot, value in zip(slots, values, strict=True):
            result = dumps(value)
            if type(value) is not dict or len(result) > 4096 or _unusual(result):
                result = dumps(documents.result_object(value))
                if len(result) > MAX_RESULT_BYTES:
                    self.failed(
                        [slot], ERROR, latency_ms, f"the result is larger than {MAX_RESULT_BYTES} bytes"
                    )
                    continue
            self._note(value if type(value) is dict else {"value": value})
            lines[slot] = line(positions[slot], head + result)
            good += 1
        if good:
            self.counts[OK] += good

    def _note(self, answer: dict[str, Any]) -> None:
        """Note the kinds of an answer's values in `fields`, once a name."""
        if answer.keys() <= self._seen or len(self.fields) >= MAX_FIELDS:
            return
        self._seen.update(name for name, value in answer.items() if value is not None)
        for name, kind in islice(_kinds(answer), MAX_FIELDS):
            self.fields.setdefault(name, kind)

    def failed(self, slots: Sequence[int], status: str, latency_ms: float, error: str) -> None:
        """A call that brought no answers."""
        self._unanswered(slots, status, latency_ms, error[:MAX_ERROR])
        self.last_error = error[:MAX_ERROR]

    def _unanswered(self, slots: Sequence[int], status: str, latency_ms: float, text: str) -> None:
        tail = self._call_part(status, latency_ms) + b',"error":' + _json_text(text)
        for slot in slots:
            position = self.positions[slot]
            self._lines[slot] = self._line(position, tail)
            if self.model.on_error == "dead-letter":
                self.dead.append(self._room.take(self._dead_letter(position, status, text)))
        self.counts[status] += len(slots)

    def called(self, latency_ms: float) -> None:
        """Counts a call, whatever came of it."""
        self.calls += 1
        self.latency_ms += latency_ms

    def finish(self, status: str, error: str) -> None:
        """Gives every record that has no result yet this one; the last error stays a call's own, which is the cause."""
        rest = [slot for slot, line in enumerate(self._lines) if line is None]
        if not rest:
            return
        self._unanswered(rest, status, 0, error[:MAX_ERROR])
        if status != OPEN and not self.last_error:
            self.last_error = error[:MAX_ERROR]

    def lines(self) -> bytes:
        """The bulk lines of every result; nothing can be added afterwards."""
        if self._lines:
            self._joined = b"".join(line for line in self._lines if line is not None)
            self._lines = []
        return self._joined

    def names(self) -> list[str]:
        """`<record id>/<model>` of each record that went to the model."""
        return [self._name(orjson.loads(self._identities[position][0])) for position in self.positions]

    def _name(self, record_id: str) -> str:
        return f"{record_id}/{self.model.name}"

    def _line(self, position: int, tail: bytes) -> bytes:
        name, identity = self._identities[position]
        if len(name) > self._longest_name:
            head = documents.action_line(f"{orjson.loads(name)}/{self.model.name}")
            return self._room.take(b'%b{"record_id":%b%b}\n' % (head, identity, tail))
        return self._room.take(b'{"index":{"_id":%b/%b"}}\n{"record_id":%b%b}\n' % (name[:-1], self._suffix, identity, tail))

    def _call_part(self, status: str, latency_ms: float) -> bytes:
        facts = {
            "model": self.model.name,
            "model_version": self.model.version,
            "mode": self.model.mode,
            "status": status,
            "latency_ms": round(latency_ms, 1),
        }
        return b"," + orjson.dumps(facts)[1:-1]

    def _dead_letter(self, position: int, status: str, error: str) -> bytes:
        document = self.records.document(position)
        record = orjson.loads(document)
        return documents.dead_letter(
            self._name(record["record_id"]),
            stage=STAGE,
            reason=f"model-{status}",
            detail=f"model {self.model.name}: {error}",
            topic=record["topic"],
            batch_id=record["batch_id"],
            payload=document,
            at_ms=round(datetime.fromisoformat(record["@timestamp"]).timestamp() * 1000),
        )


def _kinds(answer: dict[str, Any], prefix: str = "", depth: int = MAX_NAMED_DEPTH) -> Iterator[tuple[str, str]]:
    """Dotted name and kind of each number, text and boolean, down to a depth."""
    for name, value in answer.items():
        kind = kind_of(value)
        if kind is not None:
            yield prefix + name, kind
        elif isinstance(value, dict) and depth > 1:
            yield from _kinds(value, f"{prefix}{name}.", depth - 1)


def _unusual(result: bytes) -> bool:
    """True where the slow check for what Elasticsearch cannot index is needed."""
    return result.count(b"{") + result.count(b"[") > documents.RESULT_DEPTH or b"\\u0000" in result


def _json_text(text: str) -> bytes:
    return orjson.dumps(text.encode("utf-8", "replace").decode())
