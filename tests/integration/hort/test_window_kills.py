"""Real action processes killed with SIGKILL between an effect and its answer, and Redis killed between them: windows stay exact."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import orjson
import pytest
import redis
from elasticsearch import Elasticsearch

from hort import batch, keys, store
from hort.batch import Reference
from hort.counters import RedisCounters
from hort.journal import RedisJournal
from hort.windows import Grid
from tests.support.actions import load_main
from tests.support.polling import wait_until
from tests.support.services import Services
from tests.support.stopped_action import killed
from tests.support.windows import Record, World

REGISTRATION = "0123456789abcdef"
PANES = "hort.pane_store:RedisPaneStore"
JOURNAL = "hort.journal:RedisJournal"
ELASTIC = "hort.elastic:ElasticStore"
DEVICES = 3
SLIDE_MS = Grid().slide_ms
Documents = dict[str, dict[str, Any]]


@dataclass
class Stream:
    """Batches of records from a minute or more ago, so that their windows are due; what was sent is kept."""

    client: redis.Redis
    params: dict[str, Any]
    search: Elasticsearch
    began: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    sent: list[tuple[str, int, float]] = field(default_factory=list)
    batches: int = 0

    def put(self, ages_s: list[float]) -> Reference:
        """A batch in the journal with a record a device and age."""
        self.batches += 1
        reference = Reference(f"{REGISTRATION}-0-{self.batches:020x}", keys.journal(0, REGISTRATION))
        messages = []
        for age in ages_s:
            for device in range(DEVICES):
                record = (f"d{device}", self.began - int(age * 1000) - device, 1e9 + age * 0.1 + device)
                self.sent.append(record)
                payload = orjson.dumps({"at": record[1], "x": record[2]})
                messages.append(batch.Message(f"iot-2/type/bike/id/{record[0]}/evt/s/fmt/json", payload, self.began))
        raw = batch.pack(batch.Messages.of(messages))
        RedisJournal(self.client).put(reference, raw, trigger="/_/t", count=len(messages), now=self.began)
        return reference

    def run(self, action: str, answer: dict[str, Any]) -> dict[str, Any]:
        """An activation of a cold action in this process."""
        return load_main(action)({**self.params, **answer})

    def kill(self, action: str, where: str, when: str, answer: dict[str, Any]) -> None:
        """An activation that does not come back."""
        killed(action, where, when=when, args={**self.params, **answer})

    def deliver(self, reference: Reference, until: str = "sink") -> dict[str, Any]:
        """The sequence up to an action."""
        answer = reference.as_result()
        for name in ("ingest", "window", "sink"):
            answer = self.run(name, answer)
            if name == until:
                break
        return answer

    def close(self) -> None:
        """Ticks until nothing is left; a turn and a claim of what was killed have ended."""
        for _ in range(10):
            self.client.delete(keys.window(0, "turn"))
            for name in cast("list[bytes]", self.client.zrange(keys.journal(0, "close"), 0, -1)):
                self.client.zadd(keys.journal(0, "close"), {name: 0})
            answer = self.run("close", {})
            if answer.get("acked"):
                return
            self.run("sink", answer)
        raise AssertionError("closing comes to no end")

    def stored(self, index: str) -> Documents:
        self.search.indices.refresh(index=index, ignore_unavailable=True)
        found = self.search.search(index=index, size=5_000, ignore_unavailable=True)
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}

    def check(self) -> None:
        """Every due window of both levels against numpy, and every record once."""
        wanted: dict[tuple[str | None, int], list[float]] = defaultdict(list)
        grid, due = Grid(), Grid().due(time.time_ns() // 1_000_000)
        for device, at, value in self.sent:
            for end in grid.ends_of(at):
                wanted[device, end].append(value)
                wanted[None, end].append(value)
        docs = self.stored("analytics").values()
        got = {(doc["id"], _ms(doc["window_end"])): doc for doc in docs}
        assert len(got) == len(docs)
        assert {key for key in wanted if key[1] <= due - 15_000} <= got.keys() <= wanted.keys()
        for key, doc in got.items():
            values, found = np.array(wanted[key]), doc["properties"]
            assert doc["count"] == len(values), key
            np.testing.assert_allclose(found["avg"]["x"], values.mean(), rtol=1e-12)
            np.testing.assert_allclose(found["std"]["x"], values.std(), rtol=1e-6, atol=1e-6)
            assert (found["min"]["x"], found["max"]["x"]) == (values.min(), values.max())
        assert len(self.stored("all-events")) == len(self.sent)


def _ms(text: str) -> int:
    return int(np.datetime64(text.rstrip("Z"), "ms").astype(int))


@pytest.fixture
def stream(
    redis_client: redis.Redis, redis_url: str, elasticsearch_client: Elasticsearch, elasticsearch_url: str
) -> Iterator[Stream]:
    params = {"redis_url": redis_url, "elasticsearch_url": elasticsearch_url, "time_field": "at"}
    yield Stream(redis_client, params, elasticsearch_client)
    store.client.cache_clear()


@pytest.mark.parametrize(
    ("action", "where", "when"),
    [
        ("ingest", f"{JOURNAL}.write_stage", "after"),
        ("window", f"{PANES}.add", "before"),
        ("window", f"{PANES}.add", "after"),
        ("sink", f"{ELASTIC}.bulk", "after"),
        ("sink", f"{JOURNAL}.ack", "after"),
    ],
)
def test_killed_in_the_sequence(stream: Stream, action: str, where: str, when: str) -> None:
    """The batch is delivered again and counts once."""
    reference = stream.put([61, 75, 90, 120.5])
    steps = ["ingest", "window", "sink"]
    before = steps[: steps.index(action)]
    answer = stream.deliver(reference, until=before[-1]) if before else reference.as_result()
    stream.kill(action, where, when, answer)
    stream.deliver(reference)
    stream.deliver(reference)
    assert RedisJournal(stream.client).size(reference.journal) == 0
    stream.close()
    stream.check()
    assert {doc["revision"] for doc in stream.stored("analytics").values()} == {0}


@pytest.mark.parametrize(("where", "when"), [("stage", "after"), ("commit", "before"), ("commit", "after")])
def test_close_killed(stream: Stream, where: str, when: str) -> None:
    """Between what it wrote and its outbox, and between outbox and answer: each window is written once, also after late data."""
    stream.deliver(stream.put([61, 75, 90]))
    stream.kill("close", f"{PANES}.{where}", when, {})
    stream.deliver(stream.put([62.5, 88]))
    stream.close()
    stream.check()
    assert max(doc["revision"] for doc in stream.stored("analytics").values()) <= 1


def test_sink_of_a_close_killed(stream: Stream) -> None:
    stream.deliver(stream.put([61, 75, 90]))
    stream.kill("sink", f"{JOURNAL}.ack", "before", stream.run("close", {}))
    assert stream.run("close", {})["busy"]
    stream.deliver(stream.put([70]))
    stream.close()
    stream.check()


def test_an_old_close_s_documents_never_replace_newer_ones(stream: Stream) -> None:
    """A sink that was held up for longer than its claim writes when the next revision is long stored."""
    # No window begins or ends within 5 s of these ages: else a window with records of one batch alone is only written once.
    stream.began -= (stream.began - SLIDE_MS // 2) % SLIDE_MS
    stream.deliver(stream.put([61, 75]))
    answer = stream.run("close", {})
    old = Reference(answer["batch_id"], answer["journal"])
    journal = RedisJournal(stream.client)
    stage = journal.read_stage(old, ["analytics"])
    assert stage
    stream.run("sink", answer)
    stream.deliver(stream.put([62, 76]))
    stream.close()
    newer = stream.stored("analytics")
    journal.put(old, b"", trigger="close", count=1, now=stream.began)
    journal.write_stage(old, stage)
    stream.run("sink", answer)
    assert stream.stored("analytics") == newer
    assert {doc["revision"] for doc in newer.values()} == {1}
    assert RedisCounters(stream.client).all()["sink.superseded"] > 0
    stream.check()


def test_redis_killed_between_all_steps(stream: Stream, stack: Services) -> None:
    reference = stream.put([61, 75, 90])
    answer = reference.as_result()
    for name in ("ingest", "window", "sink"):
        _kill_redis(stack, stream.client)
        answer = stream.run(name, answer)
    _kill_redis(stack, stream.client)
    answer = stream.run("close", {})
    _kill_redis(stack, stream.client)
    stream.run("sink", answer)
    stream.deliver(stream.put([63]))
    stream.close()
    stream.check()
    assert {doc["revision"] for doc in stream.stored("analytics").values()} == {0, 1}


def test_later_than_allowed_is_kept_and_marked(stream: Stream) -> None:
    stream.deliver(stream.put([61, 75]))
    stream.close()
    before = stream.stored("analytics")
    sent = len(stream.sent)
    stream.deliver(stream.put([3_600]))
    stream.close()
    assert stream.stored("analytics") == before
    events = stream.stored("all-events").values()
    assert sorted(event.get("late", False) for event in events) == [False] * sent + [True] * DEVICES
    assert RedisCounters(stream.client).all()["window.late"] == DEVICES


def test_silent_once_and_resumed_once_while_redis_is_killed(redis_client: redis.Redis, stack: Services) -> None:
    world = World.in_redis(redis_client)
    for number, at in enumerate(range(0, 400_000, 15_000)):
        world.clock.now += 15_000
        reference = world.put([Record("steady", at), *([Record("gone", at)] if not 30_000 < at < 200_000 else [])])
        world.window(reference)
        if number % 11 == 10:
            _kill_redis(stack, redis_client)
        world.window(reference)
        world.journal.ack(reference)
        answer = world.close()
        if number % 11 == 10:
            _kill_redis(stack, redis_client)
            world.close()
        world.sink(answer)
    assert [(doc["alarm"], doc["device_id"]) for doc in world.alarms] == [("silent", "gone"), ("resumed", "gone")]


def _kill_redis(stack: Services, client: redis.Redis) -> None:
    os.kill(stack.pid("redis"), signal.SIGKILL)
    wait_until(lambda: _gone(client.ping), what="death of Redis")
    stack.start("redis")


def _gone(ping: Callable[[], object]) -> bool:
    try:
        ping()
    except redis.ConnectionError:
        return True
    return False
