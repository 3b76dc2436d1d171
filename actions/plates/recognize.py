"""The strategy: a clear plate costs one look; a place that is read poorly is looked at again, otherwise cut, turned or enlarged, and its readings vote.

OpenALPR misses plates less than it misreads them: its detector finds nearly all, and a few pixels more or less around a place change
what is read there. Places that stay unreadable give no result: nothing is invented.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from plates import detection, looks, patterns, pixels, voting
from plates.detection import Place
from plates.looks import Look, Reading
from plates.openalpr import Engine, country_names
from plates.patterns import Patterns
from plates.pixels import Image
from plates.voting import Vote

LOOKS = (
    Look(),
    Look(1.15, 1.15),
    Look(1.0, 0.85),
    Look(1.15, 1.0),
    Look(1.0, 1.0, turn=4),
    Look(0.9, 0.85),
    Look(1.3, 1.15),
    Look(1.0, 1.0, turn=-4),
    Look(1.0, 1.15),
    Look(1.15, 1.15, enlarge=3),
    Look(0.9, 1.0),
    Look(1.0, 0.85, contrast=True),
    Look(1.3, 1.3),
    Look(1.15, 1.15, turn=3),
    Look(1.15, 1.0, contrast=True),
    Look(1.15, 0.85),
)
"""The most telling and most different first."""
SMALL = 66
SMALL_LOOKS = tuple(replace(look, enlarge=2.0 + index % 3) for index, look in enumerate(LOOKS))
"""For places narrower than SMALL pixels: OpenALPR's own enlarging blurs them."""
SURE = 89.0
"""Percent: a first look with at least this confidence that fits a pattern of the country is taken."""
COUNTED_AFTER = {1: 1.0, 5: 1.0, 10: 0.85, len(LOOKS): 0.0}
"""After so many looks the readings are counted; where this share says the same, and it fits a pattern, they are enough."""
GLANCES = 5
"""Looks at a further place where another plate of the photo is sure."""
MAX_SPOTS = 4
LEAST, LEAST_FURTHER = 0.4, 0.7
"""The strength that a photo's strongest spot needs to be given, and that any further one needs."""


class Finds(Protocol):
    """What `detection.Detector` offers."""

    def find(self, grey: Image, *, country: str, smallest: float = 1.0, strictness: int = 3) -> list[Place]:
        """The places, best first."""
        ...


@dataclass(slots=True)
class Spot:
    """Where a plate may be: overlapping places, what was read there, and what the readings make of it."""

    country: str
    places: list[Place]
    looks: int = 0
    readings: list[Reading] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    fits: bool = False

    @property
    def answered(self) -> float:
        """The share of looks that read something."""
        return len(self.readings) / self.looks if self.looks else 0.0

    @property
    def sure(self) -> bool:
        """Whether nothing more needs to be looked at."""
        if not self.votes or not self.fits:
            return False
        if self.looks == 1:
            return self.votes[0].share == 1 and self.votes[0].confidence >= SURE
        return self.answered >= 0.75 and self.votes[0].share >= COUNTED_AFTER.get(self.looks, 1.1)

    @property
    def strength(self) -> float:
        """How much speaks for a plate here, 0 to 1: it answers at most looks, with confidence, alike, and by a pattern."""
        if not self.votes:
            return 0.0
        confidence = max(reading.confidence for reading in self.readings)
        steady = self.answered * (0.5 + 0.5 * self.votes[0].share)
        return 0.4 * steady + 0.3 * max(0.0, confidence - 70) / 25 + 0.3 * self.fits


class Strategy:
    """One photo's recognition.

    Args:
        engine: bare OpenALPR.
        detector: its detector.
        rules: the patterns of a country.
        region: whose patterns count most.
        detect_region: passed on to OpenALPR.
        deadline: on the clock; when it has come, what is known is the answer.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        engine: looks.Reads,
        detector: Finds,
        rules: Callable[[str], Patterns],
        region: str | None,
        detect_region: bool,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._detector = detector
        self._rules = rules
        self._region = region
        self._detect_region = detect_region
        self._deadline = deadline
        self._clock = clock

    def spots(self, image: Image, countries: Sequence[str]) -> list[Spot]:
        """The spots with a plate, strongest first."""
        grey = pixels.grey(image)
        found = [spot for country in countries for spot in self._searched(grey, country)]
        kept: list[Spot] = []
        for spot in sorted(found, key=lambda spot: -spot.strength):
            least = LEAST_FURTHER if kept else LEAST
            if spot.strength >= least and not any(_same(spot.places[0], other.places[0]) for other in kept):
                kept.append(spot)
        return kept

    def _searched(self, grey: Image, country: str) -> list[Spot]:
        """The spots that OpenALPR's detector gives; where none holds a plate, what it gives when it is asked for less."""
        spots = grouped(self._detector.find(grey, country=country), country)[:MAX_SPOTS]
        self._study(grey, spots)
        if any(spot.strength >= LEAST for spot in spots) or self._late():
            return spots
        more = self._detector.find(grey, country=country, smallest=0.5, strictness=1)
        fresh = [
            place for place in more if not any(_same(place, known) for spot in spots for known in spot.places)
        ]
        further = grouped(fresh, country)[:MAX_SPOTS]
        self._study(grey, further)
        return [*spots, *further]

    def _study(self, grey: Image, spots: Sequence[Spot]) -> None:
        """Looks at every spot once, then at the unsure ones again and again."""
        for spot in spots:
            self._look(grey, spot, 1)
        last = GLANCES if any(spot.sure for spot in spots) else len(LOOKS)
        for spot in spots:
            for count in sorted(COUNTED_AFTER):
                if spot.looks < count <= last and not spot.sure:
                    self._look(grey, spot, count)

    def _look(self, grey: Image, spot: Spot, count: int) -> None:
        """Looks at a spot until it was looked at so many times, and counts the votes."""
        while spot.looks < count and not self._late():
            ways = SMALL_LOOKS if spot.places[0].width < SMALL else LOOKS
            spot.readings += self._read(grey, spot, ways[spot.looks])
            spot.looks += 1
        rules = self._rules(spot.country)
        spot.votes = voting.rank(spot.readings, rules, region=self._region)
        spot.fits = bool(spot.votes) and rules.matches(spot.votes[0].plate)

    def _read(self, grey: Image, spot: Spot, way: Look) -> list[Reading]:
        """What the first of the spot's places that can be read so says."""
        for place in spot.places:
            found = looks.read(
                self._engine,
                grey,
                place,
                way,
                country=spot.country,
                region=self._region,
                detect_region=self._detect_region,
            )
            if found:
                return found[:1]
        return []

    def _late(self) -> bool:
        return self._clock() >= self._deadline


def recognize(
    image: Image,
    *,
    engine: Engine,
    country: str | Sequence[str],
    n: int,
    region: str | None = None,
    detect_region: bool = False,
    deadline: float = float("inf"),
) -> dict[str, Any]:
    """The plates of a photo as OpenALPR's document (version 2) has them, the best first.

    Args:
        image: BGR, uint8.
        engine: bare OpenALPR.
        country: whose plates, one or several.
        n: candidates a plate.
        region: whose patterns count most, and decide `matches_template`.
        detect_region: guess the region from the look of the plate.
        deadline: on time.monotonic(); later looks are left out.
    """

    def rules(name: str) -> Patterns:
        return patterns.of(engine.prefix, name)

    strategy = Strategy(
        engine=engine,
        detector=detection.of(engine.prefix),
        rules=rules,
        region=region,
        detect_region=detect_region,
        deadline=deadline,
    )
    spots = strategy.spots(image, country_names(country))
    results = [_result(spot, index, n, rules(spot.country), region) for index, spot in enumerate(spots)]
    return {"version": 2, "data_type": "alpr_results", "regions_of_interest": [], "results": results}


def grouped(places: Sequence[Place], country: str) -> list[Spot]:
    """Places about the same middle become one spot, the larger first, as OpenALPR tries them."""
    spots: list[Spot] = []
    for place in places:
        near = next((spot for spot in spots if _same(place, spot.places[0])), None)
        if near is None:
            spots.append(Spot(country, [place]))
        else:
            near.places = sorted([*near.places, place], key=lambda other: -other.width * other.height)[:3]
    return spots


def _same(one: Place, other: Place) -> bool:
    return one.holds(*other.centre) or other.holds(*one.centre)


def _result(spot: Spot, index: int, n: int, rules: Patterns, region: str | None) -> dict[str, Any]:
    """A spot as a result of OpenALPR: the text by vote, the corners of the reading that comes nearest to it."""
    best = spot.votes[0]
    base = max(
        spot.readings, key=lambda reading: (reading.candidates[0][0] == best.plate, reading.confidence)
    )
    candidates = [
        {
            "plate": vote.plate,
            "confidence": confidence,
            "matches_template": int(bool(region) and rules.matches(vote.plate, region)),
        }
        for vote, confidence in zip(spot.votes[:n], _confidences(spot, n), strict=True)
    ]
    return {
        **base.result,
        **candidates[0],
        "plate_index": index,
        "requested_topn": n,
        "processing_time_ms": round(
            sum(reading.result.get("processing_time_ms", 0.0) for reading in spot.readings), 3
        ),
        "candidates": candidates,
    }


def _confidences(spot: Spot, n: int) -> list[float]:
    """Percent, falling: OpenALPR's own for the best, less where looks disagree; the others by how much worse they explain the readings."""
    best = spot.votes[0]
    heard = best.confidence or max(reading.confidence for reading in spot.readings) - 5
    top = heard * (0.85 + 0.15 * best.share)
    return [round(top * 2.718281828 ** ((vote.score - best.score) / 30), 6) for vote in spot.votes[:n]]
