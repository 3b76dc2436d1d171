"""The machine itself: a full disk, clocks that jump."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

from campaign.faults.kind import Impossible, Kind
from campaign.stage import Stage

JUMPS_S = (-90.0, -20.0, -3.0, 3.0, 20.0, 90.0)
CHUNK = 1 << 20


@contextlib.contextmanager
def _disk_full(stage: Stage, _draw: random.Random) -> Iterator[str]:
    if not stage.own_disk:
        raise Impossible("the engine's state has no file system of its own: that needs root and mount")
    filler = stage.engine_state / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * CHUNK)
        with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0")
        yield f"{os.statvfs(stage.engine_state).f_bavail} blocks left"
    finally:
        filler.unlink(missing_ok=True)


@contextlib.contextmanager
def _clock_jump(stage: Stage, draw: random.Random) -> Iterator[str]:
    """One sort of process sees another time, as on a machine whose clock is set."""
    name = draw.choice(sorted(stage.clocks))
    seconds = draw.choice(JUMPS_S)
    stage.clocks[name].jump(seconds)
    stage.jumps.append(seconds)
    try:
        yield f"{name} by {seconds:+g} s"
    finally:
        stage.clocks[name].jump(0)


KINDS = [
    Kind("disk-full", (3.0, 10.0), ("engine-disk",), _disk_full),
    Kind("clock-jump", (3.0, 15.0), ("clocks",), _clock_jump),
]
