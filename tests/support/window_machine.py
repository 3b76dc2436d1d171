"""Windows under whatever may happen, as a Hypothesis state machine against exact arithmetic on what was sent.

The suite's clock (Redis') is off by `offset`; devices and provider keep the true time. `handed` are documents that a close handed on:
they are stored in any order, twice, or long after newer ones.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hort import batch
from hort.pane_store import Commit, Settlement
from tests.support.windows import START, Doc, Record, World, check_all, pairs

JUMPS_S = (-1_500, -600, -90, -10, 0, 0, 0, 10, 90, 600, 1_500)
LATEST_S = 340
WAITED_MS = 2_400_000
"""With the farthest jump on top less than 70 minutes: panes go by themselves a little later."""
WAITS_S = (1, 5, 15, 15, 40, 120, 600)
SETTLED_S = 3_700


class Repeats:
    """A pane store whose orders are carried out twice, as by a client that lost the first answer."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, commit: Commit) -> bool:
        self._store.commit(commit)
        return bool(self._store.commit(commit))

    def settle(self, partition: int, settlement: Settlement) -> None:
        self._store.settle(partition, settlement)
        self._store.settle(partition, settlement)


class WindowMachine(RuleBasedStateMachine):
    """Subclasses make the world."""

    @abstractmethod
    def make(self) -> World:
        """An empty one."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.world = self.make()
        self.source = random.Random(seed)
        self.elapsed = 0
        self.offset = 0
        self.records: list[Record] = []
        self.late: list[Record] = []
        self.waiting: list[tuple[batch.Reference, list[Record]]] = []
        self.handed: list[bytes] = []
        self.revisions: dict[str, int] = {}

    @rule(seconds=st.sampled_from(WAITS_S))
    def time_goes_by(self, seconds: int) -> None:
        if self.waiting and self.elapsed + seconds * 1000 > self.oldest + WAITED_MS:
            self.applied(every=True)
        self.elapsed += seconds * 1000
        self._set_clock()

    @rule(jump=st.sampled_from(JUMPS_S))
    def clock_jumps(self, jump: int) -> None:
        self.offset = jump * 1000
        self._set_clock()

    @rule(sizes=st.lists(st.integers(0, LATEST_S), min_size=1, max_size=6), devices=st.integers(1, 3))
    def batch_comes(self, sizes: list[int], devices: int) -> None:
        records = [
            Record(
                f"d{self.source.randrange(devices)}",
                self.elapsed - age * 1000 - self.source.randrange(1000),
                {"a": 1e9 + self.source.random()},
            )
            for age in sizes
        ]
        self.waiting.append((self.world.put(records, at=self.elapsed), records))
        too_late = self.world.grid.late_before(START + self.elapsed)
        for record in records:
            (self.late if START + record.at < too_late else self.records).append(record)

    @precondition(lambda self: self.waiting)
    @rule(acked=st.booleans(), every=st.booleans())
    def applied(self, acked: bool = True, every: bool = False) -> None:
        for reference, _ in self.waiting if every else [self.source.choice(self.waiting)]:
            self.world.window(reference)
        if acked or every:
            for reference, _ in list(self.waiting):
                stage = self.world.journal.read_stage(reference, ["late"])
                if stage and "late" in stage:
                    self.world.journal.ack(reference)
            self.waiting = [item for item in self.waiting if self.world.journal.created(item[0]) is not None]

    @rule(
        stored=st.booleans(),
        repeated=st.booleans(),
        max_windows=st.sampled_from((1, 3, 60)),
        max_bytes=st.sampled_from((1, 5_000, 10**8)),
    )
    def tick(self, stored: bool, repeated: bool, max_windows: int, max_bytes: int) -> None:
        closer = self.world.closer()
        if repeated:
            closer.panes = Repeats(closer.panes)
        self._handed_on(self.world.close(max_windows=max_windows, max_bytes=max_bytes, closer=closer), stored=stored)

    @precondition(lambda self: self.handed)
    @rule()
    def old_documents_are_stored_late(self) -> None:
        self._store(self.source.choice(self.handed))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.offset = 0
        self.elapsed += 1_000
        self._set_clock()
        if self.waiting:
            self.applied(every=True)
        for _ in range(3):
            self._until_quiet()
            self.elapsed += SETTLED_S * 500
            self._set_clock()
        for body in self.handed:
            self._store(body)
        check_all(self.world, self.records, until=self.elapsed)
        assert self.world.counters.all().get("window.late", 0) == len(self.late)
        assert self.world.counters.all().get("window.expired", 0) == 0

    @property
    def oldest(self) -> int:
        """When the oldest waiting batch came, in milliseconds after START."""
        times = [self.world.journal.created(reference) for reference, _ in self.waiting]
        return min((moment - START for moment in times if moment is not None), default=self.elapsed)

    def _set_clock(self) -> None:
        self.world.clock.now = START + self.elapsed + self.offset

    def _until_quiet(self) -> None:
        for _ in range(400):
            answer = self.world.close()
            if answer.get("busy"):
                # Handed on by a clock that was ahead by less than what a sink may claim.
                self.elapsed += 15_000
                self._set_clock()
            elif answer.get("acked"):
                return
            self._handed_on(answer, stored=True)
        raise AssertionError("closing comes to no end")

    def _handed_on(self, answer: Doc, *, stored: bool) -> None:
        if answer.get("acked") or not stored:
            return
        waiting = [batch.Reference(answer["batch_id"], answer["journal"])]
        while waiting:
            stage = self.world.journal.read_stage(waiting[0], ["analytics", "alarms"]) or {}
            self._store(stage.get("analytics", b""))
            self.handed.append(stage.get("analytics", b""))
            self.world.journal.ack(waiting[0])
            due = self.world.journal.due(waiting[0].journal, now=2**53, limit=1)
            waiting = [entry.reference for entry in due]

    def _store(self, body: bytes) -> None:
        """As Elasticsearch does: an older version never replaces a newer one."""
        for doc_id, doc in pairs(body):
            stored = self.world.stored.get(doc_id)
            if stored is not None and stored["revision"] == doc["revision"]:
                assert stored == doc
            if stored is None or doc["revision"] >= stored["revision"]:
                self.world.stored[doc_id] = doc
