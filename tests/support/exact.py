"""Statistics of doubles without any rounding, in whole numbers of a small enough unit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple


class Exact(NamedTuple):
    """Of n numbers; `ssd` is the sum of squared deviations from the mean, `size` the mean of the numbers without their signs."""

    n: int
    sum: Fraction
    mean: Fraction
    ssd: Fraction
    size: Fraction


def statistics(numbers: Sequence[float]) -> Exact:
    """Return what is true of at least one finite double: each is a whole number of 1/unit, a power of two, so sums are of integers."""
    ratios = [number.as_integer_ratio() for number in numbers]
    unit, n = max(below for _, below in ratios), len(ratios)
    wholes = [above * (unit // below) for above, below in ratios]
    total = sum(wholes)
    return Exact(
        n=n,
        sum=Fraction(total, unit),
        mean=Fraction(total, n * unit),
        ssd=Fraction(n * sum(whole * whole for whole in wholes) - total * total, n * unit * unit),
        size=Fraction(sum(map(abs, wholes)), n * unit),
    )
