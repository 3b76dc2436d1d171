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
        regions: defaultdict[str, set[str]] = defaultdict(set)
        for region, pattern in lines:
            regions[_expression(pattern)].add(region)
        self._regions = {expression: frozenset(names) for expression, names in regions.items()}
        self._compiled = [
            (re.compile(expression), names) for expression, names in self._regions.items() if expression
        ]
        self._prior = lru_cache(maxsize=20_000)(self._weigh)

    def regions(self, plate: str) -> frozenset[str]:
        """The regions whose plates may read so."""
        return frozenset().union(
            *(names for expression, names in self._compiled if expression.fullmatch(plate))
        )

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


def _expression(pattern: str) -> str:
    """The pattern as a regular expression; patterns of nothing but skipped positions say nothing."""
    positions = [position for position in _POSITION.findall(pattern) if position != "?"]
    fixed = "".join(_CLASSES.get(position, position) for position in positions)
    return fixed if len(positions) > 2 else ""
