"""Runs HoRT's whole stream on this machine: services, engine, provider, deployment, and a city's bike stations as data."""

from __future__ import annotations

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the libraries are read; a traceback of them helps nobody

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

import requests
from rich.console import Console

from demonstrate import facts as facts_module
from demonstrate import output
from demonstrate.closing import close_rest
from demonstrate.facts import Facts, Reader
from demonstrate.options import Options, parse
from demonstrate.processes import StartFailed
from demonstrate.suite import Suite
from demonstrate.view import LiveView, PlainView, View
from lib.stack.controller import masked
from lib.state import StateRefused, held

ENDING = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
"""What asks the demo to end: a closed terminal, too, but under `nohup`."""
LOOK_EVERY_S = 1.0
DRAIN_TIMEOUT_S = 600.0
"""For what is published to be stored, and once more for the last windows."""
WHOLE_TIMEOUT_S = 60.0


class Interrupted(KeyboardInterrupt):
    """One of `ENDING` arrived; no `Exception`, since Elasticsearch's client makes a failed request of every one."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _on_end(signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
    raise Interrupted


def _on_end(handler: signal.Handlers | Callable[[int, FrameType | None], None]) -> None:
    for number in ENDING:
        signal.signal(number, handler)


def main() -> int:
    """0 when everything ran, drained and stopped; 1 with the reason otherwise."""
    options = parse()
    os.umask(0o077)
    output.take_over()
    console = Console()
    view: View = LiveView(console) if console.is_terminal and not console.is_dumb_terminal else PlainView()
    try:
        with held(options.state, who="./scripts/demo", ours=not options.named):
            return _demonstrate(options, view)
    except (StateRefused, OSError) as error:
        view.say(f"demo: {error}")
        return 1


def _demonstrate(options: Options, view: View) -> int:
    _on_end(_interrupt)
    suite = Suite(options, view)
    try:
        suite.prepare()
        return _run(options, suite, view)
    except (StartFailed, RuntimeError, requests.RequestException, subprocess.TimeoutExpired) as error:
        view.close()
        view.say(f"demo: {error}")
        return 1
    except Interrupted:
        return 0
    finally:
        _on_end(signal.SIG_IGN)
        view.close()
        suite.stop()


def _run(options: Options, suite: Suite, view: View) -> int:
    suite.start()
    reader = Reader(
        elasticsearch_url=suite.env["HORT_ELASTICSEARCH_URL"],
        redis_url=suite.env["HORT_REDIS_URL"],
        provider_url=suite.provider_url,
        whisk=suite.whisk,
    )
    before = _whole(reader, deadline=time.monotonic() + WHOLE_TIMEOUT_S)
    suite.start_source()
    view.close()
    if not options.city:
        view.say(f"nothing is published to {masked(suite.env['HORT_MQTT_URL'])}: send it what your devices send, or see --city")
    for name, address in suite.addresses().items():
        view.say(f"{name}: {address}")
    try:
        with view.watching():
            _watch(options, suite, view, reader)
    except Interrupted:
        if not options.summary:
            raise
        _on_end(_interrupt)  # who does not want to wait for the sum asks again
    if options.duration is None and not options.summary:
        return 0
    return _drain(options, suite, view, reader, before)


def _watch(options: Options, suite: Suite, view: View, reader: Reader) -> None:
    began = time.monotonic()
    looks: list[Facts] = []
    while True:
        left = None if options.duration is None else began + options.duration - time.monotonic()
        if left is not None and left <= 0:
            return
        if dead := suite.dead_parts():
            raise StartFailed(f"{dead[0].name} ended by itself, see {dead[0].log}")
        suite.tend_services()
        looks = [*looks[-10:], reader.read()]
        view.show(looks[-1], rate=_rate(looks), left=left)
        time.sleep(LOOK_EVERY_S if left is None else max(0.0, min(LOOK_EVERY_S, left)))


def _rate(looks: list[Facts]) -> float:
    first, last = looks[0], looks[-1]
    stored = last.documents.get("all-events", 0) - first.documents.get("all-events", 0)
    return max(0, stored) / (last.at - first.at) if last.at > first.at else 0.0


def _whole(reader: Reader, *, deadline: float) -> Facts:
    """A look at which every part answered, since what is missing would count as none; the last look at `deadline`."""
    while (found := reader.read(refreshed=True)).problems and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    return found


def _drain(options: Options, suite: Suite, view: View, reader: Reader, before: Facts) -> int:
    view.say("no new data; waiting until everything published is stored")
    suite.stop_source()
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    summary = {}
    while time.monotonic() < deadline:
        time.sleep(0.5)
        suite.tend_services()
        now = reader.read(refreshed=True)
        summary = facts_module.since(now, before)
        stored = summary["ingested"] + summary["dead_letters"]
        if not now.problems and now.waiting == 0 and stored >= summary["published"]:
            break
    else:
        view.say(f"not drained after {DRAIN_TIMEOUT_S:g} s: {json.dumps(summary)}")
        return 1
    suite.whisk.set_rule("tick-to-close", active=False)
    if not close_rest(suite.whisk, reader, deadline=time.monotonic() + DRAIN_TIMEOUT_S):
        view.say(f"windows that are due were not all written after {DRAIN_TIMEOUT_S:g} s")
        return 1
    summary = facts_module.since(_whole(reader, deadline=time.monotonic() + WHOLE_TIMEOUT_S), before)
    text = json.dumps(summary, indent=2)
    view.say(text)
    if options.summary:
        options.summary.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
