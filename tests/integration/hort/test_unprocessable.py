"""A batch that no action gets through ends in dead-letters, by the actions' own entry points over real services."""

from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch

from hort import clock, store
from hort.errors import BatchError
from hort.journal import RedisJournal
from tests.integration.hort.test_stream_ends import REFERENCE, load, put, stored

SEQUENCE = ("ingest", "window", "score", "sink")


@pytest.fixture
def params(redis_url: str, elasticsearch_url: str) -> dict[str, Any]:
    store.client.cache_clear()
    return {"redis_url": redis_url, "elasticsearch_url": elasticsearch_url, "max_attempts": 2}


def deliver(params: dict[str, Any]) -> dict[str, Any]:
    """One fire through the whole sequence."""
    result = REFERENCE.as_result()
    for name in SEQUENCE:
        result = load(name)({**params, **result})
    return result


def test_an_unreadable_batch(
    params: dict[str, Any], redis_client: "redis.Redis", elasticsearch_client: Elasticsearch
) -> None:
    journal = RedisJournal(redis_client)
    journal.put(REFERENCE, b"\xc1" * 100, trigger="/_/t", count=1, now=clock.now_ms())
    for _ in range(2):
        with pytest.raises(BatchError):
            deliver(params)
    assert deliver(params)["stored"] == {"dead-letters": 1}
    (letter,) = stored(elasticsearch_client, "dead-letters").values()
    assert (letter["stage"], letter["reason"], letter["payload_bytes"]) == ("ingest", "unprocessable", 100)
    assert journal.size(REFERENCE.journal) == 0


SPOILT = {"window": {"cols": b"\xc1"}, "score": {"key_index": b"", "late": b""}}
"""Action -> stage fields with which it fails, though those before it are through."""


@pytest.mark.parametrize("step", SPOILT)
def test_a_stage_that_one_action_cannot_read(
    params: dict[str, Any], redis_client: "redis.Redis", elasticsearch_client: Elasticsearch, step: str
) -> None:
    journal = RedisJournal(redis_client)
    put(journal, {"n": 1})
    load("ingest")({**params, **REFERENCE.as_result()})
    journal.write_stage(REFERENCE, SPOILT[step])
    other = type(REFERENCE)("aaaa-0-2", REFERENCE.journal)
    for _ in range(2):
        with pytest.raises(BatchError):
            deliver(params)
        put(journal, {"n": 2}, reference=other)
        journal.ack(other)
    assert deliver(params)["stored"] == {"all-events": 1, "dead-letters": 1}
    (letter,) = stored(elasticsearch_client, "dead-letters").values()
    assert (letter["stage"], letter["reason"]) == (step, "unprocessable")
    assert journal.size(REFERENCE.journal) == 0
