"""Templates in a real Elasticsearch: any two values may meet under one name."""

import itertools
from collections import Counter
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from hort import indices
from hort.bulk_writer import BulkWriter, pairs
from hort.document_store import ItemError
from hort.documents import bulk_line, result_object
from hort.elastic import ElasticStore
from hort.schema import NUMERIC, STRING
from tests.support.ingest import messages, settled, topic

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

    def bulk(self, index: str, body: bytes, *, timeout_s: float = 250.0, batch_id: str = "") -> list[ItemError]:
        return super().bulk(index, body, timeout_s=timeout_s, batch_id=batch_id)


@pytest.fixture
def store(elasticsearch_client: Elasticsearch) -> ElasticStore:
    store = PatientStore(elasticsearch_client)
    indices.ensure(store)
    return store


def test_every_pair_of_values_under_one_name_is_stored(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    """One field name a pair, mapped by the kind of its first value, so that each value meets each kind."""
    pairs = list(itertools.permutations(VALUES, 2))
    decoded = [
        settled(messages({f"f{number}": VALUES[name]}), batch_id=f"b-{number}-{place}")
        for number, pair in enumerate(pairs)
        for place, name in enumerate(pair)
    ]
    indices.ensure(store, brought={"all-events": {str(number): found.names["bike"] for number, found in enumerate(decoded)}})
    body = b"".join(b"".join(found.lines) for found in decoded)

    assert store.bulk("all-events", body) == []

    elasticsearch_client.indices.refresh(index="all-events")
    assert elasticsearch_client.count(index="all-events")["count"] == 2 * len(pairs)


def test_numbers_can_be_aggregated_beside_texts_of_the_same_name(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    indices.ensure(store, brought={"all-events": {"bike": {"x": NUMERIC}}})
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
    assert indices.ensure(store, brought={"all-events": decoded.names, "analytics": decoded.names}) == 2
    assert store.bulk("all-events", b"".join(decoded.lines)) == []


def searched(client: Elasticsearch, index: str, name: str, **body: Any) -> int:
    """How many documents have a value above 2 under a name."""
    client.indices.refresh(index=index)
    return int(client.search(index=index, query={"range": {name: {"gt": 2}}}, **body)["hits"]["total"]["value"])


def test_one_device_with_thousands_of_names_takes_no_room_from_others_and_all_are_searchable(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    """Each new name was a change of the cluster's state: storing stood still for minutes, and one type used up all fields."""
    wide = settled(messages(*({f"f{number}": number, "wide": 1} for number in range(3_000))), batch_id="b-wide")
    usual = settled(messages({"x": 3}, on=topic("usual")), batch_id="b-usual")
    for decoded in (wide, usual):
        indices.ensure(store, brought={"all-events": decoded.names})
        assert store.bulk("all-events", b"".join(decoded.lines)) == []

    mapping = elasticsearch_client.indices.get_mapping(index="all-events")["all-events"]["mappings"]
    assert 200 < len(mapping["properties"]["data"]["properties"]) < 500
    assert searched(elasticsearch_client, "all-events", "data.x") == 1
    assert searched(elasticsearch_client, "all-events", "data.f2999") == 0
    assert searched(elasticsearch_client, "all-events", "data.f2999", runtime_mappings={"data.f2999": {"type": "double"}}) == 1


def test_index_of_an_older_version_goes_on_and_maps_nothing_by_itself_any_more(
    store: ElasticStore, elasticsearch_client: Elasticsearch
) -> None:
    old = {"properties": {"data": {"type": "object", "subobjects": False, "properties": {"old": {"type": "keyword"}}}}}
    elasticsearch_client.indices.delete_index_template(name="hort-*")
    elasticsearch_client.indices.create(index="all-events", mappings=old)

    indices.ensure(store)
    indices.ensure(store, brought={"all-events": {"bike": {"old": NUMERIC, "x": NUMERIC}}})

    decoded = settled(messages({"old": "a", "x": 3, "unknown": 5}))
    assert store.bulk("all-events", b"".join(decoded.lines)) == []
    mapping = elasticsearch_client.indices.get_mapping(index="all-events")["all-events"]["mappings"]
    assert {name: found["type"] for name, found in mapping["properties"]["data"]["properties"].items()} == {
        "old": "keyword",
        "x": "double",
    }
    assert searched(elasticsearch_client, "all-events", "data.x") == 1


def test_index_that_is_nearly_full_takes_what_fits(elasticsearch_client: Elasticsearch) -> None:
    """All new names of a batch stayed unmapped in an index that had no room for one of them."""
    store, counts = PatientStore(elasticsearch_client), Counter[str]()
    old = {"properties": {"data": {"type": "object", "subobjects": False, "properties": {f"o{number}": {"type": "double"} for number in range(50)}}}}
    elasticsearch_client.indices.create(index="all-events", mappings=old, settings={"index.mapping.total_fields.limit": 70})

    indices.ensure(store, brought={"all-events": {"bike": {f"n{number}": NUMERIC for number in range(100)}}}, counts=counts)

    mapping = elasticsearch_client.indices.get_mapping(index="all-events")["all-events"]["mappings"]
    mapped = len([name for name in mapping["properties"]["data"]["properties"] if name.startswith("n")])
    assert 10 < mapped < 20
    assert counts == {"fields-unmapped": 100 - mapped}
    decoded = settled(messages({"o1": 1, "n1": 3, "unknown": 5}))
    assert store.bulk("all-events", b"".join(decoded.lines)) == []
    assert searched(elasticsearch_client, "all-events", "data.n1") == 1


def test_scores_are_numbers_and_labels_that_can_be_queried(store: ElasticStore, elasticsearch_client: Elasticsearch) -> None:
    indices.ensure(store, brought={"model-results": {"m": {"score": NUMERIC, "label": STRING}}})
    answers = [{"score": 10.5, "label": "danger-high"}, {"score": 1.5, "label": "all-is-well"}, {"score": "none", "label": 1}]
    body = b"".join(bulk_line(str(number), {"result": result_object(answer)}) for number, answer in enumerate(answers))
    assert store.bulk("model-results", body) == []

    assert searched(elasticsearch_client, "model-results", "result.score") == 1
    found = elasticsearch_client.search(
        index="model-results", query={"term": {"result": "danger-high"}}, aggs={"most": {"max": {"field": "result.score"}}}
    )
    assert found["hits"]["total"]["value"] == 1
    assert found["aggregations"]["most"]["value"] == 10.5


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
    indices.ensure(store, brought={"analytics": {"bike": dict.fromkeys(["a", "a.b", "a.b.c"], NUMERIC)}})
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
