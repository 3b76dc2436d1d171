"""When which fault happens: drawn from a seed, so that a campaign can be had again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

GAP_S = (5.0, 14.0)
"""Seconds between the beginnings of two faults; many last longer, so that faults overlap."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: seconds after the begin of the campaign, how long it lasts, and the seed of what it chooses by itself."""

    number: int
    kind: str
    at_s: float
    for_s: float
    seed: int


def make(durations: Mapping[str, tuple[float, float]], *, seed: int, seconds: float, only: Sequence[str] = ()) -> list[Planned]:
    """The faults of a campaign: all kinds in turn, each round in a new order, until the time is filled.

    Args:
        durations: shortest and longest time of each kind, seconds.
        seed: the same seed, kinds and seconds give the same plan.
        seconds: faults begin within this time.
        only: kinds to choose from; all where empty.

    Raises:
        ValueError: a kind that does not exist.
    """
    if unknown := [kind for kind in only if kind not in durations]:
        raise ValueError(f"unknown fault {unknown[0]!r}; there are {', '.join(sorted(durations))}")
    draw = random.Random(seed)
    kinds = sorted(only or durations)
    planned: list[Planned] = []
    moment = draw.uniform(*GAP_S)
    while moment < seconds:
        for kind in draw.sample(kinds, len(kinds)):
            if moment >= seconds:
                break
            lasts = round(draw.uniform(*durations[kind]), 1)
            planned.append(Planned(len(planned), kind, round(moment, 1), lasts, draw.getrandbits(32)))
            moment += draw.uniform(*GAP_S)
    return planned
