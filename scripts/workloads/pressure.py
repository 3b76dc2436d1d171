"""Back-pressure: devices publish at several times what the feed may take, for minutes, and everything arrives once all the same.

The ceiling is the feed's own: fires a minute times records a batch, so that the machine's speed does not matter. Three bursts on one
suite under stock limits: a plain one; one in which others use up the namespace's fires and invocations, so that provider and rules
get 429; one in which Elasticsearch is away. Records carry sequence numbers; memory of every process is sampled throughout.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
from elasticsearch import ApiError, Elasticsearch, TransportError
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from hort import keys
from lib.local import GUEST_KEY
from workloads import curves
from workloads.disturbances import OUTAGE_S, others, outage
from workloads.machine import Machine, metrics, services, suite
from workloads.publisher import TICK_S, Publisher
from workloads.stream import STOCK, THERE
from workloads.usage import resident

FIRES_PER_MINUTE = 30
MAX_RECORDS = 500
MAX_BATCHES = 8
MAX_UNACKED = 4
FEED = {
    "max_fires_per_minute": FIRES_PER_MINUTE,
    "max_records": MAX_RECORDS,
    "max_journal_batches": MAX_BATCHES,
    "max_unacked": MAX_UNACKED,
}
CEILING = FIRES_PER_MINUTE / 60 * MAX_RECORDS
"""Records a second that this feed may pass on."""
TRIGGER = "/guest/device-events"
DEVICES = 100
SAMPLE_S = 1.0
WARM_UP_S = 6.0
SLACK_S = 900.0
"""How much longer than the budget asks for the rest may take: minutes full of 429, waits that grew, a machine that is slower than the feed."""
GROWTH_MB = 25.0
"""What the provider's memory may differ by, between before and after a burst: allocators do not give everything back."""
LIMITS_MB = {"provider": 120.0, "engine": 150.0, "actions, largest": 256.0}
"""DESIGN 6."""
AT_ONCE = 1_000_000
"""Keys of one SCAN: in two a batch that is stored between them would count beside the one that took its place."""
KINDS = ("burst", "throttled", "outage")
Disturb = Callable[[Machine, float], None]


@dataclass
class Samples:
    """Figures over time, one list each."""

    at_s: list[float] = field(default_factory=list)
    rows: dict[str, list[float]] = field(default_factory=dict)

    def add(self, at_s: float, figures: dict[str, float]) -> None:
        """One sample; what could not be read keeps its last value."""
        for name in {**self.rows, **figures}:
            row = self.rows.setdefault(name, [0.0] * len(self.at_s))
            row.append(figures.get(name, row[-1] if row else 0.0))
        self.at_s.append(at_s)

    def largest(self, name: str) -> float:
        """0 where there is none."""
        return max(self.rows.get(name, ()), default=0.0)


class Burst(threading.Thread):
    """Publishes at a rate for a time; `sent` and `acked` tell how far it is."""

    def __init__(self, machine: Machine, *, rate: float, seconds: float, device_type: str) -> None:
        super().__init__(daemon=True)
        self._rate = rate
        self._seconds = seconds
        self.publisher = Publisher(machine.mqtt_url, devices=DEVICES, client_id=f"burst-{device_type}", device_type=device_type)
        self.complete = False

    def run(self) -> None:
        """As `workloads.publisher.run` does."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < self._seconds:
            due = round(self._rate * min(elapsed + TICK_S, self._seconds))
            if due > self.publisher.sent:
                self.publisher.publish(due - self.publisher.sent)
            time.sleep(TICK_S)
        self.complete = self.publisher.finish(timeout_s=60)


class Watch:
    """Reads every figure that has to stay bounded."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._redis: Any = redis.Redis.from_url(machine.redis_url)
        name = keys.registration_id(TRIGGER)
        self._journal, self._spool, self._staged = keys.journal(0, name), keys.spool(0, name), keys.stage(0, f"{name}-*")

    def __call__(self, burst: Burst, received_before: float) -> dict[str, float]:
        """Megabytes by part, and how much waits where."""
        provider = self.provider()
        info = self._redis.info("memory")
        return {
            **memory(self._machine),
            "Redis data, MB": info["used_memory"] / 1e6,
            "batches staged": float(len(set(self._redis.scan_iter(self._staged, count=AT_ONCE)))),
            "journal, batches": float(self._redis.zcard(self._journal)),
            "journal, kB": provider["journal_bytes"] / 1e3,
            "lag, s": provider["lag_seconds"],
            "holding back": provider["holding_back"],
            "spooled, kB": self._spooled() / 1e3,
            "in the broker, records": max(0.0, burst.publisher.sent - (provider["received_total"] - received_before)),
        }

    def provider(self) -> dict[str, float]:
        """The provider's own metrics of the feed, those with a further label added up."""
        found: dict[str, float] = dict.fromkeys(("received_total", "lag_seconds", "holding_back", "journal_bytes"), 0.0)
        for family in text_string_to_metric_families(metrics(self._machine)):
            for sample in family.samples:
                if sample.labels.get("registration") != TRIGGER:
                    continue
                name = sample.name.removeprefix("hort_provider_")
                found[name] = found.get(name, 0.0) + sample.value
                if name == "fires_total" and sample.labels["status"] == "429":
                    found["fires_429"] = sample.value
        return found

    def waiting(self) -> int:
        """Batches that are not stored."""
        return int(self._redis.zcard(self._journal)) + int(self._spooled() > 0)

    def _spooled(self) -> int:
        return int(self._redis.memory_usage(self._spool, samples=0) or 0)


def memory(machine: Machine) -> dict[str, float]:
    """Resident megabytes by part; of the actions the largest process and all together."""
    found = resident(machine.pids)
    figures = {f"{part}, MB": max(sizes) for part, sizes in found.items() if sizes and not part.endswith(" children")}
    actions = found.get("engine children") or [0.0]
    return figures | {"actions, largest, MB": max(actions), "actions, all, MB": sum(actions)}


def run(*, minutes: float, times: float, kinds: tuple[str, ...] = KINDS) -> dict[str, Any]:
    """One suite, one burst of each kind; `broken` names what did not hold."""
    disturb: dict[str, Disturb] = {"burst": lambda _machine, _seconds: None, "throttled": others, "outage": outage}
    with services() as machine, suite(machine, limits=STOCK, topics="iot-2/type/+/id/+/evt/+/fmt/+"):
        set_feed(machine, **FEED)
        warm_up(machine)
        bursts = {kind: one(machine, kind, seconds=60 * minutes, rate=times * CEILING, disturb=disturb[kind]) for kind in kinds}
    broken = [f"{kind}: {what}" for kind, found in bursts.items() for what, held in found["checks"].items() if not held]
    return {"ceiling": CEILING, "times": times, "minutes": minutes, "feed": FEED, "bursts": bursts, "broken": broken}


def set_feed(machine: Machine, **options: int) -> None:
    """Changes parameters of the stream's feed."""
    event = {"lifecycleEvent": "UPDATE", "triggerName": TRIGGER, "authKey": GUEST_KEY}
    machine.whisk.invoke("hort/mqtt", {**event, **options})


def warm_up(machine: Machine) -> None:
    """Each action has run and each library is loaded before memory is compared."""
    burst = Burst(machine, rate=CEILING / 2, seconds=WARM_UP_S, device_type="pressure-warm-up")
    burst.start()
    _drained(machine, burst, "pressure-warm-up", Samples(), received_before=0, timeout_s=SLACK_S)


def one(machine: Machine, kind: str, *, seconds: float, rate: float, disturb: Disturb) -> dict[str, Any]:
    """One burst: published, disturbed, drained, judged."""
    name, samples, watch = f"pressure-{kind}", Samples(), Watch(machine)
    counted = watch.provider()
    before = memory(machine)
    burst = Burst(machine, rate=rate, seconds=seconds, device_type=name)
    burst.start()
    disturbing = threading.Thread(target=disturb, args=(machine, seconds), daemon=True)
    disturbing.start()
    timeout_s = seconds * rate / CEILING + OUTAGE_S + SLACK_S
    drain_s = _drained(machine, burst, name, samples, received_before=counted["received_total"], timeout_s=timeout_s)
    disturbing.join()
    time.sleep(2 * SAMPLE_S)
    after, told = memory(machine), watch.provider()
    counts = {part: told.get(part, 0.0) - counted.get(part, 0.0) for part in ("fires_total", "fires_429", "refires_total")}
    counts["held_back_s"] = told.get("held_back_seconds_total", 0.0) - counted.get("held_back_seconds_total", 0.0)
    found = stored(machine, name)
    figures = {
        "published": burst.publisher.sent,
        "drain_s": drain_s,
        **found,
        **counts,
        "provider_mb": {"before": before["provider, MB"], "after": after["provider, MB"]},
        "largest": {part: max(row) for part, row in sorted(samples.rows.items())},
        "samples": {"at_s": samples.at_s, **samples.rows},
    }
    return figures | {"checks": checks(kind, figures, burst)}


def checks(kind: str, figures: dict[str, Any], burst: Burst) -> dict[str, bool]:
    """What must hold, in words, and whether it does."""
    sent, largest = burst.publisher.sent, figures["largest"]
    before, after = figures["provider_mb"]["before"], figures["provider_mb"]["after"]
    found = {
        "the broker acknowledged every record": burst.complete,
        "everything arrived in time": figures["drain_s"] is not None,
        "each record is stored exactly once": figures["stored"] == expected(sent),
        "no dead letters": figures["dead_letters"] == 0,
        "the journal never held more than it may": largest["journal, batches"] <= MAX_BATCHES,
        "the provider held back, and said so": largest["holding back"] == 1 and figures["held_back_s"] > 0,
        "the broker kept what the provider did not take": largest["in the broker, records"] > 2 * MAX_BATCHES * MAX_RECORDS,
        "the lag was visible": largest["lag, s"] > MAX_BATCHES / 2 * 60 / FIRES_PER_MINUTE,
        "staged batches stayed within max_unacked": largest["batches staged"] <= MAX_UNACKED,
        "the provider's memory is as before": abs(after - before) <= GROWTH_MB,
    }
    for part, limit in LIMITS_MB.items():
        found[f"{part} below {limit:.0f} MB"] = largest[f"{part}, MB"] <= limit
    if kind == "throttled":
        found["the provider got 429"] = figures["fires_429"] > 0
        found["rules got 429: batches were fired again"] = figures["refires_total"] > 0
    if kind == "outage":
        found["batches were fired again"] = figures["refires_total"] > 0
    return found


def expected(sent: int) -> dict[str, float]:
    """Count, sum and sum of squares of the sequence numbers from 0 on."""
    return {"count": sent, "sum": sent * (sent - 1) / 2, "sum_of_squares": (sent - 1) * sent * (2 * sent - 1) / 6}


def stored(machine: Machine, device_type: str) -> dict[str, Any]:
    """What Elasticsearch has of a burst."""
    client = Elasticsearch(machine.elasticsearch_url, request_timeout=60)
    client.indices.refresh(index="all-events,dead-letters", **THERE)
    these = {"term": {"device_type": device_type}}
    stats = client.search(
        index="all-events", size=0, query=these, track_total_hits=True, aggs={"seq": {"extended_stats": {"field": "data.seq"}}}, **THERE
    )
    seq = stats["aggregations"]["seq"]
    dead = client.count(index="dead-letters", query={"match_all": {}}, **THERE)["count"]
    return {"stored": {name: seq[name] or 0 for name in ("count", "sum", "sum_of_squares")}, "dead_letters": int(dead)}


def _drained(
    machine: Machine, burst: Burst, device_type: str, samples: Samples, *, received_before: float, timeout_s: float
) -> float | None:
    """Samples until all is stored; seconds from the last publish on, None where it took too long."""
    watch, client = Watch(machine), Elasticsearch(machine.elasticsearch_url, request_timeout=10, max_retries=0)
    began, ended = time.monotonic(), 0.0
    while (now := time.monotonic()) - began < timeout_s:
        samples.add(now - began, watch(burst, received_before))
        ended = ended or (now if not burst.is_alive() else 0.0)
        if ended and not watch.waiting() and _count(client, device_type) >= burst.publisher.sent:
            return time.monotonic() - ended
        time.sleep(max(0.0, SAMPLE_S - (time.monotonic() - now)))
    return None


def _count(client: Elasticsearch, device_type: str) -> int:
    try:
        client.indices.refresh(index="all-events", **THERE)
        return int(client.count(index="all-events", query={"term": {"device_type": device_type}}, **THERE)["count"])
    except (ApiError, TransportError):
        return 0


# -- for people -------------------------------------------------------------------------------------------------


def show(figures: dict[str, Any]) -> None:
    """Curves and checks of each burst, then one table of them all."""
    console = Console(width=140)
    for kind, burst in figures["bursts"].items():
        rows = {name: row for name, row in burst["samples"].items() if name != "at_s"}
        curves.show(f"bench pressure, {kind}: {burst['samples']['at_s'][-1]:.0f} s", rows)
        for what, held in burst["checks"].items():
            console.print(f"  {'held  ' if held else 'BROKEN'}  {what}", style=None if held else "bold red")
    table = Table(title=f"bench pressure: {figures['times']:g} x {figures['ceiling']:g} records/s for {figures['minutes']:g} min", title_justify="left")
    table.add_column("figure")
    for kind in figures["bursts"]:
        table.add_column(kind, justify="right")
    for name, values in _table(figures["bursts"]).items():
        table.add_row(name, *values)
    console.print(table)
    console.print(f"not held: {'; '.join(figures['broken']) or 'nothing'}")


def _table(bursts: dict[str, Any]) -> dict[str, list[str]]:
    plain = ("published", "drain_s", "fires_total", "fires_429", "refires_total", "held_back_s")
    rows = {name: [_text(burst[name]) for burst in bursts.values()] for name in plain}
    rows["stored"] = [_text(burst["stored"]["count"]) for burst in bursts.values()]
    for moment in ("before", "after"):
        rows[f"provider {moment}, MB"] = [_text(burst["provider_mb"][moment]) for burst in bursts.values()]
    names = dict.fromkeys(name for burst in bursts.values() for name in burst["largest"])
    return rows | {f"largest {name}": [_text(burst["largest"].get(name)) for burst in bursts.values()] for name in names}


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
