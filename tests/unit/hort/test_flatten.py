"""Nested objects to dotted names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.flatten import flatten
from hort.payload import Caps, Undecodable

CAPS = Caps()
SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def test_flat_record_is_handed_back_as_it_is() -> None:
    record = {"a": 1, "b": "x", "c": None, "d.e": True}

    assert flatten(record, CAPS) is record


@pytest.mark.parametrize(
    ("record", "flat"),
    [
        ({"a": {"b": {"c": 1}}, "d": 2}, {"a.b.c": 1, "d": 2}),
        ({"a": {}}, {}),
        ({"a": [1, 2.5, None]}, {"a": [1, 2.5, None]}),
        ({"a": ["x", "y"]}, {"a": ["x", "y"]}),
        ({"a": [True, False]}, {"a": [True, False]}),
        ({"a": []}, {"a": []}),
        ({"a": [1, "x"]}, {"a": '[1,"x"]'}),
        ({"a": [1, True]}, {"a": "[1,true]"}),
        ({"a": [{"b": 1}]}, {"a": '[{"b":1}]'}),
        ({"a": [[1], [2]]}, {"a": "[[1],[2]]"}),
        ({"": 1}, {"_": 1}),
        ({"  ": 1}, {"_": 1}),
        ({"a": {"": {"b": 1}}}, {"a._.b": 1}),
    ],
)
def test_flattened(record: dict[str, Any], flat: dict[str, Any]) -> None:
    assert flatten(record, CAPS) == flat


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"a": {"b": {"c": 1}}}, "too-deep"),
        ({"a": [[[1]]]}, "too-deep"),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, "too-many-fields"),
        ({"a": {"b": 1, "c": 1}, "d": {"e": 1, "f": 1}}, "too-many-fields"),
        ({"long-name-": 1}, "bad-field"),
        ({"long": {"name-": 1}}, "bad-field"),
    ],
)
def test_caps(record: dict[str, Any], code: str) -> None:
    with pytest.raises(Undecodable) as caught:
        flatten(record, Caps(depth=2, fields=3, name_length=9))

    assert caught.value.reason == code


@pytest.mark.parametrize(
    "record",
    [
        {"a.b": 1, "a": {"b": 2}},
        {"a": {"b": 2}, "a.b": 1},
        {"": 1, " ": 2},
        {"_": 1, "": 2},
        {"a": {"": 1, "_": 1}},
        {"a": {"b.c": 1, "b": {"c": 1}}},
        {"a": {"b": [{}]}, "a.b": None},
    ],
)
def test_values_that_would_share_a_name_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(Undecodable, match="repeated-name"):
        flatten(record, CAPS)


@given(st.dictionaries(st.text("a. _", max_size=3), VALUES, max_size=5))
def test_any_record_becomes_scalars_and_lists_of_one_kind(record: dict[str, Any]) -> None:
    try:
        flat = flatten(record, Caps(depth=50))
    except Undecodable:  # two values of one name
        return
    assert len(flat) == _leaves(record), "none is lost"
    for name, value in flat.items():
        assert name.strip()
        values = value if isinstance(value, list) else [value]
        assert len({type(item) for item in values if item is not None}) <= 1
        assert not any(isinstance(item, (dict, list)) for item in values)


def _leaves(value: Any) -> int:
    return sum(map(_leaves, value.values())) if isinstance(value, dict) else 1
