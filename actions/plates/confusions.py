"""A reading as a noisy copy of a plate: how dear it is to take one text for another (a weighted edit distance, Kernighan et al. 1990)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LOOKALIKES = (
    "0OQD",
    "1ILTJ",
    "8B3",
    "5S",
    "2Z7",
    "6GC",
    "4A",
    "HNMW",
    "VYU",
    "EF",
    "UJ",
    "0U",
    "6B8",
    "PRF",
    "KX",
    "DB",
)
TWINS = str.maketrans("OI", "01")
"""Letters that many plates print as the digit."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
FRAME = "1ILJTE"
"""What a plate's frame or screw is read as, before or after the plate."""

_ZERO, _ONE, _ALIKE, _OTHER = 0.03, 0.6, 1.6, 3.4
_MISSED, _ADDED, _FRAME_ADDED, _EDGE_ADDED = 0.8, 4.0, 2.0, 3.0
_INDEX = {letter: position for position, letter in enumerate(ALPHABET)}
_NONE = len(ALPHABET)

Numbers = NDArray[np.float64]


def _substitutions() -> Numbers:
    size = _NONE + 1
    costs = np.full((size, size), _OTHER)
    for groups, cost in ((LOOKALIKES, _ALIKE), (("0O",), _ZERO), (("1I",), _ONE)):
        for group in groups:
            for one in group:
                for other in group:
                    costs[_INDEX[one], _INDEX[other]] = cost
    np.fill_diagonal(costs, 0.0)
    return costs


_COSTS = _substitutions()
_EDGE = np.array([_FRAME_ADDED if letter in FRAME else _EDGE_ADDED for letter in ALPHABET] + [0.0])


def plain(text: str) -> str:
    """A text with the letters that have a digit's look as that digit."""
    return text.translate(TWINS)


def _coded(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    codes = np.full((len(texts), max(1, int(lengths.max(initial=1)))), _NONE, dtype=np.int64)
    for row, text in enumerate(texts):
        codes[row, : len(text)] = [_INDEX.get(letter, _NONE) for letter in text]
    return codes, lengths


def distances(plates: Sequence[str], readings: Sequence[str]) -> Numbers:
    """What it costs to read each reading where the plate is another, as a negative logarithm of its likelihood.

    Returns:
        plates x readings. A letter that is missed is cheaper than one that is added, least so one of the plate's frame.
    """
    plate, long = _coded(plates)
    seen, wide = _coded(readings)
    rows, columns = plate.shape[1], seen.shape[1]
    table = np.zeros((rows + 1, columns + 1, len(plates), len(readings)))
    for i in range(1, rows + 1):
        table[i, 0] = i * _MISSED
    for j in range(1, columns + 1):
        table[0, j] = table[0, j - 1] + _EDGE[seen[:, j - 1]][None, :]
    for i in range(1, rows + 1):
        last = (long == i)[:, None]
        for j in range(1, columns + 1):
            added = np.where(last, _EDGE[seen[:, j - 1]][None, :], _ADDED)
            replaced = table[i - 1, j - 1] + _COSTS[plate[:, i - 1][:, None], seen[:, j - 1][None, :]]
            table[i, j] = np.minimum(np.minimum(table[i - 1, j] + _MISSED, table[i, j - 1] + added), replaced)
    return np.asarray(
        table[
            long[:, None], wide[None, :], np.arange(len(plates))[:, None], np.arange(len(readings))[None, :]
        ]
    )
