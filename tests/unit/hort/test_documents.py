"""Bulk lines, ids and dead letters."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.documents import (
    MAX_DETAIL,
    MAX_ID_BYTES,
    action_line,
    bulk_line,
    dead_letter,
    result_object,
    safe_id,
)
from tests.support.ingest import documents


@given(st.text(max_size=600))
def test_id_is_always_one_that_elasticsearch_takes(doc_id: str) -> None:
    assert 0 < len(safe_id(doc_id).encode()) <= MAX_ID_BYTES
    assert safe_id(doc_id) == safe_id(doc_id)


@given(st.text(min_size=1, max_size=100))
def test_short_id_stays_readable(doc_id: str) -> None:
    assert orjson.loads(action_line(doc_id)) == {"index": {"_id": doc_id}}


def test_long_ids_stay_apart() -> None:
    assert safe_id("x" * 600 + "a") != safe_id("x" * 600 + "b")


@pytest.mark.parametrize("doc", [{"a": "\n"}, b'{"a":"\\n"}'])
def test_document_as_object_or_as_bytes(doc: Any) -> None:
    assert bulk_line("1", doc) == b'{"index":{"_id":"1"}}\n{"a":"\\n"}\n'


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ([1, 2], {"value": [1, 2]}),
        ("well", {"value": "well"}),
        (None, {"value": None}),
        ({"a\0": 1}, {"json": '{"a\\u0000":1}'}),
    ],
)
def test_answer_of_a_model_becomes_an_object(answer: Any, result: dict[str, Any]) -> None:
    assert result_object(answer) == result


def test_answer_that_is_too_deep_to_be_indexed_is_kept_as_text() -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": deep}

    assert orjson.loads(result_object(deep)["json"]) == deep


def test_dead_letter_bounds_what_it_says() -> None:
    lines = dead_letter(
        "m",
        stage="s",
        reason="r",
        detail="x" * 9_999,
        topic="t",
        batch_id="b",
        payload=b"",
        at_ms=1_769_860_800_123,
    )

    (letter,) = documents(lines)
    assert len(letter["detail"]) == MAX_DETAIL
    assert letter["_id"] == "m-s"
    assert letter["@timestamp"] == "2026-01-31T12:00:00.123Z"


def test_lone_surrogates_keep_no_dead_letter_back() -> None:
    """Elasticsearch repeats in its errors what a device sent; a batch whose letters could not be written came back for ever."""
    lines = dead_letter(
        "m\ud800", stage="sink", reason="r", detail="'\ud800'", topic="t\udfff", batch_id="b", payload=b"?", at_ms=0
    )

    head, letter = map(orjson.loads, lines.splitlines())
    assert (letter["detail"], letter["topic"], letter["message_id"]) == ("'\\ud800'", "t\\udfff", "m\\ud800")
    assert head["index"]["_id"].startswith("sha256-")
