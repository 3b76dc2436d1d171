"""Content negotiation as the real server's HTTP library does it (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAMETER = rf"\s*;\s*({_WORD})\s*=\s*({_WORD}|{_QUOTED})"
_RANGE = re.compile(rf"\s*(\*/\*|\*|{_WORD}/{_WORD})((?:{_PARAMETER})*)\s*")
_PARAMETERS = re.compile(_PARAMETER)
_ANY = "*"
_MOST_RANGES = 100


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One range of an Accept header; `kind` and `subtype` may be '*'."""

    kind: str
    subtype: str
    parameters: tuple[tuple[str, str], ...]
    quality: float

    def fits(self, kind: str, subtype: str) -> bool:
        """Whether a type is in the range; a range with parameters fits none, but for its charset."""
        named = self.kind in (_ANY, kind) and self.subtype in (_ANY, subtype)
        return named and all(name == "charset" for name, _ in self.parameters)

    @property
    def rank(self) -> tuple[int, int, float]:
        """Order of precedence: the most specific first."""
        generality = 2 if self.kind == _ANY else 1 if self.subtype == _ANY else 0
        return generality, -len(self.parameters), -self.quality


def quality(accept: Iterable[str], media_type: str) -> float:
    """What the values of Accept give a media type; 1 when none of them can be read."""
    ranges = sorted(_all(accept), key=lambda one: one.rank)
    if not ranges:
        return 1.0
    kind, _, subtype = media_type.split(";", maxsplit=1)[0].strip().lower().partition("/")
    return next((one.quality for one in ranges if one.fits(kind, subtype)), 0.0)


def names(accept: Iterable[str], media_type: str) -> bool:
    """Whether a media type is named, not only let through by a wildcard."""
    return any(f"{one.kind}/{one.subtype}" == media_type and one.quality > 0 for one in _all(accept))


def _all(accept: Iterable[str]) -> Iterator[MediaRange]:
    """Ranges of all headers; those beyond the first hundred are ignored, as no browser sends so many."""
    return islice(chain.from_iterable(map(_ranges, accept)), _MOST_RANGES)


def _ranges(header: str) -> list[MediaRange]:
    """Ranges of one header; none for a header that is malformed, which is ignored as a whole."""
    try:
        return list(islice(_parsed(header), _MOST_RANGES))
    except ValueError:
        return []


def _parsed(header: str) -> Iterator[MediaRange]:
    at = 0
    while at <= len(header) and header.strip():
        match = _RANGE.match(header, at)
        if match is None or header[match.end() : match.end() + 1] not in ("", ","):
            raise ValueError(header)
        yield _range(match[1], match[2])
        at = match.end() + 1


def _range(name: str, text: str) -> MediaRange:
    kind, _, subtype = name.lower().partition("/")
    parameters = {key.lower(): value.strip('"') for key, value in _PARAMETERS.findall(text)}
    weight = _weight(parameters.pop("q", "1"))
    if not 0 <= weight <= 1:
        raise ValueError(name)
    return MediaRange(kind, subtype or _ANY, tuple(sorted(parameters.items())), weight)


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
