"""The whole sequence over the in-memory twins, with a replayer on it: what is put into the journal is run at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from hort import batch, keys, score, urls
from hort.batch import Message, Messages, Reference
from hort.breaker import MemoryBreakers
from hort.bulk_writer import BulkWriter
from hort.documents import ALL_EVENTS, DEAD_LETTERS
from hort.ingest import Ingest
from hort.ingest_options import from_params
from hort.journal import Journal
from hort.models import Model
from hort.outgoing import Answer, Call
from hort.records import Records
from hort.sink import Sink
from hort.testing import MemoryDocuments, MemoryRepeats, MemorySchemas
from operate.letters import Letter
from operate.planning import Feed
from operate.replaying import Outcome, Replayer
from tests.support.windows import REGISTRATION, START
from tests.support.windows import World as Windows

FEED = Feed(id=REGISTRATION, trigger="/guest/device-events")
STEPS = ("events", "keys", "key_index", "dead", "models", "replayed")


class Models:
    """Answers what `reply` says; notes the devices it was asked about."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[str] = []

    async def send(self, call: Call) -> Answer:
        record = orjson.loads(call.body)["record"]
        self.asked.append(f"{call.url.rsplit('/', 1)[1]} {record['record_id']}")
        return Answer(self.status, {}, orjson.dumps({"ok": True}), "")


@dataclass
class Suite:
    """`killed` names the actions that never get through; `active` are the models."""

    windows: Windows = field(default_factory=Windows.in_memory)
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    models: Models = field(default_factory=Models)
    schemas: MemorySchemas = field(default_factory=MemorySchemas)
    params: dict[str, Any] = field(default_factory=dict)
    active: list[Model] = field(default_factory=list)
    running: bool = True
    feeds: list[Feed] = field(default_factory=lambda: [FEED])
    number: int = 0

    def __post_init__(self) -> None:
        self.repeats = MemoryRepeats(self.windows.clock)
        self.scorer = score.Scorer(urls.PUBLIC, sender=self.models)

    @property
    def journal(self) -> Journal:
        return self.windows.journal

    def receive(self, *payloads: bytes, topic: str = "iot-2/type/bike/id/7/evt/status/fmt/json") -> Reference:
        """A batch of these messages goes the whole way."""
        now = self.windows.clock()
        reference = self.put(Messages.of([Message(topic, content, now) for content in payloads]))
        self.run(reference)
        return reference

    def put(self, messages: Messages) -> Reference:
        """A batch waits in the journal."""
        self.number += 1
        now = self.windows.clock()
        reference = Reference(f"{REGISTRATION}-0-{now:012x}{self.number:08x}", keys.journal(0, REGISTRATION))
        self.journal.put(reference, batch.pack(messages), trigger=FEED.trigger, count=len(messages), now=now)
        return reference

    def run(self, reference: Reference) -> None:
        """The sequence's actions, one after the other."""
        self.ingest().run(reference, None)
        self.windows.window(reference)
        self._score(reference)
        writer = BulkWriter(self.documents, time_s=45, pause=lambda _: None)
        Sink(self.journal, self.documents, self.windows.counters, "", self.windows.clock).run(reference, writer)

    def ingest(self) -> Ingest:
        return Ingest(self.journal, self.schemas, self.repeats, self.windows.counters, from_params(self.params))

    def _score(self, reference: Reference) -> None:
        """What `main` of the action does."""
        stage = self.journal.read_stage(reference, [*STEPS, "results"])
        if stage is None or "results" in stage:
            return
        found = score.asked(self.active, stage)
        records = Records(stage["events"], stage["keys"], stage["key_index"])
        sheets = self.scorer.score(records, found, breakers=MemoryBreakers(), budget_s=20, now=self.windows.clock)
        scored = score.scored(sheets)
        fields = {"results": scored.results, **score.answered(sheets, stage)}
        self.journal.write_stage(reference, {**fields, "dead": stage.get("dead", b"") + scored.dead})

    # -- what there is -----------------------------------------------------------------------------------------------

    def stored(self, index: str = ALL_EVENTS) -> dict[str, dict[str, Any]]:
        return self.documents.indices.get(index, {})

    def letters(self) -> dict[str, Letter]:
        return {name: Letter.of(name, source) for name, source in self.stored(DEAD_LETTERS).items()}

    def counted(self) -> int:
        """How many records all windows' panes hold, by the windows of the device."""
        self.windows.clock.advance(60_000)
        self.windows.sink(self.windows.close())
        devices = [doc for doc in self.windows.stored.values() if doc["level"] == "device"]
        return max((doc["count"] for doc in devices), default=0)

    # -- replays -----------------------------------------------------------------------------------------------------

    def replayer(self, pause: Callable[[float], None] | None = None) -> Replayer:
        return Replayer(
            journal=self.journal,
            batches=self._batches,
            feeds=self.feeds,
            letters=lambda ids: {name: letter for name, letter in self.letters().items() if name in ids},
            records=lambda batch_id: [doc for doc in self.stored().values() if doc["batch_id"] == batch_id],
            turn=contextlib.nullcontext,
            now=self.windows.clock,
            pause=pause or self._fire,
        )

    def replay(self, ids: Sequence[str] | None = None, *, timeout_s: float = 1) -> Outcome:
        """Replays these letters, all without ids; the provider fires while the replayer waits."""
        outcome = Outcome()
        self.replayer().replay(list(self.letters()) if ids is None else ids, outcome, timeout_s=timeout_s)
        return outcome

    def _batches(self, journal: str) -> list[str]:
        return [entry.reference.batch_id for entry in self.journal.due(journal, now=START * 2, limit=1000)]

    def _fire(self, _: float) -> None:
        if self.running:
            for batch_id in self._batches(keys.journal(0, REGISTRATION)):
                self.run(Reference(batch_id, keys.journal(0, REGISTRATION)))
