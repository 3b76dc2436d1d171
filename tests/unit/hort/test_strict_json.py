"""JSON of strangers: everything in it is kept, or the text is refused with the reason."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import strict_json


def reason(text: bytes) -> str:
    with pytest.raises(strict_json.Refused) as caught:
        strict_json.loads(text)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"a":1,"a":2}', "repeated-name"),
        (b'{"a":1,"a":1}', "repeated-name"),
        (b'[{"x":[{"a":1,"b":"a","a":null}]}]', "repeated-name"),
        (b'{"a":1,"\\u0061":2}', "repeated-name"),
        (b'{"a":1,"a":2,"b":"\\u0022"}', "repeated-name"),
        (b'{"\\u0022":1,"\\"":2}', "repeated-name"),
        (b'{"":1,"":2}', "repeated-name"),
        (b"18446744073709551616", "bad-number"),
        (b"-9223372036854775809", "bad-number"),
        (b'{"a":[123456789012345678901234567890]}', "bad-number"),
        (b"1" * 5_000, "nan"),
        (b"1" * 300, "bad-number"),
        (b"-" + b"1" * 5_000, "nan"),
        (b"1e-400", "bad-number"),
        (b'{"a":-0.0001E-400}', "bad-number"),
        (b"1e400", "nan"),
        (b"1e" + b"9" * 5_000, "nan"),
        (b"[NaN]", "nan"),
        (b"[-Infinity]", "nan"),
        (b'{"a":NaN,"b":' + b"1" * 5_000 + b"}", "nan"),
        (b'"\\ud800"', "not-json"),
        (b'"\\udc00\\ud800"', "not-json"),
        (b'"\xed\xa0\x80"', "not-utf8"),
        (b"\xef\xbb\xbf{}", "not-json"),
        ('{"a":1}'.encode("utf-16"), "not-utf8"),
        ('{"a":1}'.encode("utf-16-le"), "not-json"),
        ('{"a":1}'.encode("utf-32"), "not-utf8"),
        (b"{'a':1}", "not-json"),
        (b'{"a":1,}', "not-json"),
        (b'{"a":01}', "not-json"),
        (b'{"a":1}{}', "not-json"),
        (b'"\x01"', "not-json"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[" * 300 + b"]" * 300, "too-deep"),
        (b"[" * 100_000, "too-deep"),
        (b'{"a":' * 100_000, "too-deep"),
    ],
)
def test_what_would_lose_a_value_is_refused(text: bytes, code: str) -> None:
    assert reason(text) == code


@pytest.mark.parametrize(
    "text",
    [
        b"18446744073709551615",
        b"-9223372036854775808",
        b"1700000000123456789",
        b"-0.0",
        b"0e-999",
        b"1e-05",
        b"5e-324",
        b"12345678901234567890.5",
        b'{"a":"\\u0022","b":"\\"","":{"a":"12345678901234567890123"}}',
        b'{"a\\u0000":"\\u0000"}',
        b'{"A":1,"a":2,"a ":3}',
        '{"\u00e9":1,"e\u0301":2}'.encode(),
        b"[" * 200 + b"]" * 200,
    ],
)
def test_what_loses_nothing_is_read_as_orjson_reads_it(text: bytes) -> None:
    assert repr(strict_json.loads(text)) == repr(orjson.loads(text))


def test_text_is_read_as_its_bytes() -> None:
    assert strict_json.loads('{"\u20ac": 1}') == {"\u20ac": 1}
    with pytest.raises(strict_json.Refused):
        strict_json.loads('"\ud800"')


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text('a"\\:\u20ac', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(st.sampled_from('ab":'), inner), max_size=3),
    max_leaves=12,
)


def written(value: Any) -> str:
    """JSON in which a list of pairs is an object, whose names may repeat."""
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        return "{" + ",".join(f"{json.dumps(name)} : {written(item)}" for name, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


@given(values)
def test_a_text_is_refused_exactly_where_python_counts_a_loss(value: Any) -> None:
    text = written(value)
    losses: list[object] = []

    def members(pairs: list[tuple[str, Any]]) -> None:
        losses.extend([pairs] if len({name for name, _ in pairs}) < len(pairs) else [])

    def integer(digits: str) -> None:
        losses.extend([digits] if not -(2**63) <= int(digits) < 2**64 else [])

    json.loads(text, object_pairs_hook=members, parse_int=integer, parse_constant=losses.append)
    try:
        strict_json.loads(text)
    except strict_json.Refused:
        assert losses
    else:
        assert not losses


class Name(str):
    """Counts how often names are compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other) is True

    __hash__ = str.__hash__


def test_a_name_given_twice_is_found_without_comparing_each_with_each() -> None:
    """A message of a megabyte may hold a hundred thousand names: one device would keep all others waiting for minutes."""
    names = [Name(number) for number in range(1_000)]
    with pytest.raises(strict_json.Refused, match="'999'"):
        strict_json._object([(name, 1) for name in (*names, Name(999))])
    assert Name.compared < 10 * len(names)


@given(st.lists(values, max_size=5))
def test_elements_are_the_texts_of_an_array(found: list[Any]) -> None:
    texts = [written(value) for value in found]
    raw = " [ {} ] ".format(" , ".join(texts)).encode()

    assert strict_json.elements(raw, most=5) == ([text.encode() for text in texts] or None)
    assert strict_json.elements(raw, most=len(texts) - 1) is None


@given(st.binary(max_size=50))
def test_elements_of_any_bytes_are_some_or_none(content: bytes) -> None:
    for raw in (content, b"[%b]" % content):
        found = strict_json.elements(raw, most=100)
        assert found is None or all(text in raw for text in found)
