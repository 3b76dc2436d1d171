"""From ingest to sink through a real Redis and Elasticsearch, by the actions' own entry points."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch

from hort import batch, clock, indices, store
from hort.batch import Reference
from hort.errors import ConfigError, SinkUnavailable
from hort.journal import RedisJournal
from tests.support.ingest import documents, messages, topic
from tests.support.paths import ROOT
from tests.support.services import Services

REFERENCE = Reference("aaaa-0-1", "hort:{0}:journal:aaaa")
Action = Callable[[dict[str, Any]], dict[str, Any]]


def load(name: str) -> Action:
    """The `main` of an action, loaded as OpenWhisk's runtime does: by file."""
    spec = importlib.util.spec_from_file_location(f"action_{name}", ROOT / "actions" / name / "__main__.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Action = module.main
    return main


@pytest.fixture
def params(redis_url: str, elasticsearch_url: str) -> Iterator[dict[str, Any]]:
    yield {
        "redis_url": redis_url,
        "elasticsearch_url": elasticsearch_url,
        "__ow_headers": {"authorization": "Basic c2VjcmV0"},
    }
    store.client.cache_clear()


@pytest.fixture
def journal(redis_client: "redis.Redis") -> RedisJournal:
    return RedisJournal(redis_client)


def put(journal: RedisJournal, *contents: Any, on: str = topic(), reference: Reference = REFERENCE) -> None:
    found = messages(*contents, on=on)
    journal.put(reference, batch.pack(found), trigger="/_/t", count=len(found), now=clock.now_ms())


def stored(search: Elasticsearch, index: str) -> dict[str, dict[str, Any]]:
    search.indices.refresh(index=index, ignore_unavailable=True)
    found = search.search(index=index, size=1_000, ignore_unavailable=True)
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


def test_same_batch_three_times_is_stored_once(
    params: dict[str, Any], journal: RedisJournal, elasticsearch_client: Elasticsearch
) -> None:
    for _ in range(3):
        put(journal, {"n": 1}, [{"n": 2}, {"n": 3}], b"nope", b'{"n": NaN}')
        result = load("sink")({**params, **load("ingest")({**params, **REFERENCE.as_result(), "count": 4})})
        assert result["stored"] == {"all-events": 3, "dead-letters": 2}

    events, letters = stored(elasticsearch_client, "all-events"), stored(elasticsearch_client, "dead-letters")
    assert sorted(row["data"]["n"] for row in events.values()) == [1, 2, 3]
    assert sorted(row["reason"] for row in letters.values()) == ["nan", "not-json"]
    assert journal.size(REFERENCE.journal) == 0
    assert "c2VjcmV0" not in json.dumps([events, letters])


def test_whole_sequence_again_after_the_ack_does_nothing(
    params: dict[str, Any], journal: RedisJournal, elasticsearch_client: Elasticsearch
) -> None:
    put(journal, {"n": 1})
    for expected in (False, True):
        ingested = load("ingest")({**params, **REFERENCE.as_result()})
        assert load("sink")({**params, **ingested}).get("acked", False) is expected


def test_inline_messages_without_a_journal_go_all_the_way(
    params: dict[str, Any], redis_client: "redis.Redis", elasticsearch_client: Elasticsearch
) -> None:
    event = json.loads((Path(ROOT) / "tests/events/ingest-by-hand.json").read_text())

    ingested = load("ingest")({**params, **event["args"]})
    assert 0 < redis_client.ttl(batch.reference(ingested).batch_key) <= 86_400  # type: ignore[union-attr]
    load("sink")({**params, **ingested})

    assert len(stored(elasticsearch_client, "all-events")) == 1
    assert not redis_client.keys("hort:{0}:batch:*")
    assert not redis_client.keys("hort:{0}:stage:*")


def test_two_types_with_one_field_name_are_both_stored(
    params: dict[str, Any], journal: RedisJournal, elasticsearch_client: Elasticsearch
) -> None:
    values = {"bike": 1, "bus": "one", "car": True, "cat": {"y": 1}, "dog": ["a"]}
    for number, (device_type, value) in enumerate(values.items()):
        reference = Reference(f"aaaa-0-{number}", REFERENCE.journal)
        put(journal, {"x": value}, on=topic(device_type), reference=reference)
        ingested = load("ingest")({**params, **reference.as_result()})
        assert load("sink")({**params, **ingested})["stored"] == {"all-events": 1}

    found = {row["device_type"]: row["data"] for row in stored(elasticsearch_client, "all-events").values()}
    assert found == {
        "bike": {"x": 1},
        "bus": {"x": "one"},
        "car": {"x": True},
        "cat": {"x.y": 1},
        "dog": {"x": ["a"]},
    }


def test_values_can_be_searched_as_what_they_are_from_the_first_batch_on(
    params: dict[str, Any], journal: RedisJournal, elasticsearch_client: Elasticsearch
) -> None:
    put(journal, {"rpm": 9, "mode": "slow"}, {"rpm": 10.5, "mode": "fast", "motor": {"on": True}}, {"tags": ["a", "b"]})
    load("sink")({**params, **load("ingest")({**params, **REFERENCE.as_result()})})

    elasticsearch_client.indices.refresh(index="all-events")
    for query in (
        {"range": {"data.rpm": {"gt": 9.5}}},
        {"term": {"data.mode": "fast"}},
        {"term": {"data.motor.on": "true"}},
        {"term": {"data.tags": "b"}},
    ):
        assert elasticsearch_client.count(index="all-events", query=query)["count"] == 1
    found = elasticsearch_client.search(index="all-events", size=0, aggs={"mean": {"avg": {"field": "data.rpm"}}})
    assert found["aggregations"]["mean"]["value"] == 9.75


def test_document_that_elasticsearch_refuses_becomes_a_dead_letter(
    params: dict[str, Any],
    journal: RedisJournal,
    redis_client: "redis.Redis",
    elasticsearch_client: Elasticsearch,
) -> None:
    put(journal, {"n": 1}, {"n": 2})
    ingested = load("ingest")({**params, **REFERENCE.as_result()})
    stage = journal.read_stage(REFERENCE, ["events"]) or {}
    broken = stage["events"].replace(b'"@timestamp":"2026-01-31T12:00:00.124Z"', b'"@timestamp":"noon"')
    journal.write_stage(REFERENCE, {"events": broken})

    result = load("sink")({**params, **ingested})

    assert result["stored"] == {"all-events": 1, "dead": 1}
    (letter,) = stored(elasticsearch_client, "dead-letters").values()
    assert (letter["stage"], letter["reason"]) == ("sink", "document_parsing_exception")
    assert "noon" in letter["detail"]
    assert journal.size(REFERENCE.journal) == 0


def test_malformed_action_line_costs_only_its_own_document(
    params: dict[str, Any], journal: RedisJournal, elasticsearch_client: Elasticsearch
) -> None:
    put(journal, {"n": 1}, {"n": 2}, {"n": 3})
    ingested = load("ingest")({**params, **REFERENCE.as_result()})
    stage = journal.read_stage(REFERENCE, ["events"]) or {}
    second = documents(stage["events"])[1]["_id"].encode()
    too_long = stage["events"].replace(b'"_id":"%b"' % second, b'"_id":"%b"' % (b"x" * 600))
    journal.write_stage(REFERENCE, {"events": too_long})

    assert load("sink")({**params, **ingested})["stored"] == {"all-events": 2, "dead": 1}


def test_elasticsearch_that_is_down_keeps_the_batch(
    params: dict[str, Any],
    journal: RedisJournal,
    stack: Services,
    elasticsearch_client: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hort.bulk_writer.PAUSES_S", (0.01, 0.01))
    put(journal, {"n": 1})
    ingested = load("ingest")({**params, **REFERENCE.as_result()})
    away = {**params, **ingested, "elasticsearch_url": "http://127.0.0.1:9"}

    for attempt in range(2):
        before = clock.now_ms()
        with pytest.raises(SinkUnavailable) as caught:
            load("sink")(away)
        assert "c2VjcmV0" not in str(caught.value)
        wait = 2_000 << attempt
        assert not journal.due(REFERENCE.journal, now=before + wait - 100, limit=1)
        assert journal.due(REFERENCE.journal, now=clock.now_ms() + wait, limit=1)

    assert load("sink")({**params, **ingested})["stored"] == {"all-events": 1}


def test_read_only_index_keeps_the_batch(
    params: dict[str, Any],
    journal: RedisJournal,
    elasticsearch_client: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hort.bulk_writer.PAUSES_S", (0.01,))
    elasticsearch_client.indices.create(index="all-events", settings={"index.blocks.write": True})
    put(journal, {"n": 1})
    ingested = load("ingest")({**params, **REFERENCE.as_result()})

    with pytest.raises(SinkUnavailable, match="403"):
        load("sink")({**params, **ingested})

    elasticsearch_client.indices.put_settings(index="all-events", settings={"index.blocks.write": False})
    assert load("sink")({**params, **ingested})["stored"] == {"all-events": 1}


def test_prefix_keeps_installations_apart(
    params: dict[str, Any], journal: RedisJournal, elasticsearch_client: Elasticsearch
) -> None:
    put(journal, {"n": 1})
    ingested = load("ingest")({**params, **REFERENCE.as_result()})

    load("sink")({**params, **ingested, "index_prefix": "test-"})

    assert len(stored(elasticsearch_client, "test-all-events")) == 1
    mapping = elasticsearch_client.indices.get_mapping(index="test-all-events")["test-all-events"]["mappings"]
    assert mapping["properties"]["record_id"]["type"] == "keyword"


@pytest.mark.parametrize("prefix", ["Upper", "_x", "a/b", "*"])
def test_prefix_that_no_index_may_have(prefix: str) -> None:
    with pytest.raises(ConfigError, match="index_prefix"):
        indices.prefix({"index_prefix": prefix})
