"""Kinds of values and given schemas."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.errors import ConfigError
from hort.schema import BOOL, KINDS, NUMERIC, STRING, fit, from_params, kind_of, natural

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (NUMERIC, 5, 5),
        (NUMERIC, "5", 5),
        (NUMERIC, " -2.50 ", -2.5),
        (NUMERIC, "1e3", 1000.0),
        (NUMERIC, "+.5", 0.5),
        (NUMERIC, "12345678901234567890", 12345678901234567890),
        (STRING, "x", "x"),
        (STRING, 5, "5"),
        (STRING, 2.5, "2.5"),
        (STRING, True, "true"),
        (BOOL, False, False),
        (BOOL, "TRUE", True),
        (BOOL, " false", False),
        (BOOL, 1, True),
        (BOOL, 0.0, False),
        (NUMERIC, None, None),
        (STRING, None, None),
        (BOOL, None, None),
    ],
)
def test_value_is_made_to_fit(kind: str, value: Any, result: Any) -> None:
    assert fit(kind, value) == (result, True)
    assert type(fit(kind, value)[0]) is type(result)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (NUMERIC, "abc"),
        (NUMERIC, ""),
        (NUMERIC, "nan"),
        (NUMERIC, "Infinity"),
        (NUMERIC, "1e999"),
        (NUMERIC, "1_000"),
        (NUMERIC, "٣"),
        (NUMERIC, "9" * 65),
        (NUMERIC, "18446744073709551616"),
        (NUMERIC, "-9223372036854775809"),
        (NUMERIC, True),
        (NUMERIC, [1]),
        (STRING, ["x"]),
        (BOOL, "maybe"),
        (BOOL, 2),
        (BOOL, [True]),
    ],
)
def test_value_that_does_not_fit_stays_as_it_is(kind: str, value: Any) -> None:
    assert fit(kind, value) == (value, False)


@given(SCALARS, st.sampled_from(KINDS))
def test_what_fits_is_of_its_kind(value: Any, kind: str) -> None:
    result, fits = fit(kind, value)

    assert result is None or not fits or kind_of(result) == kind


@given(SCALARS, st.sampled_from(KINDS))
def test_natural_values_need_no_look(value: Any, kind: str) -> None:
    if natural(kind, type(value)):
        assert fit(kind, value) == (value, True)


def test_exact_name_comes_before_globs() -> None:
    given_schema = from_params({"schema": {"b*": {"x": "Numeric"}, "bike": {"y": "string"}, "*": {}}})

    assert dict(given_schema.of("bike").fields) == {"y": STRING}  # type: ignore[union-attr]
    assert dict(given_schema.of("bus").fields) == {"x": NUMERIC}  # type: ignore[union-attr]
    assert dict(given_schema.of("car").fields) == {}  # type: ignore[union-attr]


def test_type_that_is_not_given_is_inferred() -> None:
    assert from_params({"schema": '{"bike": {"x": "Bool"}}'}).of("car") is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"bike": {"x": "Number"}}, "schema.bike.x"),
        ({"bike": "x"}, "schema.bike"),
        ([], "schema"),
        ("{", "schema"),
    ],
)
def test_schema_that_is_none(value: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'"):
        from_params({"schema": value})
