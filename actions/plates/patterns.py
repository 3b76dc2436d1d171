"""How plates of a country are made up: OpenALPR's pattern files as a prior for votes, never as a rule.

A line of `postprocess/<country>.patterns` is a region and a pattern: @ any letter, # any digit, [..] one of these, ? skipped.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

_POSITION = re.compile(r"\[[^\]]+\]|.")
_CLASSES = {"@": "[A-Z]", "#": "[0-9]"}
_LEAST_POSITIONS = 3
"""Patterns of less, such as nothing but skipped positions, say nothing."""
_REMEMBERED = 20_000
_STRANGE = -2.5
_CHANGE = -0.7
_REGION = 0.3
_OWN_REGION = 4.0


class Patterns:
    """The patterns of a country.

    Args:
        lines: pairs of region and pattern.
    """

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        named: defaultdict[str, set[str]] = defaultdict(set)
        for region, pattern in lines:
            named[pattern].add(region)
        self._by_length: defaultdict[int, list[tuple[re.Pattern[str], frozenset[str]]]] = defaultdict(list)
        for pattern, regions in named.items():
            positions = _positions(pattern)
            if len(positions) >= _LEAST_POSITIONS:
                self._by_length[len(positions)].append((re.compile("".join(positions)), frozenset(regions)))
        self.regions = lru_cache(maxsize=_REMEMBERED)(self._regions)
        self._prior = lru_cache(maxsize=_REMEMBERED)(self._weigh)

    def _regions(self, plate: str) -> frozenset[str]:
        """The regions whose plates may read so."""
        fitting = (
            regions for pattern, regions in self._by_length.get(len(plate), ()) if pattern.fullmatch(plate)
        )
        return frozenset().union(*fitting)

    def matches(self, plate: str, region: str | None = None) -> bool:
        """Whether a plate fits a pattern of the region, or of any where none is named."""
        found = self.regions(plate)
        return region in found if region else bool(found)

    def prior(self, plate: str, region: str | None = None) -> float:
        """How likely such a plate is before anything was read, as a logarithm up to a constant.

        More regions make a pattern likelier; what fits none is the less likely the more often letters and digits alternate.
        """
        return self._prior(plate, region)

    def _weigh(self, plate: str, region: str | None) -> float:
        found = self.regions(plate)
        if not found:
            return _STRANGE + _CHANGE * changes(plate)
        return _REGION * math.log(len(found)) + (_OWN_REGION if region in found else 0.0)


def changes(plate: str) -> int:
    """How often letters and digits alternate."""
    return sum(left.isdigit() != right.isdigit() for left, right in pairwise(plate))


@lru_cache(maxsize=64)
def of(prefix: Path, country: str) -> Patterns:
    """The patterns of a country in an installation; a country without a file has none."""
    path = prefix / "share/openalpr/runtime_data/postprocess" / f"{country}.patterns"
    if not path.is_file():
        return Patterns([])
    lines = (line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return Patterns((line[0], line[1]) for line in lines if len(line) == 2 and not line[0].startswith("#"))


def _positions(pattern: str) -> list[str]:
    """A regular expression for each letter that counts."""
    return [_CLASSES.get(position, position) for position in _POSITION.findall(pattern) if position != "?"]
