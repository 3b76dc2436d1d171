"""Ingest: takes a batch's messages, decodes them and stages what window, score and sink need.

Decoding itself is pure and in `hort.decoding`; here are the batch, the schemas, the repeats and the counters. A batch that
was staged before is not decoded again: its records, ids and schema stay as they were the first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import orjson

from hort import action, batch, clock, ingest_options, store
from hort.batch import Messages, Reference
from hort.counters import Counters, RedisCounters
from hort.decoded import Decoded
from hort.decoding import decode
from hort.ingest_options import IngestOptions
from hort.journal import Journal, RedisJournal
from hort.repeats import RedisRepeats, Repeats
from hort.schema import Schemas
from hort.schema_store import CachedSchemas, RedisSchemas

MAX_SCHEMA_ROUNDS = 4
"""Each round adds the fields that the last one found; what somebody else keeps changing is left uncounted after these."""
_SUMMARY = "ingested"


@dataclass(frozen=True, slots=True)
class Ingest:
    """The way in with its ports; `schemas` and `repeats` are those of the batch's partition."""

    journal: Journal
    schemas: Schemas
    repeats: Repeats
    counters: Counters
    options: IngestOptions

    def run(self, reference: Reference, messages: Messages | None) -> action.Result:
        """Stages a batch; `messages` are those that came inline, None where the journal holds them."""
        stage = self.journal.read_stage(reference, [_SUMMARY])
        if stage is None:
            return action.done(reference)
        if _SUMMARY in stage:
            return {**reference.as_result(), **orjson.loads(stage[_SUMMARY])}
        if messages is None:
            raw = self.journal.load(reference)
            if raw is None:
                return action.done(reference)
            messages = batch.unpack(raw)
        decoded = self._decode(messages, reference.batch_id)
        summary = {"records": len(decoded.lines), "dead": len(decoded.dead)}
        fields = {**decoded.stage_fields(), _SUMMARY: orjson.dumps(summary)}
        if not self.journal.write_stage(reference, fields):
            return action.done(reference)
        self.counters.add(counts(decoded))
        return {**reference.as_result(), **summary}

    def _decode(self, messages: Messages, batch_id: str) -> Decoded:
        """Decodes until every field has its kind, then drops what earlier batches brought."""
        known = dict(self.schemas.known())
        decoded = decode(messages, self.options, known, batch_id=batch_id)
        for _ in range(MAX_SCHEMA_ROUNDS):
            if not decoded.unknown:
                break
            known.update(self.schemas.extend(decoded.unknown))
            decoded = decode(messages, self.options, known, batch_id=batch_id)
        if decoded.identities:
            repeats = self.repeats.claim(decoded.identities, ttl_ms=self.options.dedupe_ms)
            decoded.without(repeats)
            decoded.counts["repeats"] += len(repeats)
        return decoded


def counts(decoded: Decoded) -> dict[str, int]:
    """What a batch adds to the counters: `ingest.records`, `ingest.dead`, `dead.<reason>` and so on."""
    found = {
        name if name.startswith("dead.") else f"ingest.{name}": count
        for name, count in decoded.counts.items()
    }
    return {**found, "ingest.records": len(decoded.lines), "ingest.dead": len(decoded.dead)}


def inline(params: action.Args, journal: Journal, *, now: int) -> tuple[Reference, Messages | None]:
    """The batch that the parameters carry or point to, and its messages where they came along.

    Messages without a journal (a feed with `ack=started`, or somebody who fired the trigger by hand) are kept in Redis for a
    day under a name made of their bytes, so that the rest of the sequence finds them.
    """
    if "messages" not in params:
        return action.required_reference(params), None
    reference = batch.reference(params) if "journal" in params else None
    messages = batch.inline_messages(params["messages"], now=now)
    if reference is None:
        raw = batch.pack(messages)
        reference = batch.direct_reference(raw)
        journal.put_direct(reference, raw, count=len(messages), now=now)
    return reference, messages


def run(params: action.Args) -> action.Result:
    """The action: ports from the parameters, then one batch."""
    client = store.connect(params)
    journal = RedisJournal(client)
    options = ingest_options.from_params(params)
    reference, messages = inline(params, journal, now=clock.now_ms())
    return Ingest(
        journal=journal,
        schemas=_schemas(client, reference.partition, options.max_schema_fields),
        repeats=RedisRepeats(client, reference.partition),
        counters=RedisCounters(client),
        options=options,
    ).run(reference, messages)


@lru_cache(maxsize=64)
def _schemas(client: store.Client, partition: int, max_fields: int) -> CachedSchemas:
    """What a warm process remembers of the schemas."""
    return CachedSchemas(RedisSchemas(client, partition, max_fields=max_fields))
