"""One place read in several ways: OpenALPR's reading of a plate hangs on a pixel more or less, so that many looks say more than one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from plates import pixels
from plates.detection import Place
from plates.pixels import Image

CANDIDATES = 20
SKIP_DETECTION = {"skip_detection": "1"}
_MARGIN = 0.5


class Reads(Protocol):
    """What `openalpr.Engine` offers."""

    def read(
        self,
        image: Image,
        *,
        country: str | Sequence[str],
        n: int,
        region: str | None = None,
        detect_region: bool = False,
        rectangles: Sequence[tuple[int, int, int, int]] = (),
        settings: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """OpenALPR's answer."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """How a place is looked at: its width and height stretched by factors, enlarged, turned by degrees, or its contrast raised."""

    wide: float = 1.0
    high: float = 1.0
    enlarge: float = 1.0
    turn: float = 0.0
    contrast: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What OpenALPR read at one look: its result, whose coordinates are the photo's."""

    result: dict[str, Any]

    @property
    def confidence(self) -> float:
        """Of the best candidate, in percent."""
        return float(self.result["confidence"])

    @property
    def candidates(self) -> list[tuple[str, float]]:
        """Texts with their confidence in percent, best first."""
        found = [
            (entry["plate"].replace("\n", ""), float(entry["confidence"]))
            for entry in self.result["candidates"]
        ]
        return sorted(found, key=lambda entry: -entry[1])


def read(
    engine: Reads,
    grey: Image,
    place: Place,
    look: Look,
    *,
    country: str,
    region: str | None,
    detect_region: bool,
) -> list[Reading]:
    """The readings of a place at one look, none or one as a rule."""
    patch, left, top = _patch(grey, place)
    centre = place.centre[0] - left, place.centre[1] - top
    if look.contrast:
        patch = pixels.clahe(patch, tiles=4)
    matrix = _matrix(look, centre)
    if matrix is not None:
        size = round(patch.shape[1] * look.enlarge), round(patch.shape[0] * look.enlarge)
        patch = pixels.warp(patch, matrix, width=size[0], height=size[1])
    middle = centre[0] * look.enlarge, centre[1] * look.enlarge
    area = _area(place, look, middle, patch.shape)
    if area is None:
        return []
    answer = engine.read(
        patch,
        country=country,
        n=CANDIDATES,
        region=region,
        detect_region=detect_region,
        rectangles=[area],
        settings=SKIP_DETECTION,
    )
    back = np.eye(3) if matrix is None else np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    back[0, 2] += left
    back[1, 2] += top
    return [
        Reading(_returned(result, back)) for result in answer.get("results", []) if result.get("candidates")
    ]


def _patch(grey: Image, place: Place) -> tuple[Image, int, int]:
    """The part of the photo around a place, and where it begins."""
    wide, high = round(place.width * _MARGIN), round(place.height * _MARGIN)
    left, top = max(0, place.x - wide), max(0, place.y - high)
    return grey[top : place.y + place.height + high, left : place.x + place.width + wide], left, top


def _matrix(look: Look, centre: tuple[float, float]) -> pixels.Matrix | None:
    """From the patch to what is read: turned about the centre of the place, then enlarged; None where nothing changes."""
    if look.turn == 0 and look.enlarge == 1:
        return None
    cosine, sine = math.cos(math.radians(look.turn)), math.sin(math.radians(look.turn))
    turned = np.array([[cosine, -sine], [sine, cosine]])
    shift = np.array(centre) - turned @ np.array(centre)
    return np.asarray(np.column_stack([turned, shift]) * look.enlarge, dtype=np.float64)


def _area(
    place: Place, look: Look, middle: tuple[float, float], shape: Sequence[int]
) -> tuple[int, int, int, int] | None:
    """The rectangle to read, inside the patch; None where too little of it is left."""
    wide, high = place.width * look.wide * look.enlarge, place.height * look.high * look.enlarge
    left, top = max(0, round(middle[0] - wide / 2)), max(0, round(middle[1] - high / 2))
    right, bottom = min(shape[1], round(middle[0] + wide / 2)), min(shape[0], round(middle[1] + high / 2))
    return (left, top, right - left, bottom - top) if right - left >= 16 and bottom - top >= 8 else None


def _returned(result: dict[str, Any], back: pixels.Matrix) -> dict[str, Any]:
    """A result with its corners as pixels of the photo."""
    corners = []
    for point in result["coordinates"]:
        x, y, _ = back @ (point["x"], point["y"], 1.0)
        corners.append({"x": round(x), "y": round(y)})
    return {**result, "coordinates": corners}
