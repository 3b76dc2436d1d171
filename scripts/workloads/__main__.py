"""Benchmarks: every figure is printed beside the raw limit or the goal it stands against, and written as JSON on request."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from lib.arguments import above_zero, count, new_file
from workloads import churn, engine, plates, pool, pressure, report, stream, windows

KINDS = {
    "stream": "MQTT to Elasticsearch",
    "engine": "invocations and fires",
    "window": "window statistics",
    "churn": "Redis' memory while devices come and go",
    "pressure": "devices that publish several times what the feed may take",
    "pool": "the stream and its clockwork in a small pool of memory",
    "plates": "licence plates: bare OpenALPR and ours",
}


def main() -> int:
    """Runs the benchmark asked for."""
    parser = argparse.ArgumentParser(prog="./scripts/bench", description=__doc__)
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write the figures there too")
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, what in KINDS.items():
        kind = kinds.add_parser(name, help=what, description=what)
        kind.add_argument(
            "--json", type=new_file, metavar="FILE", default=argparse.SUPPRESS, help="write the figures there too"
        )
        if name == "stream":
            kind.add_argument("--rate", type=above_zero, default=10_000, help="records a second; default 10000")
            kind.add_argument("--seconds", type=above_zero, default=60, help="how long; default 60")
            kind.add_argument("--devices", type=count, default=600, help="how many devices; default 600")
            kind.add_argument(
                "--fresh-rate", type=above_zero, default=500, help="records a second for freshness; default 500"
            )
            kind.add_argument(
                "--fresh-seconds", type=above_zero, default=30, help="how long for freshness; default 30"
            )
        if name == "engine":
            kind.add_argument(
                "--calls", type=count, default=600, help="blocking invocations to time; default 600"
            )
        if name == "churn":
            _churn_options(kind)
        if name == "pressure":
            kind.add_argument("--minutes", type=above_zero, default=2, help="how long each burst lasts; default 2")
            kind.add_argument("--times", type=above_zero, default=3, help="how many times the ceiling; default 3")
            kind.add_argument(
                "--kinds", nargs="+", choices=pressure.KINDS, default=pressure.KINDS, help="which bursts; default all"
            )
        if name == "pool":
            _pool_options(kind)
        if name == "plates":
            kind.add_argument("--photos", type=Path, required=True, metavar="DIR", help="folder of photos")
            kind.add_argument(
                "--truth",
                type=Path,
                required=True,
                metavar="FILE",
                help="lines: file, [x, y, width, height,] plate; or JSON",
            )
            kind.add_argument("--country", default="us", help="whose plates; default us")
            kind.add_argument(
                "--n", type=count, default=plates.TOP_N, help=f"candidates a plate; default {plates.TOP_N}"
            )
    given = parser.parse_args()
    before = report.machine()
    figures = {"machine": before, **_run(given)}
    if given.kind == "plates":
        plates.show(figures)
    elif given.kind == "churn":
        churn.show(figures)
    elif given.kind == "pressure":
        pressure.show(figures)
    else:
        report.show(given.kind, figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if figures.get("broken") else 0


def _churn_options(kind: argparse.ArgumentParser) -> None:
    kind.add_argument("--minutes", type=above_zero, default=60, help="how long; default 60")
    kind.add_argument("--devices", type=count, default=200, help="how many at a time; default 200")
    kind.add_argument("--rate", type=above_zero, default=10, help="records a second; default 10")


def _pool_options(kind: argparse.ArgumentParser) -> None:
    kind.add_argument("--pool-mb", type=count, default=1024, help="memory of all containers; default 1024")
    kind.add_argument("--rate", type=above_zero, default=25, help="records a second; default 25")
    kind.add_argument("--seconds", type=above_zero, default=120, help="how long; default 120")
    kind.add_argument("--devices", type=count, default=300, help="how many devices; default 300")
    kind.add_argument("--dashboard", action="store_true", help="with an open dashboard")
    kind.add_argument("--web-model", action="store_true", help="with a second model, a web action")


def _run(given: argparse.Namespace) -> dict[str, Any]:
    if given.kind == "stream":
        return stream.run(
            rate=given.rate,
            seconds=given.seconds,
            devices=given.devices,
            fresh_rate=given.fresh_rate,
            fresh_seconds=given.fresh_seconds,
        )
    if given.kind == "churn":
        return churn.run(minutes=given.minutes, devices=given.devices, rate=given.rate)
    if given.kind == "pressure":
        return pressure.run(minutes=given.minutes, times=given.times, kinds=tuple(given.kinds))
    if given.kind == "pool":
        return pool.run(
            pool_mb=given.pool_mb,
            rate=given.rate,
            seconds=given.seconds,
            devices=given.devices,
            dashboard=given.dashboard,
            web_model=given.web_model,
        )
    if given.kind == "plates":
        return plates.run(photos=given.photos, truth=given.truth, country=given.country, n=given.n)
    return engine.run(calls=given.calls) if given.kind == "engine" else windows.run()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops the started servers, too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
