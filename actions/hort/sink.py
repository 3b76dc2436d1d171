"""Sink: stores what a batch became in Elasticsearch and acknowledges it.

Whichever of the stage fields in `documents.INDEX_OF` are there are written, each to its index, under ids that stay the same
however often the batch is delivered. The acknowledgement comes last: whatever happens before it, the batch is fired again.
A batch over which sinks died is stored in portions, see `hort.portions`; what Elasticsearch does not take now never counts as that.
"""

from __future__ import annotations

import contextlib
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import redis

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
    watchdog,
)
from hort.batch import Reference
from hort.bulk_writer import BulkWriter, Pair, Rejected, pairs, streamed
from hort.counters import Counters, RedisCounters
from hort.document_store import DocumentStore, RequestRefused, StoreBusy
from hort.errors import DocumentsPutOff, SinkUnavailable
from hort.isolation import FAILED, REASON, SPLIT_AFTER
from hort.journal import Journal, RedisJournal, Stage
from hort.payload import Undecodable
from hort.portions import Body, Search

STAGE = "sink"
MAX_RETRY_MS = 60_000
"""A batch that failed waits twice as long each time, up to this."""

CLAIM_MS = 12_000
"""How long a batch that nobody fires belongs to the sink that took it, from each step on: more than its own work may take by the clock, less than a tick."""
LEAST_S = 15.0
"""What must be left of the time for another batch."""

_LATE = "late"
_FAILURES = "sink_failures"
_NAMES = {name: mapped_fields.stage_field(name) for name in ("events", "analytics", "results")}
_FIELDS = (*_NAMES.values(), _LATE, _FAILURES, replay.STORED, replay.REPLAYED)
_KIND = re.compile(r"^[a-z0-9_-]{1,64}$")


@dataclass(slots=True)
class _Try:
    """One try to store a batch: `stored` by index, `dead` letters for what was refused, ids of letters that are `kept` though replayed, indices that are `shut`."""

    reference: Reference
    stage: Stage
    writer: BulkWriter
    stored: Counter[str] = field(default_factory=Counter)
    dead: list[Pair] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    shut: Mapping[str, str] | None = None
    put_off: list[DocumentsPutOff] = field(default_factory=list)
    claim: Callable[[float], None] = lambda _: None


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
            watchdog.restart(watchdog.PART_S)
            stored = self.run(waiting[0], writer(left), claimed=True).get("stored", {})
            result["stored"] = dict(Counter(result["stored"]) + Counter(stored))
            result["batches"] += 1
            waiting = [entry.reference for entry in self.journal.due(first.journal, now=self.now(), limit=1)]
            left = time_s - (self.now() - began) / 1000
        return result

    def run(self, reference: Reference, writer: BulkWriter, *, claimed: bool = False) -> action.Result:
        """Stores and acknowledges a batch; SinkUnavailable where Elasticsearch does not take it.

        `claimed`: no other sink is at work with it.
        """
        stage = self.journal.read_stage(reference, _FIELDS)
        if stage is None:
            return action.done(reference)
        claim = partial(self._claim, reference) if claimed else lambda _: None
        writer.begin(reference.batch_id, tried_before=self._tried_before(reference), asks=claim)
        died = self._died(reference, claimed=claimed)
        try:
            stored = self._store(_Try(reference, stage, writer, claim=claim), in_portions=died)
        except SinkUnavailable as error:
            self._excuse(reference)
            self._again_later(reference, stage, error, writer.counts)
            raise
        except redis.RedisError:
            with contextlib.suppress(redis.RedisError):
                self._excuse(reference)
            raise
        if self.journal.ack(reference):
            counts = _named(stored + writer.counts)
            self.counters.add(counts)
            action.log_trouble("sink.trouble", reference, counts)
        return {**reference.as_result(), "stored": dict(stored)}

    def _claim(self, reference: Reference, seconds: float) -> None:
        """Keeps a batch that nobody fires from other sinks for so long, and as long as what comes then may take."""
        self.journal.retry_at(reference, self.now() + int(seconds * 1000) + CLAIM_MS)

    def _died(self, reference: Reference, *, claimed: bool) -> bool:
        """Counts a try; whether an earlier one died over the batch. One that was fired again too early may still be at work."""
        tries = self.journal.count_try(reference, STAGE)
        known = claimed or tries > SPLIT_AFTER or self.journal.trouble(reference, FAILED).tries > 0
        return tries > 1 and known

    def _excuse(self, reference: Reference) -> None:
        """Takes a try back that no document of the batch stopped."""
        self.journal.uncount_try(reference, STAGE)
        for name in documents.INDEX_OF:
            self._search(reference, name).passed()

    def _store(self, run: _Try, *, in_portions: bool) -> Counter[str]:
        """Writes all fields; how many documents each index took, and `dead` for those that were refused.

        What one index does not take now keeps the batch, but nothing from being stored in the others.
        """
        if in_portions:
            self._in_portions(run)
        for name in () if in_portions else documents.INDEX_OF:
            self._write(run, documents.INDEX_OF[name], *self._raw(run, name))
        if run.dead:
            run.stored["dead"] += self._bury(run.writer, run.dead)
        if run.put_off:
            raise run.put_off[0]
        run.stored["replayed"] = self._dug_out(replay.letters(run.stage), kept=run.kept.union(map(_id_of, run.dead)))
        return +run.stored

    def _in_portions(self, run: _Try) -> None:
        """Writes what is not suspect in all fields, then what is; a document that had all its tries becomes a dead letter."""
        searches = {name: self._search(run.reference, name) for name in documents.INDEX_OF}
        first = not any(search.suspects() for search in searches.values())
        learned = [search.learn() for search in searches.values()]
        if first and any(learned):
            self.counters.add({f"{STAGE}.split": 1})
        for portions in (Search.healthy, Search.suspect):
            for name, search in searches.items():
                body, index = Body(*self._raw(run, name)), documents.INDEX_OF[name]
                for portion in portions(search, len(body)):
                    run.claim(watchdog.ALONE_S if portion.alone else 0)
                    if search.given_up(portion, others_stored=run.stored.total() > 0):
                        self._give_up(run, index, *body.part(portion.at))
                        continue
                    try:
                        self._write(run, index, *body.part(portion.at))
                    except SinkUnavailable:
                        search.excuse(portion)
                        raise
                    if run.put_off:
                        search.excuse(portion)

    def _search(self, reference: Reference, name: str) -> Search:
        return Search(self.journal, reference, f"{STAGE}-{name}")

    def _give_up(self, run: _Try, index: str, raw: bytes, late: bytes) -> None:
        (pair,) = mark_late(streamed(raw), late)
        detail = "sink did not get through with this document while others were stored"
        if index == documents.DEAD_LETTERS:
            run.kept.add(_id_of(pair))
        run.dead.append(self._dead_letter(run.reference, index, Rejected(pair, REASON, detail)))
        run.writer.counts[f"dead.{REASON}"] += 1
        action.log("sink.unprocessable", batch_id=run.reference.batch_id, index=index, error=detail)

    def _write(self, run: _Try, index: str, raw: bytes, late: bytes) -> None:
        """Writes documents of one index, all that is held at a time; dead letters for those that were refused."""
        if not raw:
            return
        if run.shut is None:
            run.claim(deadline.TIME_S)
            run.shut = self._ensure_templates(run.stage, run.writer.counts)
            run.claim(0)
        try:
            if index in run.shut:
                raise DocumentsPutOff(f"what {index} maps cannot be changed: {run.shut[index]}")
            if index == documents.DEAD_LETTERS:
                run.kept.update(map(_id_of, streamed(raw)) if replay.REPLAYED in run.stage else ())
                run.stored[index] += self._bury(run.writer, streamed(raw))
                return
            written = run.writer.write(self.prefix + index, mark_late(streamed(raw), late))
        except DocumentsPutOff as error:
            run.put_off.append(error)
            return
        run.stored[index] += written.stored
        run.writer.counts.update(f"dead.{_reason(rejected.kind)}" for rejected in written.rejected)
        run.writer.counts["payloads-cut"] += sum(len(item.pair[1]) > documents.MAX_DEAD_PAYLOAD for item in written.rejected)
        run.dead += [self._dead_letter(run.reference, index, rejected) for rejected in written.rejected]

    def _raw(self, run: _Try, name: str) -> tuple[bytes, bytes]:
        """The documents of one stage field, which may be large, and which of them are late (u32 LE)."""
        if name == "events" and replay.STORED in run.stage:
            return b"", b""
        raw = (self.journal.read_stage(run.reference, [name]) or {}).get(name, b"")
        return raw, run.stage.get(_LATE, b"") if name == "events" else b""

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
    with watchdog.watched(), action.failures_told(STAGE, params):
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
