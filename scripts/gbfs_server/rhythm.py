"""How many trips a city makes over the day, and which way people ride."""

from __future__ import annotations

import math
import random

PEAK_TRIPS = 0.14
"""Trips a station a minute at the height of the rush hour."""
NIGHT_TRIPS = 0.004
_POISSON_LIMIT = 50.0


def morning(hour: float) -> float:
    """Share of the commute to work, 0 to 1; highest at 8:00."""
    return _bell(hour, 8.0, 1.1)


def evening(hour: float) -> float:
    """Share of the commute home, 0 to 1; highest at 17:30."""
    return _bell(hour, 17.5, 1.5)


def leisure(hour: float) -> float:
    """Trips without a direction, 0 to 0.5; highest in the early afternoon."""
    return 0.5 * _bell(hour, 14.0, 4.0)


def trips(hour: float) -> float:
    """Expected trips a station a minute."""
    return NIGHT_TRIPS + PEAK_TRIPS * max(morning(hour), evening(hour), leisure(hour))


def poisson(mean: float, rng: random.Random) -> int:
    """A Poisson number (Knuth's method; the normal approximation above 50)."""
    if mean > _POISSON_LIMIT:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _bell(hour: float, at: float, width: float) -> float:
    away = (hour - at + 12.0) % 24.0 - 12.0
    return math.exp(-0.5 * (away / width) ** 2)
