"""The strategy over an engine and a detector that say what a test tells them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from plates import looks, pixels, recognize
from plates.detection import Place
from plates.patterns import Patterns
from plates.pixels import Image, Matrix
from plates.recognize import LOOKS, Spot, Strategy

GREY = np.zeros((400, 800), np.uint8)
PLACE, OTHER = Place(100, 100, 120, 60, 9), Place(500, 100, 120, 60, 5)
RULES = Patterns([("oh", "@@@####"), ("il", "@######")])
SURE = [("ABC1234", 92.0), ("A8C1234", 85.0)]
UNSURE = [("ABC1234", 84.0), ("ABC1Z34", 83.0)]
NOISE = [("I1I1", 72.0)]


@dataclass
class Detector:
    usual: list[Place]
    more: list[Place] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)

    def find(self, grey: Image, *, country: str, smallest: float = 1.0, strictness: int = 3) -> list[Place]:
        self.asked.append(smallest)
        return self.usual if smallest == 1.0 else self.more


class Engine:
    """Answers the looks one after the other; the last answer stays."""

    def __init__(self, *answers: list[tuple[str, float]]) -> None:
        self._answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def read(self, image: Image, **asked: Any) -> dict[str, Any]:
        self.calls.append(asked)
        texts = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        x, y, width, height = asked["rectangles"][0]
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        result = {
            "plate": texts[0][0] if texts else "",
            "confidence": texts[0][1] if texts else 0,
            "processing_time_ms": 7.0,
            "coordinates": [{"x": left, "y": top} for left, top in corners],
            "candidates": [
                {"plate": text, "confidence": confidence, "matches_template": 0} for text, confidence in texts
            ],
        }
        return {"results": [result] if texts else []}


@pytest.fixture(autouse=True)
def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def warp(image: Image, matrix: Matrix, *, width: int, height: int) -> Image:
        return np.zeros((height, width), np.uint8)

    monkeypatch.setattr(pixels, "warp", warp)
    monkeypatch.setattr(pixels, "clahe", lambda image, tiles: image)


def spots(
    engine: Engine, detector: Detector, *, deadline: float = 1e9, clock: Sequence[float] = (0.0,)
) -> list[Spot]:
    times = list(clock)
    strategy = Strategy(
        engine=engine,
        detector=detector,
        rules=lambda country: RULES,
        region=None,
        detect_region=False,
        deadline=deadline,
        clock=lambda: times.pop(0) if len(times) > 1 else times[0],
    )
    return strategy.spots(GREY, ["us"])


def best(found: list[Spot]) -> list[str]:
    return [spot.votes[0].plate for spot in found]


def test_a_clear_plate_costs_one_look() -> None:
    engine, detector = Engine(SURE), Detector([PLACE])
    assert best(spots(engine, detector)) == ["ABC1234"]
    assert len(engine.calls) == 1
    assert detector.asked == [1.0]


def test_a_confident_reading_of_no_pattern_is_looked_at_again() -> None:
    engine = Engine([("EX1T", 92.0)], UNSURE)
    assert best(spots(engine, Detector([PLACE]))) == ["ABC1234"]
    assert len(engine.calls) > 1


def test_looks_that_agree_end_early() -> None:
    engine = Engine(UNSURE)
    assert best(spots(engine, Detector([PLACE]))) == ["ABC1234"]
    assert len(engine.calls) == 5


def test_looks_are_bounded() -> None:
    engine = Engine(*([[("ABC1234", 80.0)], [("XBC1284", 80.0)]] * 10))
    spots(engine, Detector([PLACE]))
    assert len(engine.calls) == len(LOOKS)


def test_noise_is_no_plate() -> None:
    engine = Engine(NOISE, [], [], [("1IE", 70.0)], [])
    assert spots(engine, Detector([PLACE])) == []


def test_a_weak_place_beside_a_sure_one_gets_glances_only_and_is_left_out() -> None:
    engine = Engine(SURE, NOISE, [], [])
    assert best(spots(engine, Detector([PLACE, OTHER]))) == ["ABC1234"]
    assert len(engine.calls) == 1 + recognize.GLANCES


def test_two_clear_plates_are_both_given() -> None:
    engine = Engine(SURE, [("B123456", 91.0)])
    assert best(spots(engine, Detector([PLACE, OTHER]))) == ["ABC1234", "B123456"]


def test_small_plates_are_sought_where_nothing_was_found_and_enlarged() -> None:
    engine, detector = Engine(UNSURE), Detector([], [Place(100, 100, 44, 22)])
    assert best(spots(engine, detector)) == ["ABC1234"]
    assert detector.asked == [1.0, 0.5]
    assert engine.calls[0]["rectangles"][0][2] == 88


def test_the_deadline_ends_the_looking_with_what_is_known() -> None:
    engine = Engine(UNSURE)
    assert best(spots(engine, Detector([PLACE]), deadline=1.5, clock=(0.0, 1.0, 2.0))) == ["ABC1234"]
    assert len(engine.calls) == 2


def test_one_place_of_two_countries_is_one_result() -> None:
    strategy = Strategy(
        engine=Engine(SURE),
        detector=Detector([PLACE]),
        rules=lambda country: RULES,
        region=None,
        detect_region=False,
        deadline=1e9,
    )
    assert len(strategy.spots(GREY, ["us", "eu"])) == 1


def test_a_result_is_openalprs_with_its_corners_in_the_photo() -> None:
    (spot,) = spots(Engine(SURE), Detector([PLACE]))
    result = recognize._result(spot, 0, 1, RULES, "oh")
    assert result["coordinates"][0] == {"x": 100, "y": 100}
    assert (result["plate"], result["confidence"], result["matches_template"]) == ("ABC1234", 92.0, 1)
    assert result["candidates"] == [{"plate": "ABC1234", "confidence": 92.0, "matches_template": 1}]
    assert (result["plate_index"], result["requested_topn"]) == (0, 1)


def test_corners_of_a_turned_and_enlarged_look_come_back_to_where_they_are() -> None:
    way = looks.Look(turn=4, enlarge=3)
    (found,) = looks.read(Engine(SURE), GREY, PLACE, way, country="us", region=None, detect_region=False)
    xs, ys = ([point[axis] for point in found.result["coordinates"]] for axis in "xy")
    assert (sum(xs) / 4, sum(ys) / 4) == pytest.approx(PLACE.centre, abs=1)
    assert max(xs) - min(xs) == pytest.approx(PLACE.width, abs=8)


def test_candidates_fall_in_confidence() -> None:
    (spot,) = spots(Engine(UNSURE), Detector([PLACE]))
    result = recognize._result(spot, 0, 10, RULES, None)
    values = [entry["confidence"] for entry in result["candidates"]]
    assert values == sorted(values, reverse=True)
    assert len(values) == 2
