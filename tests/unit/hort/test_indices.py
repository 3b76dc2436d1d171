"""Index templates."""

import json
from collections import Counter
from typing import Any

import pytest

from hort import documents, indices
from hort.document_store import RequestRefused
from hort.documents import INDEX_OF
from hort.schema import NUMERIC, STRING
from hort.testing import MemoryDocuments


def test_every_index_has_a_template() -> None:
    assert set(indices.PROPERTIES) == set(INDEX_OF.values())


def test_templates_are_put_once() -> None:
    store = MemoryDocuments()

    assert indices.ensure(store, prefix="x-") == len(indices.PROPERTIES)
    assert indices.ensure(store, prefix="x-") == 0
    assert store.templates["hort-x-alarms"]["index_patterns"] == ["x-alarms"]


def test_older_template_is_replaced_and_a_newer_one_stays() -> None:
    store = MemoryDocuments()
    indices.ensure(store)
    store.templates["hort-alarms"] = {"version": indices.VERSION - 1}
    store.templates["hort-plates"] = {"version": indices.VERSION + 1}

    assert indices.ensure(store) == 1
    assert store.templates["hort-plates"] == {"version": indices.VERSION + 1}


def test_templates_of_a_wiped_store_come_back() -> None:
    store = MemoryDocuments()
    indices.ensure(store)
    store.templates.clear()

    assert indices.ensure(store) == len(indices.PROPERTIES)


def test_no_name_that_a_device_sends_is_mapped_by_elasticsearch_itself() -> None:
    for index, properties in indices.PROPERTIES.items():
        assert indices.template(index)["template"]["mappings"]["dynamic"] is False
        assert all(found["dynamic"] is False for found in properties.values() if "subobjects" in found)
        assert json.dumps(indices.template(index))


def names(count: int, kind: str = NUMERIC) -> dict[str, str]:
    return {f"f{number}": kind for number in range(count)}


def test_names_that_a_batch_brings_are_mapped_in_the_template_and_in_the_index_that_is_there() -> None:
    store = MemoryDocuments()
    store.mappings = {"all-events": {}}
    indices.ensure(store)

    assert indices.ensure(store, brought={"all-events": {"pump": {"x": NUMERIC, "y": STRING}}}) == 1
    assert indices.ensure(store, brought={"all-events": {"fan": {"x": STRING}}}) == 0

    for mapping in (store.mappings["all-events"], store.templates["hort-all-events"]["template"]["mappings"]):
        data = mapping["properties"]["data"]
        assert {name: found["type"] for name, found in data["properties"].items()} == {"x": "double", "y": "keyword"}
        assert data["dynamic"] is False


def test_every_name_has_a_field_for_each_statistic_and_they_fit_into_the_index() -> None:
    found = indices.template("analytics", shares={"pump": names(indices.NAME_LIMITS["analytics"])})["template"]
    properties = found["mappings"]["properties"]

    assert {name.partition(".")[0] for name in properties["properties"]["properties"]} == set(documents.STATISTICS)
    total = sum(len(properties[name]["properties"]) for name in ("properties", "n")) + len(properties)
    assert total <= found["settings"]["index.mapping.total_fields.limit"]


def test_numbers_in_answers_become_runtime_fields_and_labels_stay_flattened() -> None:
    mappings = indices.template("model-results", shares={"m": {"score": NUMERIC, "label": STRING}})["template"]["mappings"]

    assert mappings["runtime"] == {"result.score": {"type": "double"}}
    assert mappings["properties"]["result"]["type"] == "flattened"


def test_name_that_an_older_index_maps_otherwise_stays_as_it_is() -> None:
    store = MemoryDocuments()
    store.mappings = {"all-events": {"properties": {"data": {"properties": {"x": {"type": "keyword"}}}}}}

    indices.ensure(store, brought={"all-events": {"pump": {"x": NUMERIC, "y": NUMERIC}}})

    data = store.mappings["all-events"]["properties"]["data"]["properties"]
    assert {name: found["type"] for name, found in data.items()} == {"x": "keyword", "y": "double"}


class Narrow(MemoryDocuments):
    """Its indices take so many names, and never one that is called `odd`; `puts` counts what was tried."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.mappings = {"all-events": {}, "analytics": {}}
        self.room = room
        self.puts = 0

    def put_mapping(self, index: str, body: Any) -> None:
        self.puts += 1
        there = self.mapping(index) or {}
        mapped = {name for part in (there, body) for name in part.get("properties", {}).get("data", {}).get("properties", {})}
        if len(mapped) > self.room:
            raise RequestRefused(400, "illegal_argument_exception", "Limit of total fields [9] has been exceeded")
        if "odd" in mapped:
            raise RequestRefused(400, "illegal_argument_exception", "mapper [data.odd] cannot be changed")
        super().put_mapping(index, body)

    def mapped(self) -> set[str]:
        return set(self.mappings["all-events"]["properties"]["data"].get("properties", {}))


def test_index_that_cannot_take_more_fields_is_told_once_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    store, counts = Narrow(0), Counter[str]()

    assert indices.ensure(store, brought={"all-events": {"pump": {"x": NUMERIC}}}, counts=counts) == len(indices.PROPERTIES)
    assert indices.ensure(store, brought={"all-events": {"pump": {"x": NUMERIC}}}, counts=counts) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "Limit of total fields" in line
    assert '"names": 1' in line
    assert counts == {"fields-unmapped": 1}


@pytest.mark.parametrize("room", [0, 1, 7, 100, 255, 256, 300])
def test_index_takes_as_many_names_as_it_has_room_for(room: int) -> None:
    store, counts, brought = Narrow(room), Counter[str](), {"all-events": {"pump": names(256)}}

    indices.ensure(store, brought=brought, counts=counts)

    assert (len(store.mapped()), counts["fields-unmapped"]) == (min(room, 256), max(0, 256 - room))
    assert store.puts < indices.MAX_PUTS
    assert store.mappings["all-events"]["properties"]["data"]["dynamic"] is False, "even where there is no room"


def test_one_name_that_an_index_cannot_take_leaves_the_others_mapped() -> None:
    store, counts = Narrow(1_000), Counter[str]()

    indices.ensure(store, brought={"all-events": {"pump": {**names(100), "odd": NUMERIC, "last": NUMERIC}}}, counts=counts)

    assert store.mapped() == {*names(100), "last"}
    assert counts == {"fields-unmapped": 1}


def test_names_past_the_bound_are_counted_with_each_batch() -> None:
    store, counts = MemoryDocuments(), Counter[str]()
    brought = {"all-events": {f"type{number}": {f"{number}.{name}": NUMERIC for name in names(250)} for number in range(20)}}

    for _ in range(2):
        indices.ensure(store, brought=brought, counts=counts)

    mapped = sum(map(len, store.templates["hort-all-events"]["_meta"]["fields"].values()))
    assert 1_900 < mapped <= 2_000
    assert counts["fields-unmapped"] >= 2 * (5_000 - 2_000)


def test_names_wait_for_the_index_that_an_alias_will_write_to() -> None:
    store = MemoryDocuments()
    indices.ensure(store)
    store.mappings = {"all-events": {}}
    store.put_mapping = _nowhere  # type: ignore[method-assign]

    with pytest.raises(indices.IndicesShut, match=r"all-events: .*no write index"):
        indices.ensure(store, brought={"all-events": {"pump": {"x": NUMERIC}}, "analytics": {"pump": {"x": NUMERIC}}})
    assert store.templates["hort-all-events"]["_meta"]["fields"] == {}
    assert store.templates["hort-analytics"]["_meta"]["fields"] == {"pump": {"x": NUMERIC}}, "the others are ready"


def test_name_that_elasticsearch_cannot_map_keeps_nothing_from_being_stored(capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryDocuments()
    indices.ensure(store)
    store.put_template = _bad_name  # type: ignore[method-assign]

    assert indices.ensure(store, brought={"all-events": {"pump": {"x": NUMERIC}}}) == 1
    assert "Failed to parse mapping" in capsys.readouterr().err


def _bad_name(name: str, body: object) -> None:
    del name, body
    raise RequestRefused(400, "mapper_parsing_exception", "Failed to parse mapping: field name cannot be ...")


def _nowhere(index: str, body: object) -> None:
    del index, body
    raise RequestRefused(400, "illegal_argument_exception", "no write index is defined for alias [all-events]")


def test_newer_version_decides_alone_what_is_mapped() -> None:
    store = MemoryDocuments()
    indices.ensure(store)
    newer = {"version": indices.VERSION + 1}
    store.templates["hort-all-events"] = newer

    assert indices.ensure(store, brought={"all-events": {"pump": {"x": NUMERIC}}}) == 0
    assert store.templates["hort-all-events"] is newer
