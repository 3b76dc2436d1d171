"""A small stream without the other parts: batches staged as `ingest` does, a clock, both ports, and an exact oracle."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import msgpack
import numpy as np
import orjson
import redis

from hort import batch, join, keys
from hort.close import Closer
from hort.close import Settings as CloseSettings
from hort.counters import Counters, MemoryCounters, RedisCounters
from hort.journal import Journal, RedisJournal
from hort.pane_memory import MemoryPaneStore, MemoryPresence
from hort.pane_store import PaneStore, RedisPaneStore
from hort.presence import Presence, RedisPresence
from hort.testing import FakeClock, MemoryJournal
from hort.window import Settings, Windower
from hort.windows import Grid
from tests.support.exact import statistics

START = 1_700_000_010_000
"""A multiple of the slide of 15 s."""
REGISTRATION = "0123456789abcdef"
Doc = dict[str, Any]
LEAST = 5e-324
"""The smallest double: what rounding may cost among denormals."""


@dataclass(frozen=True)
class Record:
    """One record of a device; `at` in milliseconds after START."""

    device: str
    at: int
    values: Mapping[str, float] = field(default_factory=dict)
    device_type: str = "bike"
    event: str = "status"

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.device_type, self.device, self.event)


def staged(records: list[Record]) -> dict[str, bytes]:
    """The stage fields of these records."""
    numbers: dict[tuple[str, str, str], int] = {}
    index = [numbers.setdefault(record.key, len(numbers)) for record in records]
    rows: dict[str, list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        if record.values:
            rows[record.device_type].append(number)
    cols = []
    for device_type, mine in rows.items():
        fields = list(dict.fromkeys(name for number in mine for name in records[number].values))
        table = [[records[number].values.get(name, math.nan) for name in fields] for number in mine]
        item = {"rows": np.array(mine, "<u4").tobytes(), "values": np.array(table, "<f8").tobytes()}
        cols.append({"device_type": device_type, "fields": fields, **item})
    return {
        "keys": orjson.dumps(list(numbers)),
        "key_index": np.array(index, "<u4").tobytes(),
        "ts": np.array([START + record.at for record in records], "<i8").tobytes(),
        "cols": msgpack.packb(cols),
    }


@dataclass
class World:
    """Everything `window` and `close` need, over one of the two stores; `stored` is what an Elasticsearch would hold."""

    journal: Journal
    panes: PaneStore
    presence: Presence
    counters: Counters
    last: dict[tuple[int, bytes], bytes] = field(default_factory=dict)
    client: redis.Redis | None = None
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    grid: Grid = field(default_factory=Grid)
    stored: dict[str, Doc] = field(default_factory=dict)
    alarms: list[Doc] = field(default_factory=list)
    batches: int = 0

    @classmethod
    def in_memory(cls) -> World:
        journal, presence = MemoryJournal(), MemoryPresence()
        return cls(journal, MemoryPaneStore(journal, presence), presence, MemoryCounters())

    @classmethod
    def in_redis(cls, client: redis.Redis) -> World:
        return cls(
            RedisJournal(client),
            RedisPaneStore(client),
            RedisPresence(client),
            RedisCounters(client),
            client=client,
        )

    def put(self, records: list[Record], *, at: int | None = None, partition: int = 0) -> batch.Reference:
        """A batch as ingest leaves it, journalled now or `at` milliseconds after START."""
        self.batches += 1
        journal = keys.journal(partition, REGISTRATION)
        reference = batch.Reference(f"{REGISTRATION}-{partition}-{self.batches:020d}", journal)
        now = self.clock() if at is None else START + at
        self.journal.put(reference, b"raw", trigger="/_/t", count=len(records), now=now)
        assert self.journal.write_stage(reference, staged(records))
        return reference

    def windower(self) -> Windower:
        """A cold `window` process."""
        return Windower(
            journal=self.journal,
            panes=self.panes,
            presence=self.presence,
            counters=self.counters,
            now=self.clock,
        )

    def window(self, reference: batch.Reference, **options: Any) -> Doc:
        return self.windower().run(reference, Settings(grid=self.grid, **options))

    def send(self, records: list[Record], **options: Any) -> batch.Reference:
        """A batch that goes the whole way at once."""
        reference = self.put(records)
        self.window(reference, **options)
        self.journal.ack(reference)
        return reference

    def closer(self) -> Closer:
        return Closer(
            panes=self.panes,
            presence=self.presence,
            counters=self.counters,
            remember=partial(join.remember, self.client) if self.client is not None else self._remember,
            now=self.clock,
        )

    def close(self, *, closer: Closer | None = None, **options: Any) -> Doc:
        return (closer or self.closer()).run(CloseSettings(grid=self.grid, **options))

    def _remember(self, partition: int, documents: Mapping[bytes, bytes], *, ttl_s: int) -> None:
        self.last.update({(partition, key_id): body for key_id, body in documents.items()})

    def sink(self, answer: Mapping[str, Any]) -> None:
        """Stores and acknowledges what a close handed on, and what waits behind it."""
        if answer.get("acked"):
            return
        assert answer["drain"]
        waiting = [batch.Reference(answer["batch_id"], answer["journal"])]
        while waiting:
            self._store(waiting[0])
            due = self.journal.due(waiting[0].journal, now=self.clock(), limit=1)
            waiting = [entry.reference for entry in due]

    def _store(self, reference: batch.Reference) -> None:
        stage = self.journal.read_stage(reference, ["analytics", "alarms"])
        if stage is None:
            return
        for doc_id, doc in pairs(stage.get("analytics", b"")):
            assert doc["revision"] >= self.stored.get(doc_id, doc)["revision"]
            self.stored[doc_id] = doc
        self.alarms += [doc for _, doc in pairs(stage.get("alarms", b""))]
        self.journal.ack(reference)

    def tick(self, at: int, **options: Any) -> Doc:
        """Closes and stores at `at` milliseconds after START."""
        self.clock.now = START + at
        answer = self.close(**options)
        self.sink(answer)
        return answer


def pairs(body: bytes) -> list[tuple[str, Doc]]:
    """(id, document) of a bulk body."""
    lines = body.splitlines()
    return [
        (orjson.loads(action)["index"]["_id"], orjson.loads(doc))
        for action, doc in zip(lines[::2], lines[1::2], strict=True)
    ]


WindowKey = tuple[str, str, str | None, str | None, int]


def window_key(doc: Doc) -> WindowKey:
    """Level, type, id, event and end (ms after START) of a document."""
    end = round(np.datetime64(doc["window_end"].rstrip("Z"), "ms").astype(int)) - START
    return (doc["level"], doc["devicetype"], doc["id"], doc["event"], end)


def expected(records: Iterable[Record], grid: Grid, *, until: int) -> dict[WindowKey, list[Record]]:
    """The records of every window that ends by `until` (ms after START)."""
    windows: dict[WindowKey, list[Record]] = defaultdict(list)
    for record in records:
        for end in grid.ends_of(START + record.at):
            if end - START <= until:
                windows["device", *record.key, end - START].append(record)
                windows["device_type", record.device_type, None, None, end - START].append(record)
    return windows


def check(doc: Doc, records: list[Record]) -> None:
    """Every number of a document against exact arithmetic."""
    assert doc["count"] == len(records)
    values: dict[str, list[float]] = defaultdict(list)
    for record in records:
        for name, value in record.values.items():
            values[name].append(value)
    assert doc["n"] == {name: len(numbers) for name, numbers in values.items()}
    for name, numbers in values.items():
        check_field(
            {kind: by_field[name] for kind, by_field in doc["properties"].items() if name in by_field},
            numbers,
        )


def check_field(got: Mapping[str, float], numbers: list[float]) -> None:
    """One field's statistics: 1e-9 relative, for a sum and average that cancel relative to what was added."""
    exact = statistics(numbers)
    size = float(exact.size)
    assert got["min"] == min(numbers)
    assert got["max"] == max(numbers)
    near(got["sum"], exact.sum, slack=(1e-15 * size + LEAST) * exact.n)
    near(got["avg"], exact.mean, slack=1e-15 * size + LEAST)
    near(got["ssd"], exact.ssd, slack=1e-280)
    near(got["std"], math.sqrt(exact.ssd / exact.n), slack=1e-150)
    if exact.n > 1:
        near(got["std_sample"], math.sqrt(exact.ssd / (exact.n - 1)), slack=1e-150)
    else:
        assert "std_sample" not in got


def near(got: float, wanted: float | Fraction, *, slack: float) -> None:
    assert abs(got - float(wanted)) <= 1e-9 * abs(float(wanted)) + slack, (got, float(wanted))


def check_all(world: World, records: list[Record], *, until: int) -> None:
    """Exactly the windows that must be stored are, with the right numbers."""
    wanted = expected(records, world.grid, until=until)
    got = {window_key(doc): doc for doc in world.stored.values()}
    assert len(got) == len(world.stored)
    assert got.keys() == wanted.keys()
    for key, mine in wanted.items():
        check(got[key], mine)
