"""Device churn: new devices come and old ones go for an hour, while Redis' memory is measured; a leak shows as a slope.

The actions ingest, window and close run in this process with the real clock over a Redis of their own. Elasticsearch does not
matter here: the sink is the real one over a store that takes everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from hort import batch, keys
from hort.batch import Message, Messages, Reference
from hort.bulk_writer import BulkWriter
from hort.counters import RedisCounters
from hort.document_store import ItemError, TemplateState
from hort.journal import RedisJournal
from hort.sink import Sink
from hort.windows import Grid
from workloads.loading import action
from workloads.machine import services

REGISTRATION = "c4bac4bac4bac4ba"
TYPES = 4
BATCH_EVERY_S = 5
SAMPLE_EVERY_S = 30
ROW_EVERY_S = 300
TICKS_S = (2, 17, 32, 47)
"""Seconds of a minute at which windows close, as the manifest has them."""
FORGET_AFTER_S = 900
DEDUPE_S = 900
"""Both shorter than their defaults of a day and an hour, so that what is forgotten goes within the run."""
SETTLED_S = 120
"""After the longest retention, for what Redis expires in its own time."""
LATE_EVERY = 50
"""Each so many-th record comes late, so that windows are written again."""
LATEST_S = 360
"""Some of them later than allowed."""
PAYLOAD = b'{"seq":%d,"at":%d,"bikes":%d,"docks":%d,"battery":%d.5,"state":"ok"}'


def run(*, minutes: float, devices: int, rate: float) -> dict[str, Any]:
    """Samples of Redis' memory and keys over the run, and what the second half of them says about a slope."""
    with services("redis") as machine:
        client = redis.Redis.from_url(machine.redis_url)
        params = {"redis_url": machine.redis_url, "forget_after_s": FORGET_AFTER_S, "dedupe_s": DEDUPE_S}
        churn = _Churn(client, params, devices, rate)
        began, cpu = time.time(), time.process_time()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # the actions' log lines
            samples = list(churn.run(began, began + minutes * 60))
        retention_s = max(-Grid().removable_before(0, 0) / 1000, FORGET_AFTER_S, DEDUPE_S)
        return {
            "minutes": minutes,
            "devices_at_a_time": devices,
            "devices_ever": churn.born,
            "records": churn.records,
            "documents": churn.store.documents,
            "longest_retention_s": retention_s,
            "cpu_of_a_core": (time.process_time() - cpu) / max(time.time() - began, 1e-9),
            "counters": RedisCounters(client).all(),
            "steady": steady(samples, after_s=retention_s + SETTLED_S),
            "samples": samples,
        }


def steady(samples: list[dict[str, Any]], *, after_s: float) -> dict[str, float]:
    """Bytes once every retention has passed: first and last fifth of that time, and their quotient; empty for a short run."""
    late = [sample["used_memory"] for sample in samples if sample["at_s"] >= after_s]
    fifth = len(late) // 5
    if not fifth:
        return {}
    first, last = sum(late[:fifth]) / fifth, sum(late[-fifth:]) / fifth
    return {"from_s": after_s, "first_fifth": first, "last_fifth": last, "growth": last / first - 1}


@dataclass(slots=True)
class _Taken:
    """A store of documents that takes everything and keeps nothing."""

    documents: int = 0

    def bulk(self, index: str, body: bytes, *, timeout_s: float, batch_id: str = "") -> list[ItemError]:
        del index, timeout_s, batch_id
        self.documents += body.count(b"\n") // 2
        return []

    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Nothing is kept."""

    def under_way(self, batch_id: str) -> bool:
        del batch_id
        return False

    def template_states(self, pattern: str) -> dict[str, TemplateState]:
        del pattern
        return {}

    def mapping(self, index: str) -> None:
        """There is no index."""

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        """Nothing to do."""


@dataclass(slots=True)
class _Churn:
    """The devices that are alive, and the actions."""

    client: redis.Redis
    params: dict[str, Any]
    devices: int
    rate: float
    born: int = 0
    records: int = 0
    batches: int = 0
    alive: list[int] = field(default_factory=list)
    store: _Taken = field(default_factory=_Taken)
    actions: dict[str, ModuleType] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(6))

    def __post_init__(self) -> None:
        self.actions = {name: action(name) for name in ("ingest", "window", "close")}
        self._replace(self.devices)

    def run(self, began: float, until: float) -> Iterator[dict[str, Any]]:
        """Works off what is due, second by second; yields the samples."""
        jobs: list[tuple[Callable[[int], bool], Callable[[], object]]] = [
            (lambda second: second % 60 == 0, lambda: self._replace(self.devices // 3)),
            (lambda second: second % BATCH_EVERY_S == 0, self._batch),
            (lambda second: second % 60 in TICKS_S, self._tick),
        ]
        second, due = int(began), began
        while second < until:
            time.sleep(max(0.0, second - time.time()))
            for is_due, work in jobs:
                if is_due(second):
                    work()
            if second >= due:
                due += SAMPLE_EVERY_S
                yield self._sample(second - began)
            second += 1

    def _replace(self, count: int) -> None:
        """So many devices go for good, the oldest first, and as many new ones come."""
        self.alive = [*self.alive[count:], *range(self.born, self.born + count)]
        self.born += count

    def _batch(self) -> None:
        now = int(time.time() * 1000)
        messages = [self._message(now) for _ in range(round(self.rate * BATCH_EVERY_S))]
        self.batches += 1
        reference = Reference(f"{REGISTRATION}-0-{self.batches:020x}", keys.journal(0, REGISTRATION))
        raw = batch.pack(Messages.of(messages))
        RedisJournal(self.client).put(reference, raw, trigger="/guest/churn", count=len(messages), now=now)
        answer = self.actions["ingest"].main(
            {**self.params, "id_field": "seq", "time_field": "at", **reference.as_result()}
        )
        self.actions["window"].main({**self.params, **answer})
        self._sink().run(reference, BulkWriter(self.store, time_s=45))

    def _message(self, now: int) -> Message:
        device = self.alive[self.records % len(self.alive)]
        self.records += 1
        late = self.dice.randrange(LATEST_S) * 1000 if self.records % LATE_EVERY == 0 else 0
        payload = PAYLOAD % (self.records, now - late, *(self.dice.randrange(50) for _ in range(3)))
        return Message(
            f"iot-2/type/churn{device % TYPES}/id/{device:08d}/evt/status/fmt/json", payload, now, 1
        )

    def _tick(self) -> None:
        answer = self.actions["close"].main(dict(self.params))
        if not answer.get("acked"):
            reference = Reference(answer["batch_id"], answer["journal"])
            self._sink().drain(
                reference, time_s=45, writer=lambda time_s: BulkWriter(self.store, time_s=time_s)
            )

    def _sink(self) -> Sink:
        return Sink(
            journal=RedisJournal(self.client), documents=self.store, counters=RedisCounters(self.client)
        )

    def _sample(self, at_s: float) -> dict[str, Any]:
        info: Any = self.client.info("memory")
        sample = {
            "at_s": round(at_s, 1),
            "used_memory": info["used_memory"],
            "used_memory_dataset": info["used_memory_dataset"],
            "devices_known": self._known(),
            "keys": families(name.decode() for name in self.client.scan_iter(count=1_000)),
        }
        print(json.dumps(sample), file=sys.stderr, flush=True)
        return sample

    def _known(self) -> int:
        names = [
            keys.window(0, f"{kind}:churn{number}")
            for kind in ("active", "silent")
            for number in range(TYPES)
        ]
        return sum(int(self.client.zcard(name)) for name in names)


def families(names: Iterator[str]) -> dict[str, int]:
    """How many keys of each family there are: the part of a name after the hash tag, of windows' state the one after it too."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(":")[2:]
        if parts[0] == "pane":
            found["pane" if len(parts) == 3 else "pane parts"] += 1
        else:
            found[" ".join(parts[: 2 if parts[0] == "win" else 1])] += 1
    return dict(sorted(found.items()))


def show(figures: dict[str, Any]) -> None:
    """Prints the curve, a row each five minutes, and the slope."""
    samples = figures["samples"]
    table = Table(title="bench churn: Redis over time", title_justify="left")
    names = sorted({name for sample in samples for name in sample["keys"]})
    for column in ("minute", "memory MB", "", "devices known", *names):
        table.add_column(column, justify="left" if not column else "right")
    most = max(sample["used_memory"] for sample in samples)
    for sample in samples[:: max(1, ROW_EVERY_S // SAMPLE_EVERY_S)]:
        bar = "#" * round(30 * sample["used_memory"] / most)
        counts = (str(sample["keys"].get(name, 0)) for name in names)
        memory = f"{sample['used_memory'] / 1e6:.2f}"
        table.add_row(f"{sample['at_s'] / 60:.0f}", memory, bar, str(sample["devices_known"]), *counts)
    console = Console(width=220)
    console.print(table)
    facts = {name: value for name, value in figures.items() if name not in ("samples", "machine", "counters")}
    console.print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n")
