"""Sink: stores what a batch became in Elasticsearch and acknowledges it.

Whichever of the stage fields in `documents.INDEX_OF` are there are written, each to its index, under ids that stay the same
however often the batch is delivered. The acknowledgement comes last: whatever happens before it, the batch is fired again.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from hort import (
    action,
    clock,
    deadline,
    documents,
    elastic,
    event_time,
    indices,
    mapped_fields,
    replay,
    store,
)
from hort.batch import Reference
from hort.bulk_writer import BulkWriter, Pair, Rejected, pairs, streamed
from hort.counters import Counters, RedisCounters
from hort.document_store import DocumentStore, RequestRefused, StoreBusy
from hort.errors import DocumentsPutOff, SinkUnavailable
from hort.journal import Journal, RedisJournal, Stage
from hort.payload import Undecodable

STAGE = "sink"
MAX_RETRY_MS = 60_000
"""A batch that failed waits twice as long each time, up to this."""

CLAIM_MS = 60_000
"""How long a batch that nobody fires belongs to the sink that took it: the action's time limit."""
LEAST_S = 15.0
"""What must be left of the time for another batch."""

_LATE = "late"
_FAILURES = "sink_failures"
_NAMES = {name: mapped_fields.stage_field(name) for name in ("events", "analytics", "results")}
_FIELDS = (*_NAMES.values(), _LATE, _FAILURES, replay.STORED, replay.REPLAYED)
_KIND = re.compile(r"^[a-z0-9_-]{1,64}$")


@dataclass(frozen=True, slots=True)
class Sink:
    """The way out with its ports."""

    journal: Journal
    documents: DocumentStore
    counters: Counters
    prefix: str = ""
    now: Callable[[], int] = clock.now_ms

    def drain(self, first: Reference, *, time_s: float, writer: Callable[[float], BulkWriter]) -> action.Result:
        """Stores a batch of a journal that nobody fires, and those behind it, one at a time while there is time.

        Each is claimed for a while, so that a second sink finds another one. `writer` makes a writer for so many seconds.
        """
        began, waiting = self.now(), [first]
        result: action.Result = {**first.as_result(), "stored": {}, "batches": 0}
        left = time_s
        while waiting and left >= min(time_s, LEAST_S):
            self.journal.take(waiting[0], due_ms=self.now() + CLAIM_MS)
            stored = self.run(waiting[0], writer(left)).get("stored", {})
            result["stored"] = dict(Counter(result["stored"]) + Counter(stored))
            result["batches"] += 1
            waiting = [entry.reference for entry in self.journal.due(first.journal, now=self.now(), limit=1)]
            left = time_s - (self.now() - began) / 1000
        return result

    def run(self, reference: Reference, writer: BulkWriter) -> action.Result:
        """Stores and acknowledges a batch; SinkUnavailable where Elasticsearch does not take it."""
        stage = self.journal.read_stage(reference, _FIELDS)
        if stage is None:
            return action.done(reference)
        writer.begin(reference.batch_id, tried_before=self._tried_before(reference))
        try:
            stored = self._store(reference, stage, writer)
        except SinkUnavailable as error:
            self._again_later(reference, stage, error, writer.counts)
            raise
        if self.journal.ack(reference):
            counts = _named(stored + writer.counts)
            self.counters.add(counts)
            action.log_trouble("sink.trouble", reference, counts)
        return {**reference.as_result(), "stored": dict(stored)}

    def _store(self, reference: Reference, stage: Stage, writer: BulkWriter) -> Counter[str]:
        """Writes all fields; how many documents each index took, and `dead` for those that were refused.

        What one index does not take now keeps the batch, but nothing from being stored in the others.
        """
        stored: Counter[str] = Counter()
        dead: list[Pair] = []
        kept: set[str] = set()
        shut: dict[str, str] = {}
        put_off: list[DocumentsPutOff] = []
        for name in documents.INDEX_OF:
            try:
                dead += self._field(reference, name, stage, writer, stored=stored, kept=kept, shut=shut)
            except DocumentsPutOff as error:
                put_off.append(error)
        if dead:
            stored["dead"] += self._bury(writer, dead)
        if put_off:
            raise put_off[0]
        stored["replayed"] = self._dug_out(replay.letters(stage), kept=kept.union(map(_id_of, dead)))
        return +stored

    def _field(
        self, reference: Reference, name: str, stage: Stage, writer: BulkWriter, *, stored: Counter[str], kept: set[str], shut: dict[str, str]
    ) -> list[Pair]:
        """Writes the documents of one stage field, all that is held at a time; dead letters for those that were refused."""
        raw, index = self._raw(reference, name, stage), documents.INDEX_OF[name]
        if not raw:
            return []
        if not stored:
            shut.update(self._ensure_templates(stage, writer.counts))
        if index in shut:
            raise DocumentsPutOff(f"what {index} maps cannot be changed: {shut[index]}")
        if index == documents.DEAD_LETTERS:
            kept.update(map(_id_of, streamed(raw)) if replay.REPLAYED in stage else ())
            stored[index] += self._bury(writer, streamed(raw))
            return []
        late = stage.get(_LATE, b"") if name == "events" else b""
        written = writer.write(self.prefix + index, mark_late(streamed(raw), late))
        stored[index] += written.stored
        writer.counts.update(f"dead.{_reason(rejected.kind)}" for rejected in written.rejected)
        writer.counts["payloads-cut"] += sum(len(item.pair[1]) > documents.MAX_DEAD_PAYLOAD for item in written.rejected)
        return [self._dead_letter(reference, index, rejected) for rejected in written.rejected]

    def _raw(self, reference: Reference, name: str, stage: Stage) -> bytes:
        """The documents of one stage field, which may be large; empty where there is nothing to write."""
        if name == "events" and replay.STORED in stage:
            return b""
        return (self.journal.read_stage(reference, [name]) or {}).get(name, b"")

    def _bury(self, writer: BulkWriter, letters: Iterable[Pair]) -> int:
        """Writes dead letters; how many. They hold what is nowhere else: one that is refused keeps the batch."""
        written = writer.write(self.prefix + documents.DEAD_LETTERS, letters)
        if written.rejected:
            first = written.rejected[0]
            problem = f"{first.kind}: {first.reason[: documents.MAX_DETAIL]}"
            raise SinkUnavailable(f"{len(written.rejected)} dead letters were refused, {_id_of(first.pair)}: {problem}")
        return written.stored

    def _dug_out(self, letters: list[str], *, kept: set[str]) -> int:
        """Removes the dead letters whose replay is stored now; how many. What died again was written again and is `kept`."""
        gone = [name for name in letters if name not in kept]
        if gone:
            try:
                self.documents.delete(self.prefix + documents.DEAD_LETTERS, gone)
            except (StoreBusy, RequestRefused) as error:
                raise SinkUnavailable(f"{len(gone)} replayed dead letters could not be removed: {error}") from error
        return len(gone)

    def _dead_letter(self, reference: Reference, index: str, rejected: Rejected) -> Pair:
        doc_id = _id_of(rejected.pair)
        document = _parsed(rejected.pair[1])
        (pair,) = pairs(
            documents.dead_letter(
                f"{index}/{doc_id}",
                stage=STAGE,
                reason=rejected.kind or "refused",
                detail=rejected.reason,
                topic=str(document.get("topic", "")),
                batch_id=reference.batch_id,
                payload=rejected.pair[1],
                at_ms=self._time_of(document),
            )
        )[:1]
        return pair

    def _time_of(self, document: dict[str, Any]) -> int:
        try:
            return event_time.parse(document.get("@timestamp"), unit="ms", latest_ms=event_time.LATEST_MS)
        except Undecodable:
            return self.now()

    def _tried_before(self, reference: Reference) -> bool:
        """Whether another sink may have begun with the batch: it may have been killed over a request."""
        return any(entry.attempts > 1 for entry in self.journal.entries([reference]))

    def _ensure_templates(self, stage: Stage, counts: Counter[str]) -> Mapping[str, str]:
        """Also maps the names that the batch brings, and counts those that stay unmapped; the indices that take no change now, with the reasons."""
        brought = {documents.INDEX_OF[name]: mapped_fields.read(stage[key]) for name, key in _NAMES.items() if key in stage}
        try:
            indices.ensure(self.documents, prefix=self.prefix, brought=brought, counts=counts)
        except indices.IndicesShut as error:
            return error.reasons
        except (StoreBusy, RequestRefused) as error:
            raise SinkUnavailable(f"index templates could not be put: {error}") from error
        return {}

    def _again_later(
        self, reference: Reference, stage: Stage, error: SinkUnavailable, counts: Mapping[str, int]
    ) -> None:
        """Moves the batch's next delivery: sooner than the provider's deadline, but later each time."""
        failures = int(stage.get(_FAILURES, b"0"))
        wait = min(action.RETRY_SOON_MS << min(failures, 10), MAX_RETRY_MS)
        self.journal.write_stage(reference, {_FAILURES: str(failures + 1).encode()})
        self.journal.retry_at(reference, self.now() + wait)
        retried = {name: count for name, count in counts.items() if name.startswith("retried.")}
        self.counters.add({"sink.unavailable": 1, **_named(retried)})
        action.log("sink.unavailable", batch_id=reference.batch_id, retry_in_ms=wait, error=str(error))


def _id_of(pair: Pair) -> str:
    return str(orjson.loads(pair[0])["index"]["_id"])


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    """What was done under the names of its counters."""
    return {
        f"dead.{STAGE}.{name.removeprefix('dead.')}" if name.startswith("dead.") else f"{STAGE}.{name}": count
        for name, count in counts.items()
    }


def _reason(kind: str) -> str:
    """An error's type as a counter may name it: what is in front of Elasticsearch may answer anything."""
    return kind if _KIND.match(kind) else "refused"


def mark_late(events: Iterable[Pair], positions: bytes) -> Iterable[Pair]:
    """The documents, with `"late":true` in those at these positions (u32 LE)."""
    late = frozenset(array("I", positions))
    if not late:
        return events
    return (
        (head, document[:-1] + b',"late":true}') if position in late else (head, document)
        for position, (head, document) in enumerate(events)
    )


def _parsed(document: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def run(params: action.Args) -> action.Result:
    """The action: ports from the parameters, then one batch; one that was done already is handed through.

    After the action `plates` there is no batch but a report, see `hort.plate_sink`.
    """
    with action.failures_told(STAGE, params):
        return _run(params)


def _run(params: action.Args) -> action.Result:
    if "report" in params and "batch_id" not in params:
        from hort import plate_sink

        return plate_sink.run(params)
    reference = action.required_reference(params)
    if params.get("acked") is True:
        return action.done(reference)
    client = store.connect(params)
    elasticsearch = elastic.connect(params)
    sink = Sink(
        journal=RedisJournal(client),
        documents=elasticsearch,
        counters=RedisCounters(client),
        prefix=indices.prefix(params),
        now=partial(store.now_ms, client),
    )
    if params.get("drain") is True:
        return sink.drain(
            reference, time_s=deadline.seconds_left(), writer=lambda time_s: BulkWriter(elasticsearch, time_s=time_s)
        )
    return sink.run(reference, BulkWriter(elasticsearch, time_s=deadline.seconds_left()))
