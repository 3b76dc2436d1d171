"""OpenALPR in this process: one warm handle a country list and configuration, the least recently used one closed when there are many."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plates import library
from plates.pixels import Image, channels, contiguous

MAX_HANDLES = 12
"""A handle takes about 10 MB and 50 ms to open."""

MAX_THREADS = 4

Rectangle = tuple[int, int, int, int]
_Key = tuple[str, tuple[tuple[str, str], ...]]


def country_names(country: str | Sequence[str]) -> tuple[str, ...]:
    """The countries of a name, of names with commas, or of a list; in order, each once."""
    names = country.split(",") if isinstance(country, str) else country
    return tuple(dict.fromkeys(name.strip().lower() for name in names if name.strip()))


class Engine:
    """Bare OpenALPR on raw pixels, by its C interface.

    Args:
        prefix: the installation: lib/libplates.so, etc/openalpr.conf, share/openalpr/runtime_data.
    """

    def __init__(self, prefix: Path | None = None) -> None:
        self.prefix = prefix or library.prefix()
        self._library = library.load(self.prefix / library.LIBRARY)
        self._runtime = self.prefix / "share/openalpr/runtime_data"
        self._template = (self.prefix / "etc/openalpr/openalpr.conf").read_text(encoding="utf-8")
        self._handles: OrderedDict[_Key, int] = OrderedDict()

    @property
    def version(self) -> str:
        """OpenALPR's version, for example 2.2.1."""
        return library.taken(self._library, self._library.plates_version()).decode()

    @property
    def countries(self) -> tuple[str, ...]:
        """The countries whose plates it is trained for."""
        return tuple(sorted(path.stem for path in (self._runtime / "config").glob("*.conf")))

    def regions(self, country: str) -> tuple[str, ...]:
        """The regions of a country that have plate patterns."""
        path = self._runtime / "postprocess" / f"{country}.patterns"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
        return tuple(
            dict.fromkeys(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))
        )

    def read(
        self,
        image: Image,
        *,
        country: str | Sequence[str] = "us",
        n: int = 10,
        region: str | None = None,
        detect_region: bool = False,
        prewarp: str | None = None,
        rectangles: Sequence[Rectangle] = (),
        settings: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """OpenALPR's own answer on one image.

        Args:
            image: uint8, height x width x 3 (BGR) or height x width (grey, of which OpenALPR gets three alike).
            country: a trained country, or several that are tried one after the other.
            n: candidates a plate.
            region: whose patterns `matches_template` goes by.
            detect_region: guess the region (state) from the look of the plate, where there is data for it.
            prewarp: OpenALPR's calibration of a fixed camera: "planar,width,height,..." (ten values).
            rectangles: only these parts (x, y, width, height) are searched.
            settings: lines of openalpr.conf that differ, such as {"skip_detection": "1"}.
        """
        pixels = contiguous(image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2))
        areas = [number for rectangle in rectangles for number in rectangle]
        text = self._library.plates_read(
            self._handle(
                country_names(country), {**(settings or {}), **({"prewarp": prewarp} if prewarp else {})}
            ),
            pixels.ctypes.data,
            pixels.shape[1],
            pixels.shape[0],
            channels(pixels),
            n,
            (region or "").encode(),
            detect_region,
            ctypes.cast((ctypes.c_int * len(areas))(*areas), ctypes.c_void_p),
            len(rectangles),
        )
        answer: dict[str, Any] = json.loads(library.taken(self._library, text).decode("utf-8", "replace"))
        return answer

    def warm(self, country: str | Sequence[str]) -> None:
        """Opens the handle of a country before the first image comes."""
        self._handle(country_names(country), {})

    def close(self) -> None:
        """Closes every handle."""
        while self._handles:
            self._library.plates_close(self._handles.popitem()[1])

    def _handle(self, countries: tuple[str, ...], settings: dict[str, str]) -> int:
        key = (",".join(countries), tuple(sorted(settings.items())))
        if key in self._handles:
            self._handles.move_to_end(key)
            return self._handles[key]
        while len(self._handles) >= MAX_HANDLES:
            self._library.plates_close(self._handles.popitem(last=False)[1])
        self._handles[key] = self._open(key[0], settings)
        return self._handles[key]

    def _open(self, countries: str, settings: dict[str, str]) -> int:
        with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
            file.write(_configuration(self._template, settings))
            file.flush()
            handle: int | None = self._library.plates_open(
                countries.encode(), file.name.encode(), str(self._runtime).encode()
            )
        if not handle:
            raise library.failure(self._library)
        # Each new handle turns OpenCV's threads off for the whole process; the detector is a third faster with a second one.
        self._library.plates_threads(min(MAX_THREADS, len(os.sched_getaffinity(0))))
        return handle


def _configuration(template: str, settings: dict[str, str]) -> str:
    """openalpr.conf with some of its values replaced; the first line of a name wins there, so ours come first."""
    for name, value in settings.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"setting {name} must be one line, got {value!r}")
    kept = [line for line in template.splitlines() if line.partition("=")[0].strip() not in settings]
    return "\n".join([*(f"{name} = {value}" for name, value in settings.items()), *kept, ""])
