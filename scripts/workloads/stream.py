"""Sustained records a second from MQTT to Elasticsearch, what they cost, and how fresh they are at a modest rate."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

import redis
from elasticsearch import Elasticsearch

from workloads import limits as raw
from workloads.machine import Machine, model, services, suite
from workloads.usage import Meter

STOCK = ("--limits", "stock")
RAISED = ("--limits", "raised", "--invocations-per-minute", "600", "--fires-per-minute", "600")
DRAIN_TIMEOUT_S = 180.0
WARM_UP_RECORDS = 3_000
THERE: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}
SUITE = ("provider", "engine", "engine children")


def run(*, rate: float, seconds: float, devices: int, fresh_rate: float, fresh_seconds: float) -> dict[str, Any]:
    """All figures of the stream; raw limits first, on the same services."""
    with services() as machine:
        limits = {"broker": raw.broker(machine.mqtt_url), "redis": raw.store(machine.redis_url), "elasticsearch": raw.index(machine.elasticsearch_url)}
        with suite(machine, limits=STOCK), model(machine):
            publish(machine, WARM_UP_RECORDS / 2, 2, devices)
            drained(machine, WARM_UP_RECORDS)
            sustained = _sustained(machine, rate, seconds, devices, already=WARM_UP_RECORDS)
    with services() as machine, suite(machine, limits=RAISED, max_fires_per_minute="500", linger_ms="100"), model(machine):
        publish(machine, WARM_UP_RECORDS / 2, 2, devices)
        drained(machine, WARM_UP_RECORDS)
        fresh = freshness(machine, fresh_rate, fresh_seconds, devices)
    return {"limits": limits, "sustained": sustained, "freshness": fresh, "ratios": _ratios(sustained, limits)}


def publish(machine: Machine, rate: float, seconds: float, devices: int) -> dict[str, Any]:
    """Publish in a process of its own; what `workloads.publisher.run` tells."""
    command = [sys.executable, "-m", "workloads.publisher", "--url", machine.mqtt_url, "--rate", str(rate)]
    command += ["--seconds", str(seconds), "--devices", str(devices)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=machine.env).stdout)
    return answer


def _counts(client: Elasticsearch) -> tuple[int, int]:
    client.indices.refresh(index="all-events,model-results", **THERE)
    return (
        int(client.count(index="all-events", **THERE)["count"]),
        int(client.count(index="model-results", query={"term": {"status": "ok"}}, **THERE)["count"]),
    )


def drained(machine: Machine, expected: int) -> float | None:
    """Seconds until everything expected is stored; None where it is not within the timeout."""
    client, store = Elasticsearch(machine.elasticsearch_url, request_timeout=60), redis.Redis.from_url(machine.redis_url)
    began = time.monotonic()
    while time.monotonic() - began < DRAIN_TIMEOUT_S:
        waiting = sum(store.zcard(key) for key in store.scan_iter("hort:{*}:journal:*", count=1000, _type="zset"))
        if not waiting and min(_counts(client)) >= expected:
            return time.monotonic() - began
        time.sleep(0.25)
    return None


def _sustained(machine: Machine, rate: float, seconds: float, devices: int, *, already: int) -> dict[str, Any]:
    meter = Meter(machine.pids)
    meter.start()
    fires_before = machine.whisk.count("device-events")
    sent = publish(machine, rate, seconds, devices)
    drain_s = drained(machine, already + sent["sent"])
    usage = meter.stop()
    client = Elasticsearch(machine.elasticsearch_url, request_timeout=60)
    stored, scored = _counts(client)
    found = client.search(
        index="all-events", size=0, query={"range": {"data.sent_ms": {"gte": 0}}}, aggs={"seq": {"stats": {"field": "data.seq"}}}, **THERE
    )["aggregations"]["seq"]
    return {
        "rate_asked": rate,
        "rate_published": sent["rate"],
        "records": sent["sent"],
        "stored": stored - already,
        "results_ok": scored - already,
        "lost": sent["sent"] - (stored - already),
        "sum_of_seq_right": found["sum"] == sent["sent"] * (sent["sent"] - 1) / 2 + already * (already - 1) / 2,
        "drain_s": drain_s,
        "fires": machine.whisk.count("device-events") - fires_before,
        "cpu_s_per_million": {part: 1e6 * used.cpu_s / sent["sent"] for part, used in usage.items()},
        "suite_cpu_s_per_million": 1e6 * sum(usage[part].cpu_s for part in SUITE if part in usage) / sent["sent"],
        "publisher_cpu_s_per_million": 1e6 * sent["cpu_s"] / sent["sent"],
        "memory_mb": {part: used.peak_mb for part, used in usage.items()},
        "usage": {part: asdict(used) for part, used in usage.items()},
    }


def freshness(machine: Machine, rate: float, seconds: float, devices: int) -> dict[str, Any]:
    """Milliseconds from publish to searchable: each look finds the newest record that a search sees."""
    client = Elasticsearch(machine.elasticsearch_url, request_timeout=60)
    these = {"range": {"data.sent_ms": {"gte": time.time() * 1000}}}  # not the warm-up's
    publisher = threading.Thread(target=publish, args=(machine, rate, seconds, devices))
    publisher.start()
    delays: list[float] = []
    newest = 0.0
    while publisher.is_alive():
        found = client.search(index="all-events", size=0, query=these, aggs={"newest": {"max": {"field": "data.sent_ms"}}}, **THERE)
        now, value = time.time() * 1000, found.get("aggregations", {}).get("newest", {}).get("value") or 0.0
        if newest and value > newest:
            # records sent between two looks at the index became visible at this one
            delays += [now - sent for sent in _between(newest, value, rate)]
        newest = max(newest, value)
        time.sleep(0.02)
    publisher.join()
    ordered = sorted(delays)
    return {
        "rate": rate,
        "samples": len(ordered),
        "p50_ms": statistics.median(ordered),
        "p95_ms": ordered[int(len(ordered) * 0.95)],
        "p99_ms": ordered[int(len(ordered) * 0.99)],
    }


def _between(first: float, last: float, rate: float) -> list[float]:
    count = max(1, round((last - first) * rate / 1000))
    return [first + (last - first) * (number + 1) / count for number in range(count)]


def _ratios(sustained: dict[str, Any], limits: dict[str, Any]) -> dict[str, float]:
    rate = sustained["rate_published"]
    return {
        "of broker": rate / limits["broker"]["messages_per_s"],
        "of Redis": rate / limits["redis"]["records_per_s"],
        "of Elasticsearch (two documents a record)": 2 * rate / limits["elasticsearch"]["documents_per_s"],
    }
