"""Which names are mapped: shared out among device types, whatever they send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import mapped_fields, parts
from hort.mapped_fields import Fields, extended, names
from hort.schema import NUMERIC, STRING
from tests.support.ingest import BATCH, messages, settled


def numbers(prefix: str, count: int) -> dict[str, str]:
    return {f"{prefix}{number}": NUMERIC for number in range(count)}


def test_names_that_are_known_are_nobody_elses_and_keep_their_kind() -> None:
    shares = {"pump": {"a": NUMERIC}}

    assert extended(shares, {"pump": {"a": STRING}, "fan": {"a": STRING}}, limit=100) == shares
    assert extended(shares, {"fan": {"a": STRING, "b": STRING}}, limit=100) == {**shares, "fan": {"b": STRING}}


def test_first_type_to_bring_a_name_decides_its_kind() -> None:
    assert extended({}, {"pump": {"a": NUMERIC}, "fan": {"a": STRING}}, limit=100) == {"pump": {"a": NUMERIC}}


def test_usual_type_has_all_its_names_mapped() -> None:
    assert extended({}, {"pump": numbers("f", 256)}, limit=2_000) == {"pump": numbers("f", 256)}


@pytest.mark.parametrize("at_once", [1, 50, 3_000])
def test_type_with_thousands_of_names_leaves_room_for_others_however_they_come(at_once: int) -> None:
    shares: dict[str, Fields] = {}
    for start in range(0, 3_000, at_once):
        shares = extended(shares, {"wide": numbers(f"{start}-", at_once)}, limit=2_000)

    assert len(names(shares)) <= 400
    assert len(extended(shares, {"usual": numbers("usual", 256)}, limit=2_000)["usual"]) == 256


def test_thousands_of_types_never_pass_the_limit() -> None:
    shares: dict[str, Fields] = {}
    for number in range(1_000):
        shares = extended(shares, {f"t{number}": numbers(f"t{number}-", 8)}, limit=500)

    assert len(names(shares)) <= 500


def test_blank_names_which_elasticsearch_refuses_in_a_mapping_are_left_out() -> None:
    found = extended({}, {"pump": {"": NUMERIC, " ": NUMERIC, ".": NUMERIC, "a..b": NUMERIC}}, limit=100)
    assert names(found).keys() == {".", "a..b"}


@given(st.dictionaries(st.text(max_size=3), st.dictionaries(st.text(max_size=3), st.sampled_from([NUMERIC, STRING]))))
def test_staged_names_are_read_back(sources: dict[str, dict[str, str]]) -> None:
    assert mapped_fields.read(mapped_fields.staged(sources)) == {name: fields for name, fields in sources.items() if fields}


def test_what_is_staged_is_bounded() -> None:
    sources = {f"t{number}": numbers(f"{number}-", 256) for number in range(1_000)}

    found = mapped_fields.read(mapped_fields.staged(sources))

    assert 0 < sum(map(len, found.values())) <= mapped_fields.MAX_STAGED


@pytest.mark.parametrize(
    ("kind", "value", "noted"),
    [
        (None, 1, NUMERIC),
        (None, "a", STRING),
        (NUMERIC, "12", NUMERIC),
        (None, [1.5, 2], NUMERIC),
        (None, ["a"], STRING),
        (None, [], None),
        (None, [None, 1], None),
        (None, None, None),
    ],
)
def test_kind_of_a_name_is_its_schemas_else_that_of_its_first_value(kind: str | None, value: Any, noted: str | None) -> None:
    found: dict[str, str] = {}
    mapped_fields.note(found, "x", kind, value)
    assert found.get("x") == noted


def test_names_that_a_batch_tells_of_are_bounded() -> None:
    found: dict[str, str] = {}
    for number in range(3_000):
        mapped_fields.note(found, f"f{number}", None, number)
    assert len(found) == mapped_fields.MAX_NAMES


def test_parts_that_a_batch_is_cut_into_bring_its_names() -> None:
    stage = settled(messages({"a": 1}, {"b": "x"})).stage_fields()

    for positions in (range(1), range(1, 2)):
        part = parts.cut(stage, positions, old=BATCH, new="aaaa-0-2")
        assert mapped_fields.read(part["events-fields"]) == {"bike": {"a": NUMERIC, "b": STRING}}
