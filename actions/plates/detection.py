"""Where plates may be: OpenALPR's own detector (boosted local binary patterns), asked for places instead of texts."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from plates import library
from plates.pixels import Image, contiguous

MAX_WIDTH, MAX_HEIGHT = 1280, 720
"""OpenALPR reduces what is larger before it looks for plates (openalpr.conf: max_detection_input_width, _height)."""
INCREASE = 1.1
STRICTNESS = 3
_CAPACITY = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle that may hold a plate, in pixels; `support` counts the detector's overlapping finds."""

    x: int
    y: int
    width: int
    height: int
    support: int = 0

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies inside."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height

    def overlap(self, other: Place) -> float:
        """Shared area by joint area, 0 to 1."""
        wide = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        high = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        shared = max(0, wide) * max(0, high)
        return shared / (self.width * self.height + other.width * other.height - shared)


class Detector:
    """The trained cascades of an installation, each loaded once.

    Args:
        prefix: the installation, as `openalpr.Engine` has it.
    """

    def __init__(self, prefix: Path) -> None:
        self._library = library.load(prefix / library.LIBRARY)
        self._runtime = prefix / "share/openalpr/runtime_data"
        self._cascades: dict[str, int] = {}
        self._smallest: dict[str, tuple[int, int]] = {}

    def find(
        self, grey: Image, *, country: str, smallest: float = 1.0, strictness: int = STRICTNESS
    ) -> list[Place]:
        """The places, largest support first.

        Args:
            grey: uint8, height x width.
            country: whose plates.
            smallest: the least plate, as a share of the one that OpenALPR's configuration of the country asks for.
            strictness: how many overlapping finds make a place.
        """
        pixels = contiguous(grey)
        height, width = pixels.shape
        least = self._least(country)
        found = (ctypes.c_int * (5 * _CAPACITY))()
        count = self._library.plates_detect(
            self._cascade(country),
            pixels.ctypes.data,
            width,
            height,
            _reduction(width, height),
            INCREASE,
            strictness,
            round(least[0] * smallest),
            round(least[1] * smallest),
            ctypes.cast(found, ctypes.c_void_p),
            _CAPACITY,
        )
        if count < 0:
            raise library.failure(self._library)
        places = [Place(*found[5 * index : 5 * index + 5]) for index in range(count)]
        return sorted(places, key=lambda place: -place.support)

    def _cascade(self, country: str) -> int:
        if country not in self._cascades:
            name = _setting(self._runtime, country, "detector_file") or f"{country}.xml"
            cascade = self._library.plates_cascade_open(str(self._runtime / "region" / name).encode())
            if not cascade:
                raise library.failure(self._library)
            self._cascades[country] = cascade
        return self._cascades[country]

    def _least(self, country: str) -> tuple[int, int]:
        if country not in self._smallest:
            names = ("min_plate_size_width_px", "min_plate_size_height_px")
            width, height = (_setting(self._runtime, country, name) for name in names)
            self._smallest[country] = int(width or 70), int(height or 35)
        return self._smallest[country]


@lru_cache(maxsize=4)
def of(prefix: Path) -> Detector:
    """The detector of an installation, made once."""
    return Detector(prefix)


def _reduction(width: int, height: int) -> float:
    if width > MAX_WIDTH:
        return MAX_WIDTH / width
    return MAX_HEIGHT / height if height > MAX_HEIGHT else 1.0


def _setting(runtime: Path, country: str, name: str) -> str | None:
    for line in (runtime / "config" / f"{country}.conf").read_text(encoding="utf-8").splitlines():
        key, found, value = line.partition("=")
        if found and key.strip() == name:
            return value.split(";")[0].strip() or None
    return None
