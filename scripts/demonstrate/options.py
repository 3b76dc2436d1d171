"""What the demo was asked to do, and where things lie. Standard library only: it is read before anything is installed."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from gbfs_server import recording
from lib.arguments import above_zero, new_file, port, resolved

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = "Runs HoRT's whole stream on this machine: services, engine, provider, deployment, and a city's bike stations as data."
LIVE_URL = "https://gbfs.divvybikes.com/gbfs/2.3/gbfs.json"
FIRES_PER_MINUTE = 600
"""What hosted platforms give; the stock limit is 60."""
INVOCATIONS_PER_MINUTE, ANONYMOUS_PER_MINUTE = 3600, 120
"""Callers without a key have a share of each web action's, and browsers one of their own: all together are less than half, so that none takes another's."""
PORT = 3233


@dataclass(frozen=True)
class Options:
    """The command line, checked; `port` is None where none was asked for, `city` whether we publish anything."""

    replay: Path | None
    speed: float
    live: bool
    city: bool
    stations: int
    duration: float | None
    summary: Path | None
    port: int | None
    state: Path
    named: bool
    plates: bool

    @property
    def source(self) -> str:
        """Where the data comes from, in words."""
        if self.replay:
            return f"the recording {self.replay.name} at {self.speed:g} times its speed"
        if not self.city:
            return "your devices"
        return LIVE_URL if self.live else f"a simulated city of {self.stations} stations"


def parse(arguments: list[str] | None = None) -> Options:
    """Options from the command line; exits with a usage message where they make no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    for problem in _problems(given):
        parser.error(problem)
    state = given.state or Path(os.environ.get("HORT_STATE") or ROOT / ".hort") / "demo"
    asked = bool(given.city or given.replay or given.live)
    return Options(
        replay=given.replay,
        speed=given.speed,
        live=given.live,
        city=asked or not (given.no_city or os.environ.get("HORT_MQTT_URL")),
        stations=given.stations,
        duration=given.duration,
        summary=given.summary,
        port=given.port,
        state=state.resolve(),
        named=given.state is not None,
        plates=not given.no_plates,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./scripts/demo",
        description=DESCRIPTION,
        epilog="HORT_MQTT_URL, HORT_REDIS_URL and HORT_ELASTICSEARCH_URL name servers of yours; nothing is published to your broker unless "
        "--city, --replay or --live ask for it. Ctrl-C stops everything.",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--city", action="store_true", help="a simulated city's bike stations: the default on a broker of ours")
    source.add_argument("--replay", type=resolved, metavar="FILE", help="a recording: one station_status document a line, gzip or not")
    source.add_argument("--live", action="store_true", help="the real Divvy feed (needs the internet)")
    source.add_argument("--no-city", action="store_true", help="publish nothing: the default with HORT_MQTT_URL, for your own devices")
    parser.add_argument("--speed", type=above_zero, default=60, metavar="X", help="how fast a recording runs; default 60")
    parser.add_argument("--stations", type=int, default=300, metavar="N", help="size of the simulated city; default 300")
    parser.add_argument("--duration", type=above_zero, metavar="SECONDS", help="stop after this long; default: run until Ctrl-C")
    parser.add_argument("--summary", type=new_file, metavar="FILE", help="write a JSON object with the counts at the end")
    parser.add_argument("--port", type=port, metavar="N", help=f"of the engine, 0 for any; default {PORT}, or a free one where that is in use")
    parser.add_argument("--state", type=resolved, metavar="DIR", help="where data and logs go: a new or empty folder, or one of an earlier demo; default .hort/demo")
    parser.add_argument("--no-plates", action="store_true", help="without the licence plates (their reader is compiled at the first start)")
    return parser


def _problems(given: argparse.Namespace) -> list[str]:
    if not 1 <= given.stations <= 10_000:
        return [f"--stations must be from 1 to 10000, got {given.stations}"]
    return _of_recording(given.replay)


def _of_recording(path: Path | None) -> list[str]:
    if path is None:
        return []
    if not path.is_file():
        return [f"--replay: no such file: {path}"]
    try:
        recording.times(path)
    except recording.RecordingError as error:
        return [f"--replay: {error}"]
    return []


if __name__ == "__main__":  # asks whether the options are well before minutes are spent on an installation
    parse(sys.argv[1:])
