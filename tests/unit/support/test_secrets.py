"""What is searched for secrets is unfolded, whatever it is."""

import gzip
import zlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.secrets import unfolded

SECRET = b"a-secret"


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        zlib.compress(SECRET),
        gzip.compress(msgpack.packb({"a": [{"b": zlib.compress(SECRET)}]})),
        msgpack.packb({SECRET: 1}),
        b"\x81\x81\x01" + msgpack.packb(SECRET) + b"\x01",  # a map is the key of a map
    ],
    ids=["plain", "zlib", "folded", "key", "map as a key"],
)
def test_a_secret_is_found(content: bytes) -> None:
    assert any(SECRET in piece for piece in unfolded(content))


@given(st.binary(max_size=30))
def test_any_bytes_are_looked_at(content: bytes) -> None:
    assert next(unfolded(content)) == content
    assert list(unfolded(content))
