"""Action `score`: sends each record of a staged batch with its last window to each model that applies."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from hort import (
    action,
    batch,
    clock,
    config,
    isolation,
    join,
    mapped_fields,
    replay,
    score,
    store,
    unprocessable,
    urls,
    watchdog,
)
from hort.breaker import RedisBreakers
from hort.counters import RedisCounters
from hort.errors import BatchError, BatchTooLarge
from hort.journal import RedisJournal
from hort.model_store import RedisModelStore
from hort.records import Records
from hort.results import RESULTS_BYTES, STAGE, Room, Sheet

STAGED = ("events", "keys", "key_index", "count", "dead", replay.MODELS, replay.REPLAYED)


def main(args: dict[str, Any]) -> dict[str, Any]:
    params = action.strip(args)
    with watchdog.watched(), action.failures_told(STAGE, params):
        return _main(params)


def _main(params: dict[str, Any]) -> dict[str, Any]:
    reference = action.required_reference(params)
    journal = action.journal(params)
    before = journal.read_stage(reference, ["results"])
    if before is None:
        return action.done(reference)
    if "results" in before:
        return {**reference.as_result(), "scored": "before"}
    stage = journal.read_stage(reference, STAGED)
    if stage is None:
        return action.done(reference)
    sheets = _bounded(params, reference, journal, stage)
    if sheets is None:
        return action.done(reference)
    scored = score.scored(sheets)
    kept = journal.write_stage(reference, _fields(scored, sheets, stage), "results")
    _tell(params, reference, scored, sheets, kept=kept)
    if kept:
        return {**reference.as_result(), "models": len(sheets), "results": dict(scored.statuses)}
    if journal.read_stage(reference, ["results"]) is None:
        return action.done(reference)
    return {**reference.as_result(), "scored": "by another"}


def _tell(
    params: dict[str, Any], reference: batch.Reference, scored: score.Scored, sheets: list[Sheet], *, kept: bool
) -> None:
    client = store.connect(params)
    counts = {**scored.made, **scored.counts} if kept else scored.made
    RedisCounters(client).add(counts)
    score.note(RedisModelStore(client), sheets, kept=kept, now=clock.now_ms())
    action.log_trouble("score.trouble", reference, counts, models=score.troubles(sheets))


def _bounded(
    params: dict[str, Any], reference: batch.Reference, journal: RedisJournal, stage: dict[str, bytes]
) -> list[Sheet] | None:
    """The sheets of a batch whose windows and results can be held at once; None where its parts have taken its place."""
    if int(stage.get("count", b"0")) > 1:
        try:
            return _score(params, reference, stage, Room(RESULTS_BYTES), join.JOINED_BYTES)
        except BatchTooLarge:
            if unprocessable.split_staged(reference, journal, RedisCounters(store.connect(params)), step=STAGE):
                return None
            stage.update(journal.read_stage(reference, STAGED) or {})  # the events are not held while models are asked
    return _score(params, reference, stage, Room(), math.inf)


def _score(params: dict[str, Any], reference: batch.Reference, stage: dict[str, bytes], room: Room, windows_bytes: float) -> list[Sheet]:
    for name in ("events", "keys", "key_index"):
        if name not in stage:
            raise BatchError(
                f"stage of batch {reference.batch_id} has no '{name}': ingest comes before score"
            )
    redis_url = config.text(params, "redis_url", default=store.DEFAULT_URL)
    client = store.client(redis_url)
    found = score.asked(_active(redis_url)(), stage)
    records = Records(stage.pop("events"), stage["keys"], stage["key_index"])
    if found and len(records):
        present = records.present()  # a part of a batch has the keys of all of it
        windows, types = join.lookup(client, reference.partition, [records.keys[key] for key in present], most_bytes=windows_bytes)
        records.join(dict(zip(present, windows, strict=True)), types)
    scorer, breakers = _scorer(urls.policy(params)), RedisBreakers(client)
    ends = time.monotonic() + score.budget_s(params)
    sheets = []
    for positions in _parts(RedisJournal(client), reference, len(records)):
        left_s = max(0.0, ends - time.monotonic())
        watchdog.restart(watchdog.PART_S, alone=len(records) == 1, waits_s=left_s if found else 0.0)
        sheets += scorer.score(records.part(positions), found, breakers=breakers, budget_s=left_s, room=room)
    watchdog.restart()
    return sheets


def _parts(journal: RedisJournal, reference: batch.Reference, count: int) -> Iterable[range]:
    """The records at once; after a try that was killed in parts, so that the next one knows in which."""
    if count < 2 or not journal.trouble(reference, STAGE).tries:
        return [range(count)]
    return isolation.noted(journal, reference, STAGE, range(count))


def _fields(scored: score.Scored, sheets: list[Sheet], stage: dict[str, bytes]) -> dict[str, bytes]:
    names: dict[str, dict[str, str]] = {}
    for sheet in sheets:
        names.setdefault(sheet.model.name, {}).update(sheet.fields)
    staged = mapped_fields.staged(names)
    fields = {"results": scored.results, mapped_fields.stage_field("results"): staged, **score.answered(sheets, stage)}
    if scored.dead:
        fields["dead"] = stage.get("dead", b"") + scored.dead
    return fields


@lru_cache(maxsize=4)
def _active(redis_url: str) -> score.ActiveModels:
    return score.ActiveModels(RedisModelStore(store.client(redis_url)))


@lru_cache(maxsize=4)
def _scorer(policy: urls.Policy) -> score.Scorer:
    return score.Scorer(policy)
