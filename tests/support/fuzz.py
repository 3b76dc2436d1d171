"""What the fuzz tests share: how many examples, JSON of every odd kind, and values that are nearly right."""

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ODD_TEXTS = ("", " ", ".", "..", "/", "a/b", "_", "\0", "a\0b", "\ud800", "\udfff\ud800", "é", "\u202e", "a" * 300, "%", "%00", "%ff", "$ne", "__proto__", "1e999", "true", "null", "NaN")
ODD_NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**64), 10**400, 0.5, -0.0, 1e308)


LONG = "HORT_TEST_LONG"
"""Set by `./scripts/test --long`."""


def examples(usual: int) -> int:
    """How many examples a property is tried with; four times as many in a long run."""
    return usual * (4 if os.environ.get(LONG) else 1)


def profile(examples: int) -> settings:
    """The same examples each run; as many others as HORT_FUZZ_EXAMPLES says where it is set."""
    more = os.environ.get("HORT_FUZZ_EXAMPLES")
    return settings(
        max_examples=int(more) if more else examples,
        derandomize=not more,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(), max_size=12)
"""Texts, halves of surrogate pairs among them: JSON may carry them."""
scalars = st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
"""Any JSON value."""


def encoded(value: Any) -> bytes:
    """A value as JSON text, half surrogate pairs escaped."""
    return json.dumps(value).encode()


RAW = (
    b"", b" ", b"{", b"[", b"nul", b'{"a":1', b'{"a":1}x', b"\xff\xfe", b'{"a":"\xff"}', b'{"a":NaN}', b'{"a":1e999}', b'{"a":-Infinity}',
    b'{"a":1,"a":2}', b'{"a":' * 1_200 + b"1" + b"}" * 1_200, b"[" * 100_000, b'{"a":"\\ud800"}', b'"\\ud800"', b'{"\\ud800":1}', b'{"a":' + b"9" * 5_000 + b"}",
    b'\xef\xbb\xbf{"a":1}', b'{"a":"\x00"}', b'{"a":"\\u0000"}',
)  # fmt: skip
raw_bodies = st.sampled_from(RAW) | st.binary(max_size=60)
"""Bodies that are not JSON, or only just."""


@st.composite
def near(draw: st.DrawFn, template: Any) -> Any:
    """A value like the template: now and then a part of it is left out, doubled or something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(values)
    if isinstance(template, dict):
        kept = {name: draw(near(part)) for name, part in template.items() if draw(st.integers(0, 11)) > 0}
        return kept | (draw(st.dictionaries(texts, values, max_size=1)) if draw(st.integers(0, 11)) == 0 else {})
    if isinstance(template, list):
        return [draw(near(part)) for part in template for _ in range(draw(st.sampled_from((1, 1, 1, 0, 2))))]
    return draw(scalars) if draw(st.integers(0, 9)) == 0 else template


def bodies(*templates: Any) -> st.SearchStrategy[bytes]:
    """Request bodies: mostly near one of the templates, sometimes any JSON or no JSON at all."""
    like = st.one_of([near(template) for template in templates]).map(encoded)
    return st.one_of(like, like, like, values.map(encoded), raw_bodies)
