"""What a real Elasticsearch refuses for a reason of its own is put off, told, and stored when the reason is lifted."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import redis
from elasticsearch import Elasticsearch

from hort import batch, documents, mapped_fields
from hort.batch import Reference
from hort.bulk_writer import BulkWriter
from hort.counters import RedisCounters
from hort.elastic import ElasticStore
from hort.errors import DocumentsPutOff, SinkUnavailable
from hort.journal import RedisJournal
from hort.schema import NUMERIC
from hort.sink import Sink
from tests.support.ingest import messages
from tests.support.polling import wait_until

REFERENCE = Reference("aaaa-0-1", "hort:{0}:journal:aaaa")
INDEX = "x-all-events"
ROOM_FOR_NONE = {"persistent": {"cluster.max_shards_per_node": 1}}
NO_INDEX = {"persistent": {"action.auto_create_index": "false"}}
AGAIN = {"persistent": {"cluster.max_shards_per_node": None, "action.auto_create_index": None}}


@dataclass
class World:
    """A sink over real servers, and a batch with a record and a dead letter."""

    client: Elasticsearch
    journal: RedisJournal
    counters: RedisCounters
    store: ElasticStore

    def put(self) -> None:
        self.journal.put(REFERENCE, batch.pack(messages({"n": 1})), trigger="/_/t", count=1, now=1_000)
        letter = documents.dead_letter(
            "m", stage="ingest", reason="not-json", detail="", topic="t", batch_id=REFERENCE.batch_id, payload=b"?", at_ms=1_000
        )
        events = b"".join(documents.bulk_line(f"aaaa-0-1.{number}", {"data": {"n": number}}) for number in range(3))
        self.journal.write_stage(REFERENCE, {"events": events, "dead": letter})

    def run(self, *, time_s: float = 60.0) -> dict[str, Any]:
        writer = BulkWriter(self.store, time_s=time_s, pause=lambda _: None)
        return Sink(self.journal, self.store, self.counters, "x-").run(REFERENCE, writer)

    def settings(self, body: dict[str, Any]) -> None:
        self.client.cluster.put_settings(**body)

    def index(self, **body: Any) -> None:
        self.client.indices.create(index=INDEX, **body)


@pytest.fixture
def world(redis_client: "redis.Redis", elasticsearch_client: Elasticsearch) -> World:
    client = elasticsearch_client
    return World(client, RedisJournal(redis_client), RedisCounters(redis_client), ElasticStore(client))


def _no_room(world: World) -> None:
    world.client.indices.create(index="other")
    world.settings(ROOM_FOR_NONE)


def _alias_without_write_index(world: World) -> None:
    for name in ("one", "two"):
        world.client.indices.create(index=name, aliases={INDEX: {}})


def _choose_write_index(world: World) -> None:
    world.client.indices.put_alias(index="two", name=INDEX, is_write_index=True)


def _closed(world: World) -> None:
    world.index()
    world.client.indices.close(index=INDEX)


def _open(world: World) -> None:
    world.client.indices.open(index=INDEX)


def _block(name: str, *, on: bool) -> Callable[[World], None]:
    def change(world: World) -> None:
        if on:
            world.index()
        world.client.indices.put_settings(index=INDEX, settings={f"index.blocks.{name}": on})

    return change


REASONS: dict[str, tuple[Callable[[World], None], Callable[[World], None]]] = {
    "shard limit": (_no_room, lambda world: world.settings(AGAIN)),
    "no write index": (_alias_without_write_index, _choose_write_index),
    "write block": (_block("write", on=True), _block("write", on=False)),
    "full disk": (_block("read_only_allow_delete", on=True), _block("read_only_allow_delete", on=False)),
    "closed index": (_closed, _open),
    "no automatic index": (lambda world: world.settings(NO_INDEX), lambda world: world.settings(AGAIN)),
}


@pytest.mark.parametrize("reason", REASONS)
def test_put_off_until_it_is_lifted(world: World, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    impose, lift = REASONS[reason]
    world.put()
    impose(world)
    try:
        with pytest.raises(SinkUnavailable):
            world.run()
        assert world.journal.size(REFERENCE.journal) == 1
        assert "sink.unavailable" in capsys.readouterr().err
    finally:
        lift(world)

    assert world.run()["stored"] == {"all-events": 3, "dead-letters": 1}
    assert world.journal.size(REFERENCE.journal) == 0
    assert not [name for name in world.counters.all() if name.startswith("dead.") or "unburied" in name]


SHUT = {name: REASONS[name] for name in ("no write index", "closed index")} | {
    "read-only index": (_block("read_only", on=True), _block("read_only", on=False)),
    "metadata block": (_block("metadata", on=True), _block("metadata", on=False)),
}


@pytest.mark.parametrize("reason", SHUT)
def test_index_that_takes_no_names_keeps_nothing_from_the_others(world: World, reason: str) -> None:
    impose, lift = SHUT[reason]
    world.put()
    results = b"".join(documents.bulk_line(f"r{number}", {"result": {"n": number}}) for number in range(2))
    names = mapped_fields.staged({"pump": {"n": NUMERIC}})
    world.journal.write_stage(REFERENCE, {"results": results, "results-fields": names, "events-fields": names})
    impose(world)
    try:
        with pytest.raises(DocumentsPutOff):
            world.run()
        world.client.indices.refresh(index="x-model-results,x-dead-letters")
        assert world.client.count(index="x-model-results")["count"] == 2
        assert world.client.count(index="x-dead-letters")["count"] == 1
        assert world.journal.size(REFERENCE.journal) == 1
    finally:
        lift(world)

    assert world.run()["stored"] == {"all-events": 3, "model-results": 2, "dead-letters": 1}
    found = world.store.mapping(INDEX)
    assert found is not None
    assert "n" in found["properties"]["data"]["properties"], "the names that had to wait are mapped"


def test_document_that_cannot_be_parsed_is_a_dead_letter_and_the_others_are_stored(world: World) -> None:
    world.put()
    bad = documents.bulk_line("bad", b'{"@timestamp":"\\ud800","data":{}}')
    stage = world.journal.read_stage(REFERENCE, ["events"])
    assert stage is not None
    world.journal.write_stage(REFERENCE, {"events": stage["events"] + bad})

    assert world.run()["stored"] == {"all-events": 3, "dead-letters": 1, "dead": 1}

    world.client.indices.refresh(index="x-dead-letters")
    letter = world.client.get(index="x-dead-letters", id="all-events/bad-sink")["_source"]
    assert letter["reason"] == "document_parsing_exception"


def test_request_that_elasticsearch_still_works_on_is_known_by_its_batch(world: World, elasticsearch_url: str) -> None:
    """Its answer is waited for by nobody any more: the primary shard is missing."""
    nowhere = {"index.routing.allocation.require.rack": "none", "index.write.wait_for_active_shards": 0}
    world.client.indices.create(index=INDEX, settings=nowhere, wait_for_active_shards="0", timeout="1s")
    line = documents.bulk_line("a", {"n": 1})
    store = ElasticStore(Elasticsearch(elasticsearch_url))
    sender = threading.Thread(target=store.bulk, args=(INDEX, line), kwargs={"timeout_s": 120.0, "batch_id": "b-1"})
    sender.start()
    try:
        wait_until(lambda: world.store.under_way("b-1"), what="the request under way")
        assert not world.store.under_way("b-2")
    finally:
        world.client.indices.put_settings(index=INDEX, settings={"index.routing.allocation.require.rack": None})
        sender.join()
    assert not world.store.under_way("b-1")
    assert orjson.dumps(world.client.get(index=INDEX, id="a")["_source"]) == b'{"n":1}'
