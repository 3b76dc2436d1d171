"""From payload bytes to JSON, or one reason why not."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.payload import Budget, Caps, Undecodable, inflate, parse, records

CAPS = Caps()


def parsed(content: bytes, caps: Caps = CAPS) -> Any:
    return parse(content, caps, Budget())


def reason(content: bytes, caps: Caps = CAPS) -> str:
    with pytest.raises(Undecodable) as caught:
        records(parsed(content, caps), caps, Budget())
    return caught.value.reason


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zlib.compress])
def test_object_plain_or_compressed(compress: Any) -> None:
    assert parsed(compress(b'{"a": [1, 2.5, "x", true, null]}')) == {"a": [1, 2.5, "x", True, None]}


def test_gzip_of_several_members_is_one_content() -> None:
    assert parsed(gzip.compress(b'{"a":') + gzip.compress(b"1}")) == {"a": 1}


def test_thousands_of_empty_members_are_not_copied_for_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inflater keeps a copy of what follows its member: given the whole rest each time, one message took seconds."""
    real, left = zlib.decompressobj, []

    class Inflater:
        def __init__(self, bits: int) -> None:
            self._real = real(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            return self._real.decompress(data, most)

        def __getattr__(self, name: str) -> Any:
            value = getattr(self._real, name)
            if name == "unused_data":
                left.append(len(value))
            return value

    monkeypatch.setattr(zlib, "decompressobj", Inflater)
    members = 2000
    assert parsed(gzip.compress(b"") * members + gzip.compress(b'{"a": 1}')) == {"a": 1}
    assert sum(left) < members * 4096


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"[]", "empty"),
        (b"bikes: 7", "not-json"),
        (b'{"a":1', "not-json"),
        (b'{"a":1} {"b":2}', "not-json"),
        (b'{"text":"NaN is bad"', "not-json"),
        (b'{"a":"\\ud800"}', "not-json"),
        (b'{"a":"\xff"}', "not-utf8"),
        (b'{"a":NaN}', "nan"),
        (b'{"a":-Infinity}', "nan"),
        (b'{"a":1e999}', "nan"),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, "too-deep"),
        (b"7", "not-object"),
        (b'"text"', "not-object"),
        (b"null", "not-object"),
        (b"true", "not-object"),
        (b"x" * (CAPS.payload_bytes + 1), "too-large"),
        (gzip.compress(b'{"a":1}')[:-9], "bad-gzip"),
        (b"\x1f\x8b\x08" + b"\0" * 20, "bad-gzip"),
        (gzip.compress(b"nope"), "not-json"),
        (gzip.compress(gzip.compress(b"{}")), "not-utf8"),
    ],
)
def test_reason(content: bytes, code: str) -> None:
    assert reason(content) == code


def test_bomb_is_not_inflated() -> None:
    assert reason(zlib.compress(b" " * 50_000_000)) == "too-large"


def test_bombs_of_one_batch_share_a_budget() -> None:
    budget = Budget(1_000)
    content = gzip.compress(b" " * 600)
    inflate(content, CAPS, budget)

    with pytest.raises(Undecodable, match="too-large"):
        inflate(content, CAPS, budget)

    assert budget.left == 0


def test_array_with_too_many_records() -> None:
    assert reason(b"[{},{},{}]", Caps(records_per_message=2)) == "too-many-records"


def test_arrays_of_one_batch_share_a_budget() -> None:
    budget = Budget(records=3)
    records([{}, {}, {}], CAPS, budget)

    with pytest.raises(Undecodable, match="too-many-records"):
        records([{}, {}, {}], CAPS, budget)

    assert records([{}, {}], CAPS, budget) == [{}, {}]
    assert records({}, CAPS, budget) == [{}], "a message of one record always finds room"


def outcome(content: bytes) -> Undecodable | None:
    try:
        records(parsed(content), CAPS, Budget())
    except Undecodable as problem:
        return problem
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_reason(content: bytes) -> None:
    for form in (
        content,
        gzip.compress(content),
        zlib.compress(content),
        b"\x1f\x8b" + content,
        b"\x78\x9c" + content,
    ):
        problem = outcome(form)
        assert problem is None or (problem.reason and problem.detail)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists
    )
)
def test_json_of_any_value_is_parsed(value: Any) -> None:
    assert parsed(json.dumps(value).encode()) == value
