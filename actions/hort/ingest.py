"""Ingest: takes a batch's messages, decodes them and stages what window, score and sink need.

Decoding itself is pure and in `hort.decoding`; here are the batch, the schemas, the repeats and the counters. A batch that
was staged before is not decoded again: its records, ids and schema stay as they were the first time. A batch with which
an action does not get through is cut into parts, and a part of one record goes on without it, see `hort.unprocessable`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache

import orjson
import redis

from hort import (
    action,
    batch,
    clock,
    documents,
    ingest_options,
    isolation,
    parts,
    replay,
    store,
    unprocessable,
    watchdog,
)
from hort.batch import Messages, Reference
from hort.counters import Counters, RedisCounters
from hort.decoded import Decoded
from hort.decoding import STAGE, decode
from hort.errors import BatchError, BatchTooLarge, HortError
from hort.ingest_options import IngestOptions
from hort.isolation import SPLIT_AFTER
from hort.journal import Journal, RedisJournal
from hort.portions import Search
from hort.repeats import RedisRepeats, Repeats
from hort.schema import Schemas
from hort.schema_store import CachedSchemas, RedisSchemas

MAX_SCHEMA_ROUNDS = 4
"""Each round adds the fields that the last one found; what somebody else keeps changing is left uncounted after these."""
_SUMMARY = parts.SUMMARY


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
            if unprocessable.help_on(reference, self.journal, self.counters, limit=self.options.max_attempts):
                return action.done(reference)
            return {**reference.as_result(), **orjson.loads(stage[_SUMMARY])}
        tries = self._count_try(reference)
        try:
            decoded = self._decoded(reference, messages, tries)
            return self._stage(reference, decoded)
        except redis.RedisError:
            with contextlib.suppress(redis.RedisError):
                self.journal.uncount_try(reference, STAGE)
            raise

    def _count_try(self, reference: Reference) -> int:
        """How many tries there were. A replay is not cut, its letters would have to be told apart: each part of it may end one."""
        tries = self.journal.count_try(reference, STAGE)
        if tries > 1 and replay.is_replay(reference.batch_id) and Search(self.journal, reference, STAGE).learn():
            self.journal.uncount_try(reference, STAGE)
            return max(SPLIT_AFTER, tries - 1)
        return tries

    def _decoded(self, reference: Reference, messages: Messages | None, tries: int) -> Decoded | None:
        """What becomes of a batch at its so manieth try; None where it is done, or its parts have taken its place."""
        raw = self.journal.load(reference) if messages is None or tries > 1 else b""
        if raw is None or not tries:
            return None
        limit = self.options.max_attempts
        whole = tries <= limit + unprocessable.WHOLE_TRIES
        if whole and unprocessable.split_unread(reference, raw, self.journal, self.counters, tries=tries):
            return None
        if tries > limit:
            return unprocessable.buried(reference, raw, tries=tries, at_ms=self.journal.created(reference) or 0, whole=whole)
        return self._bounded(batch.unpack(raw) if messages is None else messages, reference, raw, search=tries > 1)

    def _bounded(self, messages: Messages, reference: Reference, raw: bytes, *, search: bool) -> Decoded | None:
        """A batch decoded as far as the actions can hold it at once: one that is too large is cut, where that can be."""
        try:
            return self._healthy(messages, reference, search=search, bounded=len(messages) > 1)
        except BatchTooLarge:
            raw = raw or self.journal.load(reference) or b""
            if unprocessable.split(reference, raw, self.journal, self.counters):
                return None
        return self._healthy(messages, reference, search=False, bounded=False)

    def _stage(self, reference: Reference, decoded: Decoded | None) -> action.Result:
        if decoded is None:
            return action.done(reference)
        summary = {"records": len(decoded.lines), "dead": len(decoded.dead)}
        fields = {**decoded.stage_fields(), _SUMMARY: orjson.dumps(summary)}
        if not self.journal.write_stage(reference, fields, _SUMMARY):
            return self._staged_by_another(reference)
        found = counts(decoded)
        self.counters.add(found)
        action.log_trouble("ingest.trouble", reference, found)
        return {**reference.as_result(), **summary}

    def _staged_by_another(self, reference: Reference) -> action.Result:
        """The answer where two deliveries came at once: what the first staged stays, with what other actions added to it."""
        stage = self.journal.read_stage(reference, [_SUMMARY])
        if not stage:
            return action.done(reference)
        return {**reference.as_result(), **orjson.loads(stage[_SUMMARY])}

    def _healthy(self, messages: Messages, reference: Reference, *, search: bool, bounded: bool) -> Decoded:
        """A batch decoded without the messages at which the decoder raises; `search` notes where it is, should it be killed."""

        def attempt(positions: range) -> Decoded:
            return decode(messages.only(positions, batch_id=reference.batch_id), self.options, known, batch_id=reference.batch_id)

        watchdog.restart(alone=len(messages) == 1)
        known = self.schemas.known()
        if search and replay.is_replay(reference.batch_id):
            bad = unprocessable.deadly(Search(self.journal, reference, STAGE), len(messages), attempt)
            if bad:
                return self._without(messages, reference, bad, bounded=bounded, detail="ingest ended over it")
        elif search:
            unprocessable.search(reference, self.journal, STAGE, len(messages), attempt)
        try:
            return self._decode(messages, reference.batch_id, bounded=bounded)
        except (HortError, redis.RedisError):
            raise
        except Exception as error:
            bad = isolation.poison(len(messages), attempt)
            if not bad:
                raise
            return self._without(messages, reference, bad, bounded=bounded, detail=f"ingest cannot take it: {type(error).__name__}")

    def _without(self, messages: Messages, reference: Reference, bad: list[int], *, bounded: bool, detail: str) -> Decoded:
        """A batch decoded without some of its messages, which are buried."""
        good = sorted({*range(len(messages))} - {*bad})
        decoded = self._decode(messages.only(good, batch_id=reference.batch_id), reference.batch_id, bounded=bounded)
        unprocessable.bury(decoded, reference, messages, bad, detail=detail)
        return decoded

    def _decode(self, messages: Messages, batch_id: str, *, bounded: bool) -> Decoded:
        """Decodes until every field has its kind, then drops what earlier batches brought."""
        known = dict(self.schemas.known())
        decoded = decode(messages, self.options, known, batch_id=batch_id, bounded=bounded)
        for _ in range(MAX_SCHEMA_ROUNDS):
            if not decoded.unknown:
                break
            known.update(self.schemas.extend(decoded.unknown))
            del decoded  # not to hold it while the next one grows
            decoded = decode(messages, self.options, known, batch_id=batch_id, bounded=bounded)
        decoded.counts["fields-unsettled"] += sum(map(len, decoded.unknown.values()))
        if decoded.identities:
            repeats = self.repeats.claim(decoded.identities, ttl_ms=self.options.dedupe_ms)
            decoded.without(repeats)
            decoded.counts["repeats"] += len(repeats)
        return decoded


def counts(decoded: Decoded) -> dict[str, int]:
    """What a batch adds to the counters: `ingest.records`, `dead.ingest.<reason>` and so on."""
    found = {
        f"dead.{STAGE}.{name.removeprefix('dead.')}" if name.startswith("dead.") else f"ingest.{name}": count
        for name, count in decoded.counts.items()
    }
    return {**found, "ingest.records": len(decoded.lines), "ingest.payloads-cut": sum(map(documents.cut, decoded.dead))}


def inline(params: action.Args, journal: Journal, *, now: int) -> tuple[Reference, Messages | None]:
    """The batch that the parameters carry or point to, and its messages where they came along.

    Messages without a journal (a feed with `ack=started`, or somebody who fired the trigger by hand) are kept in Redis for a
    day under a name made of their bytes, so that the rest of the sequence finds them.
    """
    if "messages" not in params:
        return action.required_reference(params), None
    reference = batch.reference(params) if "journal" in params else None
    try:
        messages = batch.inline_messages(params["messages"], now=now)
    except BatchError:
        if reference is None:
            raise
        return reference, None
    if reference is None:
        raw = batch.pack(messages)
        reference = batch.direct_reference(raw)
        journal.put_direct(reference, raw, count=len(messages), now=now)
    return reference, messages


def run(params: action.Args) -> action.Result:
    """The action: ports from the parameters, then one batch."""
    with watchdog.watched(), action.failures_told(STAGE, params):
        return _run(params)


def _run(params: action.Args) -> action.Result:
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
