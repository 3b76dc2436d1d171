"""Looking for what an action cannot take: by halving where it raises, by notes in the journal where it kills the process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from hort.batch import Reference
from hort.journal import Journal

REASON = "unprocessable"
"""Of dead letters for what an action cannot take."""
SPLIT_AFTER = 2
"""Tries with a batch before it is cut: the first, and one that notes where it is."""
FAILED = "failed"
"""Under this name the provider counts a batch's activations that ended with an error, by OpenWhisk's records."""
SINGLY = 400
"""Up to so many positions are noted one by one; of more, a part is as long as there are parts."""


def poison(count: int, attempt: Callable[[range], object]) -> list[int]:
    """The positions at which an attempt raises by itself; none where only several together do. Each level halves."""
    found: list[int] = []
    waiting = [range(count)]
    while waiting:
        positions = waiting.pop()
        if not positions or _works(attempt, positions):
            continue
        if len(positions) == 1:
            found.append(positions.start)
        else:
            waiting += halves(positions)[::-1]
    return found


def _works(attempt: Callable[[range], object], positions: range) -> bool:
    try:
        attempt(positions)
    except Exception:  # noqa: BLE001 - whatever it is, it is this part that brings it about
        return False
    return True


def noted(journal: Journal, reference: Reference, step: str, positions: range) -> Iterator[range]:
    """All positions in parts, each noted before it is tried: after two deaths it is known which one of 160,000 kills."""
    size = 1 if len(positions) <= SINGLY else math.isqrt(len(positions))
    for start in range(0, len(positions), size):
        part = positions[start : start + size]
        journal.note(reference, step, part)
        yield part
    journal.note(reference, step, None)


def cuts(count: int, suspect: range | None) -> list[range]:
    """What a batch is cut into: what is before the suspect part, that part, and what is behind; or two halves."""
    everything = range(count)
    if suspect is None or len(suspect) >= count or suspect.stop > count:
        return halves(everything)
    pieces = [everything[: suspect.start], suspect, everything[suspect.stop :]]
    return [piece for piece in pieces if piece]


def halves(positions: range) -> list[range]:
    """The two halves, none of them empty where there are two positions."""
    middle = len(positions) // 2
    return [positions[:middle], positions[middle:]]
