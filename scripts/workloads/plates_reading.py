"""One photo a line in, bare OpenALPR's answer and ours out: run by workloads.plates in the Python of the plates server."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from plates import images
from plates.errors import Refused
from plates.openalpr import Engine
from plates.pixels import Image
from plates.recognize import recognize

SECONDS = 20.0


def main(country: str, n: int) -> None:
    """Reads file names from standard input until it ends; both ways are warm before the first is timed."""
    engine = Engine()
    warm = False
    for line in sys.stdin:
        started = time.perf_counter()
        try:
            pixels = images.decode(Path(line.rstrip("\n")).read_bytes(), field="image").pixels
        except Refused as error:
            print(f"{line.strip()}: {error.reason}", file=sys.stderr)
            nothing = {"results": [], "ms": 0.0}
            print(json.dumps({"bare": nothing, "ours": nothing}), flush=True)
            continue
        decoded = time.perf_counter() - started
        ways = {
            "bare": partial(engine.read, pixels, country=country, n=n),
            "ours": partial(_ours, engine, pixels, country, n),
        }
        if not warm:
            for way in ways.values():
                way()
            warm = True
        print(json.dumps({name: _timed(way, decoded) for name, way in ways.items()}), flush=True)


def _ours(engine: Engine, pixels: Image, country: str, n: int) -> dict[str, Any]:
    return recognize(pixels, engine=engine, country=country, n=n, deadline=time.monotonic() + SECONDS)


def _timed(way: Callable[[], dict[str, Any]], decoded_s: float) -> dict[str, Any]:
    started = time.perf_counter()
    results = way()["results"]
    milliseconds = (decoded_s + time.perf_counter() - started) * 1000
    return {
        "results": [
            {"plate": result["plate"], "candidates": [entry["plate"] for entry in result["candidates"]]}
            for result in results
        ],
        "ms": milliseconds,
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
