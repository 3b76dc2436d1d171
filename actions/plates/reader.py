"""From the bytes of a photo to its answer, in the worker process; the server never decodes anything itself."""

from __future__ import annotations

import time
from typing import Any

from plates import answer, images
from plates.contract import Options, Trained
from plates.errors import Refused
from plates.openalpr import Engine
from plates.recognize import recognize


class Reader:
    """OpenALPR kept warm, and the way from bytes to an answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def trained(self) -> Trained:
        """The countries and regions that a request may name."""
        countries = self._engine.countries
        return Trained(countries, {country: self._engine.regions(country) for country in countries})

    def read(self, data: bytes, options: Options, *, field: str, deadline: float) -> dict[str, Any]:
        """The answer on one photo; Refused where it is none."""
        photo = images.decode(data, field=field)
        started = time.monotonic()
        found = self._recognize(photo, options, deadline)
        if not found.get("results") and time.monotonic() >= deadline:
            raise Refused("too-slow", "timeout_ms", "no plate was found in the time allowed, and not everything was looked at")
        elapsed_ms = (time.monotonic() - started) * 1000
        return {
            **answer.complete(found, photo, n=options.n, elapsed_ms=elapsed_ms),
            "source": answer.source(data, photo.kind, given_as=field),
        }

    def _recognize(self, photo: images.Photo, options: Options, deadline: float) -> dict[str, Any]:
        if options.prewarp:  # a calibrated camera's photo is straightened by OpenALPR itself, and read once
            return self._engine.read(
                photo.pixels,
                country=options.country,
                n=options.n,
                region=options.region,
                detect_region=options.detect_region,
                prewarp=options.prewarp,
            )
        return recognize(
            photo.pixels,
            engine=self._engine,
            country=options.country,
            n=options.n,
            region=options.region,
            detect_region=options.detect_region,
            deadline=deadline,
        )
