"""Drives a known stream through the whole suite while its parts are killed, stopped, cut off, refused, filled up and set wrong.

A campaign is drawn from its seed: kills and pauses of broker, Redis, Elasticsearch, provider, engine and actions, resets and slow or
dead ways between them, refusals, full disk and memory, jumping clocks, repeated deliveries, redeployments, several at once. At the
end every record, window and model result is compared with what was published. Everything runs on this machine in a folder of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import time
from pathlib import Path

from campaign import plan
from campaign.devices import Devices
from campaign.faults import KINDS
from campaign.session import Session
from campaign.stage import FIRES, stage
from campaign.watch import Watch
from lib.arguments import above_zero, new_file
from lib.state import StateRefused, empty, held

WHO = "./scripts/chaos"
LOGS = Path(__file__).resolve().parents[2] / ".hort" / "chaos"
PUBLISHED = "published.jsonl.gz"


def main() -> int:
    """0 where nothing was lost, doubled or wrong; 1 where something was; 2 where it could not begin."""
    given = _arguments()
    if given.list:
        for kind in KINDS.values():
            print(f"{kind.name:28} {kind.seconds[0]:g} to {kind.seconds[1]:g} s")
        return 0
    try:
        with held(given.logs, who=WHO) if given.logs else contextlib.nullcontext():
            return _campaign(given)
    except StateRefused as error:
        print(f"--logs: {error}", file=sys.stderr)
        return 2


def _campaign(given: argparse.Namespace) -> int:
    seconds = given.minutes * 60
    durations = {kind.name: kind.seconds for kind in KINDS.values()}
    planned = plan.make(durations, seed=given.seed, seconds=seconds, only=given.faults)
    print(f"seed {given.seed}: {len(planned)} faults in {given.minutes:g} minutes, {given.rate:g} records/s", file=sys.stderr)
    with stage(limits=given.limits) as built:
        devices, watch = Devices(built.broker_url, seed=given.seed, rate=given.rate), Watch(built.elasticsearch_url)
        try:
            report = Session(stage=built, devices=devices, watch=watch, seed=given.seed, seconds=seconds).run(planned)
            _keep(given.logs, built.machine.state, devices, failed=not report.ok)
            report.show()
            if given.json:
                report.write(given.json)
            if given.hold and not report.ok:
                _hold(built.machine.env)
        finally:
            watch.close()
            devices.close()
    return 0 if report.ok else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/chaos", description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2])
    parser.add_argument("--minutes", type=above_zero, default=5, help="how long faults are injected; default 5")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of plan and stream; default: the time, printed")
    parser.add_argument("--faults", type=_kinds, default=(), metavar="LIST", help="only these kinds, with commas; see --list")
    parser.add_argument("--rate", type=above_zero, default=100, help="records a second; default 100")
    parser.add_argument("--limits", choices=sorted(FIRES), default="raised", help="of the engine; default raised")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write the whole report there too")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep logs and what was published there; default .hort/chaos where it failed")
    parser.add_argument("--hold", action="store_true", help="where it failed, keep everything running until Enter, to look around")
    parser.add_argument("--list", action="store_true", help="the kinds of fault, and end")
    return parser.parse_args()


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise argparse.ArgumentTypeError(f"unknown fault {unknown[0]!r}; there are {', '.join(sorted(KINDS))}")
    return kinds


def _keep(folder: Path | None, state: Path, devices: Devices, *, failed: bool) -> None:
    if folder is None and not failed:
        return
    where = folder or LOGS
    with contextlib.nullcontext() if folder else held(where, who=WHO, ours=True):
        empty(where, ("logs", PUBLISHED))
        shutil.copytree(state / "logs", where / "logs")
        devices.save(where / PUBLISHED)
    print(f"logs and what was published are in {where}", file=sys.stderr)


def _hold(env: dict[str, str]) -> None:
    for name in ("HORT_MQTT_URL", "HORT_REDIS_URL", "HORT_ELASTICSEARCH_URL", "HORT_STATE"):
        print(f"{name}={env[name]}", file=sys.stderr)
    input("Enter ends it: ")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops the started servers, too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
