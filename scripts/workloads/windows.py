"""Window statistics by themselves: batches through the actions ingest and window in this process, Redis beside it."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import redis

from hort import batch, keys
from hort.batch import Message, Messages, Reference
from hort.journal import RedisJournal
from workloads.loading import action
from workloads.machine import services
from workloads.publisher import RECORD

RECORDS = 13_000
ROUNDS = 12
WARM_UP = 2
FIELDS = 8
REGISTRATION = "be9c4be9c4be9c40"


def run() -> dict[str, Any]:
    """CPU microseconds a record of each action, keys a second, at few and at many devices."""
    with services() as machine:
        client = redis.Redis.from_url(machine.redis_url)
        params = {"redis_url": machine.redis_url}
        return {f"{devices} devices": _at(client, params, devices) for devices in (600, 10_000)}


def _at(client: redis.Redis, params: dict[str, Any], devices: int) -> dict[str, Any]:
    client.flushall()
    actions = {name: action(name) for name in ("ingest", "window")}
    spent: dict[str, list[float]] = {"ingest": [], "window": []}
    elapsed: dict[str, list[float]] = {"ingest": [], "window": []}
    for number in range(ROUNDS):
        reference = _journalled(client, number, devices)
        for name in ("ingest", "window"):
            cpu, wall = _timed(actions[name].main, {**params, **reference.as_result()})
            if number >= WARM_UP:
                spent[name].append(cpu)
                elapsed[name].append(wall)
        RedisJournal(client).ack(reference)
    groups = (min(devices, RECORDS) + 1) * 1.0
    raw = _raw_rate(client, groups)
    rate = groups / statistics.median(elapsed["window"])
    return {
        **{f"{name}_us_per_record": 1e6 * statistics.median(values) / RECORDS for name, values in spent.items()},
        "window_records_per_s": RECORDS / statistics.median(elapsed["window"]),
        "window_keys_per_s": rate,
        "redis_raw_keys_per_s": raw,
        "window_of_redis_raw": rate / raw,
        "peak_mb_of_this_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _journalled(client: redis.Redis, number: int, devices: int) -> Reference:
    now = int(time.time() * 1000)
    messages = []
    for position in range(RECORDS):
        seq = number * RECORDS + position
        device = seq % devices
        payload = RECORD % (device, seq % 23, seq % 3, 23 - seq % 23, seq % 2, 1_410_479_941 + seq, seq, now, device)
        messages.append(Message(f"iot-2/type/bench/id/{device}/evt/status/fmt/json", payload, now, 1))
    reference = Reference(f"{REGISTRATION}-0-{number:020x}", keys.journal(0, REGISTRATION))
    raw = batch.pack(Messages.of(messages))
    RedisJournal(client).put(reference, raw, trigger="/guest/bench", count=RECORDS, now=now)
    return reference


def _timed(main: Callable[[dict[str, Any]], Any], args: dict[str, Any]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    main(args)
    return time.process_time() - cpu, time.perf_counter() - wall


def _raw_rate(client: redis.Redis, groups: float) -> float:
    """Keys a second when Redis only keeps one hash field of the same size for each, in one round trip."""
    value = b"x" * (8 + FIELDS * 56)
    fields: Any = {f"key-{number}": value for number in range(round(groups))}
    rounds = 10
    began = time.perf_counter()
    for number in range(rounds):
        client.hset(f"bench:{number}", mapping=fields)
    elapsed = time.perf_counter() - began
    client.delete(*(f"bench:{number}" for number in range(rounds)))
    return rounds * groups / elapsed
