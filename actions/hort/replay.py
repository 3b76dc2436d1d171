"""Dead letters on their way once more: a batch of their own in the feed's journal, through the same actions, under the same ids.

Such a batch brings what its messages were called the first time, so that records keep their ids, and fields that ingest puts
into the stage: which letters it replays, and what must not be done again.

| stage field | meaning |
|---|---|
| `replayed` | JSON list of ids in `dead-letters`: sink removes them before the ack, but for those that the batch wrote again |
| `stored` | the records are in `all-events` already: they keep their ids, claim nothing, and are not stored again |
| `models` | JSON list of model names: only these are asked |
| `late`, `results` | empty: `window`, `score` have nothing to do |
| `events`, `analytics`, `results`, `alarms` | documents that Elasticsearch refused, to be stored as they are |
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

import orjson

from hort import batch, keys
from hort.batch import Reference

REPLAYED = "replayed"
STORED = "stored"
MODELS = "models"

_MARK = "r"


def new_reference(registration: str, partition: int, now: int) -> Reference:
    """A fresh batch in a feed's journal whose id says that it is a replay."""
    batch_id = f"{registration}-{partition}-{now:012x}{_MARK}{secrets.token_hex(4)}"
    return Reference(batch_id, keys.journal(partition, registration))


def is_replay(batch_id: str) -> bool:
    """Whether a batch replays dead letters."""
    return batch.mark(batch_id) == _MARK


def letters(stage: Mapping[str, bytes]) -> list[str]:
    """The ids of the dead letters that a stage says it replays."""
    raw = stage.get(REPLAYED)
    return [str(name) for name in orjson.loads(raw)] if raw else []


def only(letters: Collection[str]) -> bytes:
    """The field `replayed` for these letters."""
    return orjson.dumps(list(letters))
