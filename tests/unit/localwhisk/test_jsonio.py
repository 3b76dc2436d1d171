import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk import jsonio
from localwhisk.errors import ApiError


@given(st.integers())
def test_integers_of_any_length_stay_integers(value: int) -> None:
    assert jsonio.loads(jsonio.dumps({"n": value})) == {"n": value}


def test_a_body_nested_deeper_than_a_thousand_is_refused() -> None:
    with pytest.raises(ApiError, match="maxNesting = 1000") as caught:
        jsonio.parse_body(b'{"a":' + b"[" * 1001 + b"]" * 1001 + b"}")
    assert caught.value.status == 400
    assert not caught.value.cors


def test_many_brackets_side_by_side_are_fine() -> None:
    assert len(jsonio.parse_body(b"[" + b",".join([b"[]"] * 2000) + b"]")) == 2000


def test_a_lone_surrogate_is_json_and_comes_back() -> None:
    value = jsonio.parse_body(b'{"s":"\\ud800"}')
    assert value == {"s": "\ud800"}
    assert b"\\ud800" in jsonio.dumps(value)


def test_a_number_beyond_a_double_is_read_like_the_action_would() -> None:
    assert jsonio.parse_body(b'{"e":1e400}') == {"e": float("inf")}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": [1, {"c": None}]}, '{\n  "a": 1,\n  "b": [1, {\n    "c": null\n  }]\n}'),
        ([1, 2], "[1, 2]"),
        ("x", '"x"'),
        ({}, "{}"),
        ({"\u00e9": "\u00e9"}, '{\n  "\u00e9": "\u00e9"\n}'),
    ],
)
def test_pretty_form_of_the_servers_printer(value: object, text: str) -> None:
    assert jsonio.pretty(value).decode() == text
