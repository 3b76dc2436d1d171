"""The actions `window` and `close` as the runtime calls them, after the real `ingest`."""

from __future__ import annotations

import time

import orjson
import pytest
import redis

from hort import action, batch, keys, mapped_fields
from hort.counters import RedisCounters
from hort.errors import BatchError
from hort.journal import RedisJournal
from hort.schema import NUMERIC
from tests.support.actions import load_main
from tests.support.windows import pairs


def test_from_messages_to_documents(redis_client: redis.Redis, redis_url: str) -> None:
    now = time.time_ns() // 1_000_000 - 90_000
    journal = RedisJournal(redis_client)
    reference = batch.Reference("0123456789abcdef-0-1", keys.journal(0, "0123456789abcdef"))
    messages = [
        batch.Message(
            f"iot-2/type/bike/id/d{number % 3}/evt/s/fmt/json",
            orjson.dumps({"n": number, "ok": True}),
            now + number,
        )
        for number in range(30)
    ]
    journal.put(reference, batch.pack(batch.Messages.of(messages)), trigger="/_/t", count=30, now=now + 100)
    args = {"redis_url": redis_url, "__ow_headers": {"authorization": "Basic c2VjcmV0"}}
    answer = load_main("ingest")({**reference.as_result(), **args})
    answer = load_main("window")({**answer, **args})
    assert (answer["records"], answer["late"], answer["batch_id"]) == (30, 0, reference.batch_id)
    assert load_main("window")({**answer, **args})["again"]
    journal.ack(reference)
    assert load_main("window")({**answer, **args})["acked"]
    closed = load_main("close")(args)
    stage = journal.read_stage(batch.Reference(closed["batch_id"], closed["journal"]), ["analytics", "analytics-fields"])
    assert stage is not None
    assert mapped_fields.read(stage["analytics-fields"]) == {"bike": {"n": NUMERIC}}
    docs = [doc for _, doc in pairs(stage["analytics"])]
    assert {doc["id"] for doc in docs} == {"d0", "d1", "d2", None}
    assert all(list(doc["n"]) == ["n"] for doc in docs)
    assert load_main("close")(args)["batch_id"] == closed["batch_id"]
    journal.ack(batch.Reference(closed["batch_id"], closed["journal"]))
    assert load_main("close")(args)["acked"]


def test_window_needs_a_batch(redis_url: str, redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BatchError, match="batch_id"):
        load_main("window")({"redis_url": redis_url})
    assert RedisCounters(redis_client).all() == {"window.failed.batch": 1}
    (line,) = capsys.readouterr().err.splitlines()
    assert orjson.loads(line)["event"] == "window.failed"
    assert action.done(batch.Reference("a", "b")) == {"batch_id": "a", "journal": "b", "acked": True}
