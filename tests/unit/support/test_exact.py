"""The oracle's sums are those of fractions."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tests.support.exact import statistics


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53), min_size=1, max_size=9))
def test_they_are_those_of_fractions(numbers: list[float]) -> None:
    exact, values = statistics(numbers), [Fraction(number) for number in numbers]
    mean = sum(values) / len(values)
    assert exact == (len(values), sum(values), mean, sum((value - mean) ** 2 for value in values), sum(map(abs, values)) / len(values))
