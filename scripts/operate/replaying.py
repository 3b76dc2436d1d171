"""Putting replays into the journals and seeing them through.

Each letter is in one replay at a time, and a replay's letters are taken out of the index by the sink before its batch is
acknowledged. So under the lock a letter that is in no replay under way and still in the index was not replayed yet. The look
at the journals must come first: the other way round a replay could end in between.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hort import batch, keys, replay, store
from hort.batch import Reference
from hort.errors import BatchError
from hort.journal import Journal
from operate.command import Refused
from operate.letters import Letter
from operate.planning import Feed, Portion, Records, plan

LOCK_S = 120
LOCK_WAIT_S = 30
LOOK_EVERY_S = 0.25


class Letters(Protocol):
    """What is in `dead-letters` at this moment."""

    def __call__(self, ids: Sequence[str]) -> dict[str, Letter]:
        """Those of these letters that are there."""


@dataclass(slots=True)
class Outcome:
    """What became of letters, by id; `waiting` are batches that were not stored in time and go on by themselves."""

    replayed: list[str] = field(default_factory=list)
    again: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    under_way: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is left to be looked at."""
        return not (self.again or self.refused or self.under_way or self.waiting)


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays letters over one journal; `turn` is the lock, `batches` the ids in a journal."""

    journal: Journal
    batches: Callable[[str], list[str]]
    feeds: Sequence[Feed]
    letters: Letters
    records: Records
    turn: Callable[[], Any]
    now: Callable[[], int]
    trigger: str = ""
    pause: Callable[[float], None] = time.sleep

    def replay(self, ids: Sequence[str], outcome: Outcome, *, timeout_s: float) -> None:
        """Replays these letters and waits until they are stored or the time is over."""
        with self.turn():
            put = self._put(ids, outcome)
        if self._wait([reference for reference, _ in put], timeout_s):
            self._settle([name for _, portion in put for name in portion.letters], outcome)
            return
        outcome.waiting += [reference.batch_id for reference, _ in put if self._is_waiting(reference)]
        done = [portion for reference, portion in put if reference.batch_id not in outcome.waiting]
        self._settle([name for portion in done for name in portion.letters], outcome)

    def under_way(self) -> Iterator[str]:
        """The letters of the replays that are in a journal."""
        for feed in self.feeds:
            for partition in range(feed.width):
                journal = keys.journal(partition, feed.id)
                for batch_id in filter(replay.is_replay, self.batches(journal)):
                    yield from self._letters_of(Reference(batch_id, journal))

    def _letters_of(self, reference: Reference) -> list[str]:
        raw = self.journal.load(reference)
        try:
            return [] if raw is None else replay.letters(batch.unpack(raw).extra)
        except BatchError:
            return []

    def _put(self, ids: Sequence[str], outcome: Outcome) -> list[tuple[Reference, Portion]]:
        busy = set(self.under_way())
        free = [name for name in ids if name not in busy]
        found = self.letters(free)
        outcome.gone += [name for name in free if name not in found]
        # A batch that is delivered again writes its letters again: until it is acknowledged they are not settled.
        busy |= {name for name, letter in found.items() if self.journal.created(letter.batch) is not None}
        free = [name for name in free if name not in busy]
        outcome.under_way += [name for name in ids if name in busy]
        portions, refused = plan([found[name] for name in free if name in found], self.feeds, records=self.records, trigger=self.trigger)
        outcome.refused |= refused
        return [(self._journalled(portion), portion) for portion in portions]

    def _journalled(self, portion: Portion) -> Reference:
        now = self.now()
        reference = replay.new_reference(portion.feed.id, portion.partition, now)
        raw = batch.pack(portion.messages)
        self.journal.put(reference, raw, trigger=portion.feed.trigger, count=len(portion.letters), now=now)
        return reference

    def _wait(self, references: Sequence[Reference], timeout_s: float) -> bool:
        for _ in range(max(1, round(timeout_s / LOOK_EVERY_S))):
            if all(moment is None for moment in self.journal.times(references)):
                return True
            self.pause(LOOK_EVERY_S)
        return False

    def _is_waiting(self, reference: Reference) -> bool:
        return self.journal.times([reference]) != [None]

    def _settle(self, ids: Sequence[str], outcome: Outcome) -> None:
        left = self.letters(ids)
        outcome.replayed += [name for name in ids if name not in left]
        outcome.again |= {name: f"{letter.reason}: {letter.detail}" for name, letter in left.items()}


def feeds_of(client: store.Client) -> list[Feed]:
    """The registrations that are not deleted, without their secrets; Refused where there are none."""
    rows: Any = client.hgetall(keys.REGISTRATIONS)
    values = [json.loads(raw) for raw in rows.values()]
    found = [Feed.of(value) for value in values if value.get("deleted_at") is None]
    if not found:
        raise Refused("no feed is registered in this Redis, so nothing would fire a replay")
    return sorted(found, key=lambda feed: feed.trigger)


def batches_of(client: store.Client, journal: str) -> list[str]:
    """The ids in a journal; a replay's are few among them."""
    found: Any = client.zrange(journal, 0, -1)
    return [name.decode() for name in found]
