"""Templates in a real Elasticsearch: any two values may meet under one name."""

import itertools
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from hort import indices
from hort.bulk_writer import BulkWriter, pairs
from hort.document_store import ItemError
from hort.documents import bulk_line, result_object
from hort.elastic import ElasticStore
from tests.support.ingest import messages, settled

VALUES: dict[str, Any] = {
    "number": 1.5,
    "big": 2**64 - 1,
    "text": "abc",
    "number as text": "12",
    "long text": "x" * 40_000,
    "boolean": True,
    "null": None,
    "numbers": [1, 2],
    "mixed": [1, "a", True, None],
    "objects": [{"b": 1}],
    "lists": [[1], [2, "x"]],
    "object": {"b": 1},
    "empty object": {},
    "empty list": [],
}


class PatientStore(ElasticStore):
    """Gives a new index the time that a slow disk needs."""

    def bulk(self, index: str, body: bytes, *, timeout_s: float = 250.0) -> list[ItemError]:
        return super().bulk(index, body, timeout_s=timeout_s)


@pytest.fixture
def store(elasticsearch_client: Elasticsearch) -> ElasticStore:
    store = PatientStore(elasticsearch_client)
    indices.ensure(store)
    return store


def test_every_pair_of_values_under_one_name_is_stored(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    """One field name a pair, so that each pair meets on a fresh mapping."""
    pairs = list(itertools.permutations(VALUES, 2))
    elasticsearch_client.indices.create(index="all-events")
    elasticsearch_client.indices.put_settings(
        index="all-events", settings={"index.mapping.total_fields.limit": 20_000}
    )
    body = b"".join(
        b"".join(settled(messages({f"f{number}": VALUES[name]}), batch_id=f"b-{number}-{place}").lines)
        for number, pair in enumerate(pairs)
        for place, name in enumerate(pair)
    )

    assert store.bulk("all-events", body) == []

    elasticsearch_client.indices.refresh(index="all-events")
    assert elasticsearch_client.count(index="all-events")["count"] == 2 * len(pairs)


def test_numbers_can_be_aggregated_beside_texts_of_the_same_name(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    lines = [
        b"".join(settled(messages({"x": value}), batch_id=f"b-{value}").lines)
        for value in (1, 2, "abc", True)
    ]
    assert store.bulk("all-events", b"".join(lines)) == []
    elasticsearch_client.indices.refresh(index="all-events")

    found = elasticsearch_client.search(
        index="all-events", size=0, aggs={"sum": {"sum": {"field": "data.x"}}}
    )

    assert found["aggregations"]["sum"]["value"] == 3
    assert found["hits"]["total"]["value"] == 4


def test_name_and_dotted_name_live_side_by_side(store: ElasticStore) -> None:
    for number, data in enumerate(({"a": 1}, {"a.b": 2}, {"a": {"b": {"c": "x"}}}, {"a": "y"})):
        assert store.bulk("all-events", b"".join(settled(messages(data), batch_id=f"b-{number}").lines)) == []


@pytest.mark.parametrize(
    "name", ["", " ", ".", "a.", ".a", "a..b", "_id", "_source", "a b", "x\0y", "é/+|_", "*", "a" * 256]
)
def test_any_field_name_is_stored(store: ElasticStore, name: str) -> None:
    decoded = settled(messages({name: 1}, {"o": {name: 1}}))

    assert decoded.lines
    assert store.bulk("all-events", b"".join(decoded.lines)) == []


def test_new_fields_beyond_the_limit_are_kept_but_not_mapped(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    for number in range(12):
        data = {f"f{number}-{place}": place for place in range(250)}
        assert store.bulk("all-events", b"".join(settled(messages(data), batch_id=f"b-{number}").lines)) == []
    elasticsearch_client.indices.refresh(index="all-events")

    mapping = elasticsearch_client.indices.get_mapping(index="all-events")["all-events"]["mappings"]
    fields = mapping["properties"]["data"]["properties"]
    assert 1_500 < len(fields) <= indices.FIELD_LIMIT
    assert len(elasticsearch_client.get(index="all-events", id="b-11.0")["_source"]["data"]) == 250


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "danger-high", "score": 1.5},
        {"status": {"deep": [1, {"er": None}]}},
        [1, "a"],
        "text",
        None,
        True,
        {"long": "x" * 40_000},
        {"": 1, " ": 2, ".": 3, "a.": 4},
        {"a\0b": 1},
        {"a": "\0"},
        orjson.loads(b'{"a":' * 100 + b"1" + b"}" * 100),
        [[[[{"a": [[]]}]]]],
        {"a": {}, "b": []},
    ],
)
def test_any_answer_of_a_model_is_stored(store: ElasticStore, answer: Any) -> None:
    assert store.bulk("model-results", bulk_line("1", {"model": "m", "result": result_object(answer)})) == []


def test_analytics_of_dotted_fields_are_stored(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    for number, names in enumerate((["a", "a.b"], ["a.b.c", "a"])):
        numbers = dict.fromkeys(names, 1.5)
        doc = {
            "properties": {"max": numbers, "std": numbers},
            "n": dict.fromkeys(names, 3),
            "windowclose date": "2026-01-31T12:00:00.000Z",
        }
        assert store.bulk("analytics", bulk_line(str(number), doc)) == []
    elasticsearch_client.indices.refresh(index="analytics")

    found = elasticsearch_client.search(
        index="analytics", size=0, aggs={"m": {"max": {"field": "properties.max.a.b"}}}
    )
    assert found["aggregations"]["m"]["value"] == 1.5


def test_templates_come_back_after_a_wipe(store: ElasticStore, elasticsearch_client: Elasticsearch) -> None:
    assert indices.ensure(store) == 0
    elasticsearch_client.indices.delete_index_template(name="hort-*")

    assert indices.ensure(store) == len(indices.PROPERTIES)


def test_stale_request_does_not_write_an_old_version_over_a_newer_one(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    """A sink that hung in Elasticsearch while the next one stored the window's next revision."""
    for revision in (0, 0, 1, 0):
        body = pairs(bulk_line("w", {"revision": revision}, version=revision) + bulk_line(f"o{revision}", {}))
        written = BulkWriter(store, time_s=250).write("analytics", body)
        assert (written.stored, written.rejected) == (2, [])

    elasticsearch_client.indices.refresh(index="analytics")
    assert elasticsearch_client.get(index="analytics", id="w")["_source"] == {"revision": 1}
    assert elasticsearch_client.count(index="analytics")["count"] == 3
