"""What the demo was asked to do, and where things lie."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUEST_KEY = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
"""The public development key that every OpenWhisk ships with; good on loopback only."""
LIVE_URL = "https://gbfs.divvybikes.com/gbfs/2.3/gbfs.json"
INVOCATIONS_PER_MINUTE = 600
"""What hosted platforms give; the stock limit is 60."""


@dataclass(frozen=True)
class Options:
    """The command line, checked."""

    replay: Path | None
    speed: float
    live: bool
    stations: int
    duration: float | None
    summary: Path | None
    port: int
    state: Path
    plates: bool

    @property
    def source(self) -> str:
        """Where the data comes from, in words."""
        if self.replay:
            return f"the recording {self.replay.name} at {self.speed:g} times its speed"
        return LIVE_URL if self.live else f"a simulated city of {self.stations} stations"


def parse(arguments: list[str] | None = None) -> Options:
    """Options from the command line; exits with a usage message where they make no sense."""
    parser = argparse.ArgumentParser(prog="./scripts/demo", description=__doc__, epilog="Ctrl-C stops everything.")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--replay", type=Path, metavar="FILE", help="a recording: one station_status document a line, gzip or not")
    source.add_argument("--live", action="store_true", help="the real Divvy feed (needs the internet)")
    parser.add_argument("--speed", type=float, default=60, metavar="X", help="how fast a recording runs; default 60")
    parser.add_argument("--stations", type=int, default=300, metavar="N", help="size of the simulated city; default 300")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="stop after this long; default: run until Ctrl-C")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write a JSON object with the counts at the end")
    parser.add_argument("--port", type=int, default=3233, metavar="N", help="of the engine; a free one is taken where it is in use")
    parser.add_argument("--state", type=Path, metavar="DIR", help="where data and logs go; emptied at each start; default .hort/demo")
    parser.add_argument("--no-plates", action="store_true", help="without the licence plates (their reader is compiled at the first start)")
    given = parser.parse_args(arguments)
    if given.replay and not given.replay.is_file():
        parser.error(f"--replay: no such file: {given.replay}")
    if given.speed <= 0:
        parser.error(f"--speed must be above 0, got {given.speed:g}")
    if given.duration is not None and given.duration <= 0:
        parser.error(f"--duration must be above 0, got {given.duration:g}")
    if not 1 <= given.stations <= 10_000:
        parser.error(f"--stations must be from 1 to 10000, got {given.stations}")
    state = given.state or Path(os.environ.get("HORT_STATE") or ROOT / ".hort") / "demo"
    return Options(
        replay=given.replay.resolve() if given.replay else None,
        speed=given.speed,
        live=given.live,
        stations=given.stations,
        duration=given.duration,
        summary=given.summary.resolve() if given.summary else None,
        port=given.port,
        state=state.resolve(),
        plates=not given.no_plates,
    )
