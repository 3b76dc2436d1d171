"""Index templates."""

import json

from hort import indices
from hort.documents import INDEX_OF
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


def test_no_mapping_can_explode() -> None:
    for index in indices.PROPERTIES:
        settings = indices.template(index)["template"]["settings"]
        assert settings["index.mapping.total_fields.ignore_dynamic_beyond_limit"] is True
        assert json.dumps(indices.template(index))
