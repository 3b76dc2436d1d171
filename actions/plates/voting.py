"""Many readings of one plate become one ranking: the plate that explains all of them best, given how plates are made up."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from plates import confusions
from plates.looks import Reading
from plates.patterns import Patterns

MIN_LENGTH, MAX_LENGTH = 4, 8
_SPREAD = 2.5
_INDEPENDENT = 6.0
"""Looks at one place err alike: however many there are, together they say no more than so many that do not."""
_PRIOR = 1.0
_KEPT, _MERGED, _HYPOTHESES = 40, 8, 90
_SEEN_PER_READING = 6
_DIGITS = str.maketrans("OIZSBGQD", "01258600")
_LETTERS = str.maketrans("015286", "OISZBG")


@dataclass(frozen=True, slots=True)
class Vote:
    """A plate and how well it explains the readings (a logarithm), the share of readings that say it (O and 0, I and 1 alike), its best confidence in percent."""

    plate: str
    score: float
    share: float
    confidence: float


def rank(readings: Sequence[Reading], patterns: Patterns, *, region: str | None = None) -> list[Vote]:
    """The plates that the readings may come from, best first; empty where nothing was read."""
    heard = [_shares(reading) for reading in readings]
    if not any(heard):
        return []
    support = _support(readings, heard)
    plates = _hypotheses(support, patterns)
    seen = sorted({text for shares in heard for text in shares})
    likelihood = np.exp(-confusions.distances(plates, seen))
    column = {text: index for index, text in enumerate(seen)}
    score = np.array([_PRIOR * patterns.prior(plate, region) for plate in plates])
    say = [_weight(reading) for reading in readings]
    trust = min(1.0, _INDEPENDENT / sum(say))
    for weight, shares in zip(say, heard, strict=True):
        weights = np.zeros(len(seen))
        for text, share in shares.items():
            weights[column[text]] = share
        score += trust * weight * np.log(likelihood @ weights + 1e-9)
    best = _confidences(readings)
    first = [confusions.plain(reading.candidates[0][0]) for reading in readings]
    order = np.argsort(-score, kind="stable")
    return [
        Vote(
            plates[index],
            float(score[index]),
            first.count(confusions.plain(plates[index])) / len(first),
            best.get(confusions.plain(plates[index]), 0.0),
        )
        for index in order
    ]


def _weight(reading: Reading) -> float:
    """A reading's say: none at OpenALPR's least confidence (65 percent), one at 90."""
    return max(0.05, (reading.confidence - 65) / 25)


def _shares(reading: Reading) -> dict[str, float]:
    candidates = reading.candidates[:_SEEN_PER_READING]
    if not candidates:
        return {}
    top = candidates[0][1]
    weights = {text: math.exp((confidence - top) / _SPREAD) for text, confidence in candidates}
    total = sum(weights.values())
    return {text: weight / total for text, weight in weights.items()}


def _support(readings: Sequence[Reading], heard: Sequence[dict[str, float]]) -> dict[str, float]:
    support: defaultdict[str, float] = defaultdict(float)
    for reading, shares in zip(readings, heard, strict=True):
        for text, share in shares.items():
            support[text] += share * _weight(reading)
        for text, _ in reading.candidates:
            support[text] += 1e-6
    return dict(support)


def _confidences(readings: Sequence[Reading]) -> dict[str, float]:
    best: defaultdict[str, float] = defaultdict(float)
    for reading in readings:
        for text, confidence in reading.candidates:
            best[confusions.plain(text)] = max(best[confusions.plain(text)], confidence)
    return dict(best)


def _hypotheses(support: dict[str, float], patterns: Patterns) -> list[str]:
    """Texts that were read, texts that several of them are parts of, and each with the lookalikes that a pattern asks for."""
    read = sorted(support, key=lambda text: -support[text])
    found = dict.fromkeys(read[:_KEPT])
    found.update(dict.fromkeys(text for pair in combinations(read[:_MERGED], 2) for text in merged(*pair)))
    for text in list(found)[: _KEPT + 20]:
        found.update(dict.fromkeys(settled(text, patterns)))
    right = [text for text in found if MIN_LENGTH <= len(text) <= MAX_LENGTH]
    return (right or read)[: 2 * _HYPOTHESES]


def merged(one: str, other: str) -> list[str]:
    """The text that holds both where each lacks letters that the other has; none where they contradict each other.

    ABC12 and BC123 give ABC123.
    """
    common = _common(one, other)
    if min(len(one), len(other)) < 3 or len(common) < min(len(one), len(other)) - 1:
        return []
    text, i, j = "", 0, 0
    for letter in [*common, ""]:
        first = one[i:].find(letter) if letter else len(one) - i
        second = other[j:].find(letter) if letter else len(other) - j
        gap, another = one[i : i + first], other[j : j + second]
        if gap and another and gap != another:
            return []
        text += (gap or another) + letter
        i, j = i + first + 1, j + second + 1
    return [text] if text not in (one, other) and len(text) <= MAX_LENGTH else []


def _common(one: str, other: str) -> str:
    """The longest text whose letters both have in this order."""
    table = [[""] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            longest = max(table[i][j + 1], table[i + 1][j], key=len)
            table[i + 1][j + 1] = table[i][j] + left if left == right else longest
    return table[-1][-1]


def settled(text: str, patterns: Patterns) -> list[str]:
    """A text with lookalikes exchanged so that it begins or goes on with letters or digits, where the result fits a pattern."""
    kinds = [(text[:i], text[i:j], text[j:]) for i in range(len(text)) for j in range(i, len(text) + 1)]
    found = set()
    for head, body, tail in kinds:
        for inner, outer in ((_DIGITS, _LETTERS), (_LETTERS, _DIGITS)):
            found.add(head.translate(outer) + body.translate(inner) + tail.translate(outer))
    for position, letter in enumerate(text):
        for table in (_DIGITS, _LETTERS):
            found.add(text[:position] + letter.translate(table) + text[position + 1 :])
    return [other for other in sorted(found) if other != text and patterns.matches(other)]
