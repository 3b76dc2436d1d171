import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import models
from hort.records import Records
from hort.results import ERROR, MAX_FIELDS, MAX_RESULT_BYTES, OPEN, TIMEOUT, Sheet
from hort.schema import BOOL, NUMERIC, STRING
from tests.support import staged

URL = "http://model.example/"


def sheet(count: int = 2, **fields: Any) -> Sheet:
    records = staged.records(staged.bikes(count))
    return Sheet(models.parse("m", {"url": URL, **fields}), records, range(count), records.identities())


def test_an_answer_becomes_a_document_of_the_design() -> None:
    found = sheet(1, mode="shadow", version="7")
    found.answered([0], [{"status": "all-is-well"}], 12.3456)
    assert staged.documents(found.lines()) == [
        {
            "_id": "b-0-1.0/m",
            "record_id": "b-0-1.0",
            "batch_id": "b-0-1",
            "device_type": "bike",
            "device_id": "d0",
            "event": "status",
            "@timestamp": "2026-01-31T12:00:00.123Z",
            "model": "m",
            "model_version": "7",
            "mode": "shadow",
            "status": "ok",
            "latency_ms": 12.3,
            "result": {"status": "all-is-well"},
        }
    ]


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (5, {"value": 5}),
        (None, {"value": None}),
        ([1, 2], {"value": [1, 2]}),
        ("text", {"value": "text"}),
        ({}, {}),
        ({"a\0b": 1}, {"json": '{"a\\u0000b":1}'}),
        ({"a": "x\0y"}, {"a": "x\0y"}),
    ],
)
def test_a_result_is_an_object_that_can_be_indexed(value: Any, result: Any) -> None:
    found = sheet(1)
    found.answered([0], [value], 1)
    assert staged.documents(found.lines())[0]["result"] == result


def test_a_deep_result_becomes_text_and_a_wide_one_stays() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    wide = {f"f{number}": {"a": [number]} for number in range(40)}
    found = sheet(2)
    found.answered([0, 1], [deep, wide], 1)
    first, second = staged.documents(found.lines())
    assert orjson.loads(first["result"]["json"]) == deep
    assert second["result"] == wide


def test_a_result_that_is_too_large_is_an_error_of_its_record_only() -> None:
    found = sheet(2)
    found.answered([0, 1], ["x" * MAX_RESULT_BYTES, "y"], 1)
    first, second = staged.documents(found.lines())
    assert (first["status"], second["status"]) == (ERROR, "ok")
    assert "larger than" in first["error"]
    assert "result" not in first
    assert found.counts == {"ok": 1, "error": 1}


def test_failures_carry_a_short_reason() -> None:
    found = sheet(1)
    found.failed([0], ERROR, 3, "status 500: " + "x" * 5000)
    (document,) = staged.documents(found.lines())
    assert document["status"] == "error"
    assert document["error"].startswith("status 500: xxx")
    assert len(document["error"]) == 300


def test_what_has_no_result_at_the_end_gets_one_once() -> None:
    found = sheet(3)
    found.answered([1], [{}], 1)
    found.finish(TIMEOUT, "too late")
    found.finish(OPEN, "never seen")
    assert [item["status"] for item in staged.documents(found.lines())] == ["timeout", "ok", "timeout"]
    assert found.counts == {"ok": 1, "timeout": 2}


@pytest.mark.parametrize("status", [ERROR, TIMEOUT, OPEN])
def test_dead_letters_keep_the_record(status: str) -> None:
    found = sheet(2, on_error="dead-letter")
    found.answered([0], [{}], 1)
    found.failed([1], status, 1, "gone")
    (letter,) = staged.documents(b"".join(found.dead))
    assert letter["_id"] == "b-0-1.1/m-score"
    assert (letter["stage"], letter["reason"]) == ("score", f"model-{status}")
    assert letter["topic"] == "iot-2/type/bike/id/d1/evt/status/fmt/json"
    assert letter["@timestamp"] == "2026-01-31T12:00:00.123Z"
    assert orjson.loads(base64.b64decode(letter["payload_base64"]))["data"] == {"n": 1}


def test_other_models_leave_no_dead_letters() -> None:
    found = sheet(1)
    found.failed([0], ERROR, 1, "gone")
    assert found.dead == []


def test_a_long_record_id_gives_an_id_that_elasticsearch_takes() -> None:
    fields = staged.stage_fields(staged.bikes(1), batch_id="b" * 505)
    records = Records(fields["events"], fields["keys"], fields["key_index"])
    found = Sheet(models.parse("a-model", {"url": URL}), records, range(1), records.identities())
    found.answered([0], [{}], 1)
    (document,) = staged.documents(found.lines())
    assert len(document["_id"]) <= 512
    assert document["record_id"] == "b" * 505 + ".0"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(JSON, min_size=1, max_size=5), st.text(max_size=50))
def test_any_answer_gives_two_lines_of_json_a_record(values: list[Any], error: str) -> None:
    found = sheet(len(values) + 1)
    found.answered(range(len(values)), values, 1)
    found.finish(ERROR, error)
    assert found.lines().count(b"\n") == 2 * (len(values) + 1)
    assert len(staged.documents(found.lines())) == len(values) + 1


def test_kinds_of_what_answers_hold_are_told_to_the_sink() -> None:
    found = sheet(4)
    found.answered([0, 1], [{"score": 1, "label": "a"}, {"score": "x", "fields": {"rpm": {"z": 2.5, "ok": True}}}], 1)
    found.answered([2, 3], [5, ["a"]], 1)

    assert found.fields == {"score": NUMERIC, "label": STRING, "fields.rpm.z": NUMERIC, "fields.rpm.ok": BOOL, "value": NUMERIC}


def test_names_of_answers_are_bounded_in_number_and_depth() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": deep}
    found = sheet(40)
    found.answered(range(40), [{f"n{slot}-{number}": 1 for number in range(50)} for slot in range(40)], 1)
    assert len(found.fields) <= 2 * MAX_FIELDS
    other = sheet(1)
    other.answered([0], [deep], 1)
    assert other.fields == {}


def test_name_that_is_first_null_is_told_when_it_has_a_value() -> None:
    found = sheet(2)
    found.answered([0, 1], [{"score": None}, {"score": 0.5}], 1)
    assert found.fields == {"score": NUMERIC}
