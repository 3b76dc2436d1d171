"""Going through a batch over which an action dies: in portions, each noted before it is tried, and what a try died over comes last.

So `sink` stores the neighbours of a document that it cannot take by the try after, whichever sequence it came through, and nothing
has to be ingested again; and `ingest` finds what is deadly in a replay. What was suspect is cut further by each death, until it
stands alone.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from hort import action, isolation, watchdog
from hort.batch import Reference
from hort.journal import Journal

TRIES_ALONE = 3
"""Tries with a single document, while others are stored, before it is given up."""


class Body:
    """The documents of a bulk body by position; `late` are the positions (u32 LE) of those to be marked late."""

    def __init__(self, raw: bytes, late: bytes = b"") -> None:
        self._raw = raw
        self._ends = array("Q", [0, *_ends(raw)])
        self._late = array("I", late)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def part(self, positions: range) -> tuple[bytes, bytes]:
        """Some of the documents, and which of these are late."""
        found = self._raw[self._ends[positions.start] : self._ends[positions.stop]]
        return found, array("I", [at - positions.start for at in self._late if at in positions]).tobytes()


def _ends(raw: bytes) -> Iterator[int]:
    end = 0
    while (head := raw.find(b"\n", end)) >= 0 and (end := raw.find(b"\n", head + 1) + 1):
        yield end


@dataclass(frozen=True, slots=True)
class Portion:
    """Positions that are tried together; `alone` is one that a try died over when it was by itself."""

    at: range
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What is known of the deaths over a batch, or one of its stage fields; kept with it, so that each try goes on from there."""

    journal: Journal
    reference: Reference
    step: str

    def learn(self) -> bool:
        """Takes down where the last try died; True where that is known."""
        at = self.journal.trouble(self.reference, self.step).at
        if at is None:
            return False
        rest = [part for part in self.suspects() if not (part.start <= at.start and at.stop <= part.stop)]
        kept = sorted((part.start, part.stop) for part in [*rest, at])
        self.journal.write_stage(self.reference, {self._field: orjson.dumps(kept)})
        self.passed()
        action.log("suspect", step=self.step, batch_id=self.reference.batch_id, first=at.start, count=len(at))
        return True

    def suspects(self) -> list[range]:
        """The parts over which a try died, in their order."""
        stage = self.journal.read_stage(self.reference, [self._field]) or {}
        return [range(*bounds) for bounds in orjson.loads(stage.get(self._field, b"[]"))]

    def healthy(self, count: int) -> Iterator[Portion]:
        """What is not suspect of so many positions, in portions."""
        start = 0
        for part in [*self.suspects(), range(count, count)]:
            yield from self._noted(range(start, part.start), size=max(1, math.isqrt(count)))
            start = part.stop

    def suspect(self, _count: int) -> Iterator[Portion]:
        """What is suspect, in smaller portions; what stands alone is last."""
        for part in sorted(self.suspects(), key=len, reverse=True):
            yield from self._noted(part, size=1 if len(part) <= isolation.SINGLY else math.isqrt(len(part)), alone=len(part) == 1)

    def given_up(self, portion: Portion, *, others_stored: bool) -> bool:
        """Counts a try with a document alone, where others could be stored; whether it had all its tries."""
        if not portion.alone:
            return False
        return self.journal.count_try(self.reference, self._alone(portion), only_if_others_pass=not others_stored) > TRIES_ALONE

    def excuse(self, portion: Portion) -> None:
        """Takes a try back after which Elasticsearch put documents off."""
        if portion.alone:
            self.journal.uncount_try(self.reference, self._alone(portion))

    def passed(self) -> None:
        """What was noted last is not what ended the try."""
        self.journal.note(self.reference, self.step, None)

    def _noted(self, positions: range, *, size: int, alone: bool = False) -> Iterator[Portion]:
        for start in range(0, len(positions), size):
            part = positions[start : start + size]
            self.journal.note(self.reference, self.step, part)
            watchdog.restart(None if alone else watchdog.PART_S, alone=alone)
            yield Portion(part, alone)
        if positions:
            self.passed()
            watchdog.restart()

    def _alone(self, portion: Portion) -> str:
        return f"{self.step}.{portion.at.start}"

    @property
    def _field(self) -> str:
        return f"suspect:{self.step}"
