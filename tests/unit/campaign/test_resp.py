"""Counting values of Redis' protocol, however the stream is cut into reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.resp import QUEUED, NotResp, Values

LEAVES = st.one_of(
    st.sampled_from([b"+OK\r\n", b"-ERR no\r\n", b":-12\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(123\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n"]),
    st.binary(max_size=30).map(lambda body: b"$%d\r\n%s\r\n" % (len(body), body)),
    st.binary(max_size=30).map(lambda body: b"=%d\r\n%s\r\n" % (len(body) + 4, b"txt:" + body)),
)


def aggregate(children: list[bytes]) -> bytes:
    if len(children) % 2:
        return b"*%d\r\n%s" % (len(children), b"".join(children))
    return b"%%%d\r\n%s" % (len(children) // 2, b"".join(children))


VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4).map(aggregate), max_leaves=12)


@given(values=st.lists(VALUES, max_size=6), size=st.integers(1, 50))
def test_values_are_counted_wherever_reads_end(values: list[bytes], size: int) -> None:
    stream = b"".join(values)
    counted = Values()
    for at in range(0, len(stream), size):
        counted.feed(stream[at : at + size])
    assert counted.complete == counted.begun == len(values)
    assert counted.at_boundary


@given(value=VALUES)
def test_a_value_is_complete_with_its_last_byte_and_begun_with_its_first(value: bytes) -> None:
    counted = Values()
    counted.feed(value[:1])
    assert (counted.begun, counted.complete, counted.at_boundary) == (1, 0, False)
    counted.feed(value[1:-1])
    assert (counted.begun, counted.complete, counted.at_boundary) == (1, 0, False)
    counted.feed(value[-1:])
    assert (counted.begun, counted.complete, counted.at_boundary) == (1, 1, True)


def test_pushes_answer_nothing_and_attributes_belong_to_what_follows() -> None:
    counted = Values()
    counted.feed(b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n")
    assert (counted.begun, counted.complete, counted.at_boundary) == (0, 0, True)
    counted.feed(b"|1\r\n+ttl\r\n:1\r\n*1\r\n+x\r\n")
    assert (counted.begun, counted.complete, counted.at_boundary) == (1, 1, True)


def test_the_head_is_the_first_line_of_the_value_begun_last() -> None:
    counted = Values()
    counted.feed(b"+OK\r\n+QUE")
    assert counted.head == b""
    counted.feed(b"UED\r\n")
    assert counted.head == QUEUED
    counted.feed(b"*2\r\n+QUEUED\r\n")
    assert counted.head == b"*2\r\n"


@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1\r\n", b"$x\r\n", b"\r\n", b"+" + b"x" * 70_000])
def test_what_is_no_value_is_refused(stream: bytes) -> None:
    with pytest.raises(NotResp):
        Values().feed(stream)
