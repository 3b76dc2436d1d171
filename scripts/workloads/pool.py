"""The stream with its clockwork in a pool of memory as small as a standalone OpenWhisk has: which starts are cold, what is fired twice, how fresh records are.

Limits are stock. Ticks, polls and an open dashboard run beside the stream, as containers of theirs take the places of the stream's.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from workloads.machine import Machine, metrics, model, services, suite
from workloads.stream import STOCK, drained, freshness, publish

WARM_UP_S = 20.0
PAGE_EVERY_S = 10.0
"""As an open dashboard asks for its data."""
WEB_MODEL = "anomaly-model"


def run(*, pool_mb: int, rate: float, seconds: float, devices: int, dashboard: bool, web_model: bool) -> dict[str, Any]:
    """Figures of the starts by action, of what was fired twice, and of freshness."""
    pool = ("--action-memory", str(pool_mb))
    with services() as machine, suite(machine, limits=(*STOCK, *pool)), model(machine):
        machine.whisk.set_rule("poll-to-divvy", active=True)
        if web_model:
            machine.whisk.put_model(WEB_MODEL, {"url": machine.whisk.web(WEB_MODEL)})
        publish(machine, rate, WARM_UP_S, devices)
        before, since = _counted(machine), int(time.time() * 1000)
        stopping = threading.Event()
        page = threading.Thread(target=_look, args=(machine, stopping), daemon=True)
        if dashboard:
            page.start()
        fresh = freshness(machine, rate, seconds, devices)
        upto = int(time.time() * 1000)
        stopping.set()
        drain_s = drained(machine, 0)
        after = _counted(machine)
        starts = by_action(machine.whisk.records(since=since, upto=upto))
    minutes = (upto - since) / 60_000
    return {
        "pool_mb": pool_mb,
        "rate": rate,
        "seconds": seconds,
        "starts_per_minute": {name: {kind: round(n / minutes, 1) for kind, n in found.items()} for name, found in starts.items()},
        "cold_per_minute": sum(found["cold"] for found in starts.values()) / minutes,
        "cold_percent": 100 * sum(found["cold"] for found in starts.values()) / max(1, sum(sum(found.values()) for found in starts.values())),
        "drain_s": drain_s,
        **{name: after[name] - before[name] for name in before},
        "freshness": fresh,
    }


def by_action(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Cold and warm starts of each action; triggers, rules and sequences start nothing."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        notes = {pair["key"]: pair["value"] for pair in record["annotations"]}
        if notes.get("kind", "sequence") != "sequence":
            found.setdefault(record["name"], Counter(cold=0, warm=0))["cold" if "initTime" in notes else "warm"] += 1
    return {name: dict(count) for name, count in sorted(found.items())}


def _look(machine: Machine, stopping: threading.Event) -> None:
    with requests.Session() as session:
        while not stopping.wait(PAGE_EVERY_S):
            session.get(f"{machine.whisk.web('dashboard')}/data", timeout=60)


def _counted(machine: Machine) -> dict[str, float]:
    found = {"fires": 0.0, "refires": 0.0}
    for family in text_string_to_metric_families(metrics(machine)):
        for sample in family.samples:
            name = sample.name.removeprefix("hort_provider_").removesuffix("_total")
            if name in found:
                found[name] += sample.value
    return found
