"""Benchmarks: every figure is printed beside the raw limit or the goal it stands against, and written as JSON on request."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from workloads import engine, report, stream, windows


def main() -> int:
    """Runs the benchmark asked for."""
    parser = argparse.ArgumentParser(prog="./scripts/bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    kinds = parser.add_subparsers(dest="kind", required=True)
    for name, what in (("stream", "MQTT to Elasticsearch"), ("engine", "invocations and fires"), ("window", "window statistics")):
        kind = kinds.add_parser(name, help=what, description=what)
        kind.add_argument("--json", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="write the figures there too")
        if name == "stream":
            kind.add_argument("--rate", type=float, default=10_000, help="records a second; default 10000")
            kind.add_argument("--seconds", type=float, default=60, help="how long; default 60")
            kind.add_argument("--devices", type=int, default=600, help="how many devices; default 600")
            kind.add_argument("--fresh-rate", type=float, default=500, help="records a second for freshness; default 500")
            kind.add_argument("--fresh-seconds", type=float, default=30, help="how long for freshness; default 30")
        if name == "engine":
            kind.add_argument("--calls", type=int, default=600, help="blocking invocations to time; default 600")
    given = parser.parse_args()
    before = report.machine()
    figures = {"machine": before, **_run(given)}
    report.show(given.kind, figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def _run(given: argparse.Namespace) -> dict[str, Any]:
    if given.kind == "stream":
        return stream.run(
            rate=given.rate,
            seconds=given.seconds,
            devices=given.devices,
            fresh_rate=given.fresh_rate,
            fresh_seconds=given.fresh_seconds,
        )
    return engine.run(calls=given.calls) if given.kind == "engine" else windows.run()


if __name__ == "__main__":
    sys.exit(main())
