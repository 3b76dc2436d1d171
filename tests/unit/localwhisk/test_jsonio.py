import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk import jsonio, sprayjson
from localwhisk.errors import ApiError


@given(st.integers(-(10**90), 10**90))
def test_integers_of_any_length_stay_integers(value: int) -> None:
    assert jsonio.loads(jsonio.dumps({"n": value})) == {"n": value}


@pytest.mark.parametrize("number", ["1e400", "-1.5E-400", "0.1234567890123456789012345678901", "1e999999999", "12345678901234567890.5"])
@pytest.mark.parametrize("text", ["x", "\\ud800"])
def test_a_number_that_no_double_says_comes_out_with_its_value(number: str, text: str) -> None:
    value = jsonio.parse_body(f'{{"n":[{number}],"text":"{text}"}}'.encode())

    for written in (jsonio.dumps(value), jsonio.pretty(value)):
        assert Decimal(json.loads(written, parse_float=str)["n"][0]) == Decimal(number)


@pytest.mark.parametrize(("number", "value"), [("1e300", 1e300), ("1.50", 1.5), ("-0.0", 0.0)])
def test_other_numbers_are_what_python_has(number: str, value: object) -> None:
    assert jsonio.parse_body(f'{{"n":{number},"m":1234567890123456789}}'.encode()) == {"n": value, "m": 1234567890123456789}


@pytest.mark.parametrize("number", ["1" * 5_000, "-" + "1" * 100, "1." + "0" * 99, "1e" + "0" * 99, "1" * 5_000 + "e5"])
def test_a_number_of_more_than_a_hundred_characters_is_refused_in_the_servers_words(number: str) -> None:
    with pytest.raises(ApiError, match=f"^The request content was malformed:\nNumber too long:.* had {len(number)} characters") as caught:
        jsonio.parse_body(f'{{"a":1,"n":{number}}}'.encode())
    assert caught.value.status == 400


MANY = 100_000


@pytest.mark.parametrize("text", [b'{"a":"' + b"x" * MANY, b" " * MANY + b"x", b'{"a":-' + b"0" * MANY, b'{"a":1.' + b"1" * MANY, b"[" + b"1," * MANY + b"]"])
def test_a_long_body_that_is_wrong_is_not_read_byte_by_byte(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's megabyte would keep everybody else waiting for seconds."""
    monkeypatch.setattr(sprayjson, "check", lambda _: pytest.fail("it was"))
    with pytest.raises(ApiError, match="The request content was malformed") as caught:
        jsonio.parse_body(text)
    assert len(caught.value.text) < 200


@pytest.mark.parametrize("text", [b'"' + b"x" * MANY + b'\\ud800"', b'"' + b"x" * MANY + b'\xff"', b"[" + b"1e400," * MANY + b"1]"])
def test_a_long_body_is_taken_as_a_short_one_is(text: bytes) -> None:
    assert jsonio.parse_body(text) is not None


def test_a_body_nested_deeper_than_a_thousand_is_refused() -> None:
    with pytest.raises(ApiError, match="maxNesting = 1000") as caught:
        jsonio.parse_body(b'{"a":' + b"[" * 1001 + b"]" * 1001 + b"}")
    assert caught.value.status == 400
    assert not caught.value.cors


def test_many_brackets_side_by_side_are_fine() -> None:
    assert len(jsonio.parse_body(b"[" + b",".join([b"[]"] * 2000) + b"]")) == 2000


def test_half_a_surrogate_pair_becomes_what_java_writes_for_it() -> None:
    value = jsonio.parse_body(b'{"s\\udfff":"\\ud800","n":1e400,"whole":"\\ud83d\\ude00"}')

    assert value == {"s?": "?", "n": Decimal("1e400"), "whole": "\U0001f600"}
    assert jsonio.dumps({"s": "\ud800"}) == b'{"s":"?"}'


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
