"""Action `score`: sends each record of a staged batch with its last window to each model that applies."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hort import action, batch, clock, config, join, score, store, urls
from hort.breaker import RedisBreakers
from hort.counters import RedisCounters
from hort.errors import BatchError
from hort.model_store import RedisModelStore
from hort.records import Records

STAGED = ("events", "keys", "key_index", "dead")


def main(args: dict[str, Any]) -> dict[str, Any]:
    params = action.strip(args)
    reference = action.required_reference(params)
    journal = action.journal(params)
    scored = journal.read_stage(reference, ["results"])
    if scored is None:
        return action.done(reference)
    if "results" in scored:
        return {**reference.as_result(), "scored": "before"}
    stage = journal.read_stage(reference, STAGED)
    if stage is None:
        return action.done(reference)
    result, fields = _score(params, reference, stage)
    if not journal.write_stage(reference, fields):
        return action.done(reference)
    return {**reference.as_result(), **result}


def _score(
    params: dict[str, Any], reference: batch.Reference, stage: dict[str, bytes]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    for name in ("events", "keys", "key_index"):
        if name not in stage:
            raise BatchError(
                f"stage of batch {reference.batch_id} has no '{name}': ingest comes before score"
            )
    redis_url = config.text(params, "redis_url", default=store.DEFAULT_URL)
    client = store.client(redis_url)
    found = _active(redis_url)()
    records = Records(stage.pop("events"), stage["keys"], stage["key_index"])
    if found and len(records):
        records.join(*join.lookup(client, reference.partition, records.keys))
    sheets = _scorer(urls.policy(params)).score(
        records, found, breakers=RedisBreakers(client), budget_s=score.budget_s(params)
    )
    scored = score.scored(sheets)
    RedisCounters(client).add({"score.batches": 1, **scored.counts})
    score.note(RedisModelStore(client), sheets, now=clock.now_ms())
    fields = {"results": scored.results}
    if scored.dead:
        fields["dead"] = stage.get("dead", b"") + scored.dead
    return {"models": len(sheets), "results": dict(scored.statuses)}, fields


@lru_cache(maxsize=4)
def _active(redis_url: str) -> score.ActiveModels:
    return score.ActiveModels(RedisModelStore(store.client(redis_url)))


@lru_cache(maxsize=4)
def _scorer(policy: urls.Policy) -> score.Scorer:
    return score.Scorer(policy)
