import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk import sprayjson

# The texts are those of the recorded exchanges bad-json, bad-no-body, js-*.
CASES = [
    (
        b'{"exec":',
        'Unexpected end-of-input at input index 8 (line 1, position 9), expected JSON Value:\n{"exec":\n        ^\n',
    ),
    (b"", "Unexpected end-of-input at input index 0 (line 1, position 1), expected JSON Value:\n\n^\n"),
    (b"{bad", "Unexpected character 'b' at input index 1 (line 1, position 2), expected '\"':\n{bad\n ^\n"),
    (
        b'{"a":1} x',
        "Unexpected character 'x' at input index 8 (line 1, position 9), expected end-of-input:\n{\"a\":1} x\n        ^\n",
    ),
    (
        b'{"a":1,}',
        "Unexpected character '}' at input index 7 (line 1, position 8), expected '\"':\n{\"a\":1,}\n       ^\n",
    ),
    (
        b'{"a":NaN}',
        "Unexpected character 'N' at input index 5 (line 1, position 6), expected JSON Value:\n{\"a\":NaN}\n     ^\n",
    ),
    (
        b"\xef\xbb\xbf{}",
        "Unexpected character '\u00ef' at input index 0 (line 1, position 1), expected JSON Value:\n\ufeff{}\n^\n",
    ),
    (
        b'{"a":"\xe9"}',
        'Unexpected end-of-input at input index 9 (line 1, position 10), expected \'"\':\n{"a":"\ufffd\n         ^\n',
    ),
    (
        b'{\n"a":\n tru}',
        "Unexpected character 't' at input index 8 (line 3, position 2), expected JSON Value:\n tru}\n ^\n",
    ),
]


@pytest.mark.parametrize(("raw", "text"), CASES)
def test_faults_are_told_as_the_real_server_tells_them(raw: bytes, text: str) -> None:
    with pytest.raises(sprayjson.SyntaxProblem) as caught:
        sprayjson.check(raw)
    assert str(caught.value) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_whatever_json_writes_is_accepted(value: object, ascii_only: bool) -> None:
    sprayjson.check(json.dumps(value, ensure_ascii=ascii_only, indent=1).encode("utf-8", "replace"))


@given(st.binary(max_size=40))
def test_any_bytes_either_pass_or_are_a_syntax_problem(raw: bytes) -> None:
    with contextlib.suppress(sprayjson.SyntaxProblem):
        sprayjson.check(raw)


def test_depth_does_not_count_brackets_in_strings() -> None:
    assert sprayjson.depth(b'{"[[[[\\"[[":[[1]]}') == 3
