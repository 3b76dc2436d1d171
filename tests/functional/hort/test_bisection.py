"""Batches with records that an action cannot take: whatever their number and place, the others are stored once, these are buried once."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import batch, ingest, isolation
from hort.batch import Messages, Reference
from hort.decoded import Decoded
from hort.decoding import decode
from hort.journal import FREE_CUTS
from hort.records import Records
from tests.functional.hort.test_ingest import JOURNAL, World
from tests.support.ingest import ARRIVAL, documents, messages, numbers

BATCH = "aaaaaaaaaaaaaaaa-0-0198c0ffee00deadbeef"
Kind = type[BaseException]


class Killed(BaseException):
    """What a limit does to an action: no handler sees it."""


@dataclass
class Stream:
    """The sequence as the provider drives it: one batch after another is delivered until none is left; `fails` says where and how."""

    fails: Callable[[str, set[int]], None]
    world: World = field(default_factory=lambda: World(params={"max_attempts": 3}))
    events: list[str] = field(default_factory=list)
    dead: list[dict[str, Any]] = field(default_factory=list)
    windows: Counter[float] = field(default_factory=Counter)
    results: Counter[float] = field(default_factory=Counter)
    deliveries: int = 0
    patience: int = 3_000

    def run(self, *contents: Any) -> None:
        """Delivers a batch of these messages until nothing of it is left."""
        content = messages(*contents)
        self.world.journal.put(Reference(BATCH, JOURNAL), batch.pack(content), trigger="/_/t", count=len(content), now=ARRIVAL)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ingest, "decode", decoding(self))
            self._drain()

    def _drain(self) -> None:
        while waiting := self.world.journal.due(JOURNAL, now=ARRIVAL * 2, limit=1000):
            for entry in waiting:
                self.deliveries += 1
                assert self.deliveries <= self.patience, "it comes to no end"
                try:
                    self._deliver(entry.reference)
                except (Killed, OverflowError):
                    continue

    def _deliver(self, reference: Reference) -> None:
        if self.world.ingest.run(reference, None).get("acked"):
            return
        for step, left, counts in (("window", "late", self.windows), ("score", "results", self.results)):
            stage = self._stage(reference)
            if left not in stage:
                self._step(reference, step, stage)
                counts.update(row["n"] for row in numbers(stage).values())
                self.world.journal.write_stage(reference, {left: b""}, left)
        stage = self._stage(reference)
        self.events += [row["_id"] for row in documents(stage["events"])]
        self.dead += documents(stage["dead"])
        assert {row["batch_id"] for row in documents(stage["events"])} <= {reference.batch_id}
        self.world.journal.ack(reference)

    def _step(self, reference: Reference, step: str, stage: dict[str, bytes]) -> None:
        """As the actions do: the whole, after a failed try each part noted before."""
        mine = numbers(stage)
        if self.world.journal.trouble(reference, step).tries and len(mine) > 1:
            for positions in isolation.noted(self.world.journal, reference, step, range(len(mine))):
                self.fails(step, {int(mine[at]["n"]) for at in positions})
        Records(stage["events"], stage["keys"], stage["key_index"])
        self.fails(step, {int(row["n"]) for row in mine.values()})

    def _stage(self, reference: Reference) -> dict[str, bytes]:
        names = ("events", "keys", "key_index", "ts", "cols", "dead", "late", "results")
        return self.world.journal.read_stage(reference, names) or {}


def decoding(stream: Stream) -> Callable[..., Decoded]:
    def deadly(content: Messages, *arguments: Any, **options: Any) -> Decoded:
        stream.fails("ingest", {int(str(name).rpartition(".")[2]) for name in content.names or range(len(content))})
        return decode(content, *arguments, **options)

    return deadly


def streamed(step: str, kind: Kind, count: int, poison: set[int], *, most: int = 0, others: bool = False) -> Stream:
    """A batch of `count` records through a sequence of which `step` fails at some, or with more than `most` at once.

    `others`: meanwhile other batches are stored.
    """

    def fails(name: str, found: set[int]) -> None:
        if name == step and (found & poison or (most and len(found) > most)):
            if others:
                other = Reference(f"other-0-{stream.deliveries}", JOURNAL)
                stream.world.journal.put(other, b"", trigger="/_/t", count=1, now=ARRIVAL)
                stream.world.journal.ack(other)
            raise kind

    stream = Stream(fails)
    stream.run(*({"n": number} for number in range(count)))
    return stream


@pytest.mark.parametrize("kind", [Killed, OverflowError])
@given(count=st.integers(1, 60), drawn=st.sets(st.integers(0, 59)))
def test_ingest(kind: Kind, count: int, drawn: set[int]) -> None:
    poison = {at for at in drawn if at < count}
    stream = streamed("ingest", kind, count, poison)
    healthy = set(range(count)) - poison
    assert sorted(stream.events) == sorted(f"{BATCH}.{at}" for at in healthy)
    assert sorted(row["_id"] for row in stream.dead) == sorted(f"{BATCH}.{at}-ingest" for at in poison)
    assert {row["reason"] for row in stream.dead} <= {"unprocessable"}
    assert stream.windows == stream.results == Counter(map(float, healthy))
    counted = stream.world.counters.all()
    assert (counted["ingest.messages"], counted.get("ingest.records", 0)) == (count, len(healthy))
    assert counted.get("dead.ingest.unprocessable", 0) == len(poison)


@pytest.mark.parametrize("kind", [Killed, OverflowError])
@pytest.mark.parametrize("step", ["window", "score"])
@given(count=st.integers(2, 60), drawn=st.sets(st.integers(0, 59), max_size=20))
def test_actions_after_ingest(step: str, kind: Kind, count: int, drawn: set[int]) -> None:
    """A record alone is given up only where others pass meanwhile."""
    poison = {at for at in drawn if at < count}
    stream = streamed(step, kind, count, poison, others=True)
    healthy = set(range(count)) - poison
    assert sorted(name for name in stream.events if name.startswith(BATCH)) == sorted(f"{BATCH}.{at}" for at in range(count))
    left, kept = (stream.windows, stream.results) if step == "window" else (stream.results, stream.windows)
    assert {at: left[float(at)] for at in range(count)} == {at: int(at in healthy) for at in range(count)}
    assert {at: kept[float(at)] for at in range(count)} == dict.fromkeys(range(count), 1)
    assert Counter((row["stage"], row["reason"]) for row in stream.dead) == Counter({(step, "unprocessable"): len(poison)} if poison else {})
    assert stream.world.counters.all()["ingest.records"] == count, "counted once, when it was ingested"


@pytest.mark.parametrize("kind", [Killed, OverflowError])
@pytest.mark.parametrize("step", ["ingest", "window", "score"])
def test_a_batch_that_is_only_too_much_at_once_is_stored_in_parts(step: str, kind: Kind) -> None:
    stream = streamed(step, kind, 50, set(), most=13)
    assert sorted(stream.events) == sorted(f"{BATCH}.{at}" for at in range(50))
    assert stream.windows == stream.results == Counter(map(float, range(50)))
    assert stream.dead == []


@pytest.mark.parametrize("step", ["window", "score"])
def test_what_stops_every_batch_leaves_them_in_a_few_parts(step: str) -> None:
    def fails(name: str, _found: set[int]) -> None:
        if name == step:
            raise Killed

    stream = Stream(fails, patience=300)
    with pytest.raises(AssertionError, match="no end"):
        stream.run(*({"n": number} for number in range(400)))
    assert stream.world.journal.size(JOURNAL) <= 2**FREE_CUTS
    assert (stream.dead, stream.events) == ([], [])


def test_one_in_twenty_thousand_takes_few_deliveries() -> None:
    """At 45 fires a minute, and a second or two after each death, that is well within a minute."""
    stream = streamed("ingest", Killed, 20_000, {13_333})
    assert len(stream.events) == 19_999
    assert [row["_id"] for row in stream.dead] == [f"{BATCH}.13333-ingest"]
    assert stream.deliveries <= 16


@given(deaths=st.lists(st.booleans(), max_size=12), poison=st.sets(st.integers(0, 29), max_size=2))
def test_deaths_in_its_midst_that_no_record_brings_about(deaths: list[bool], poison: set[int]) -> None:
    """Engine, process or machine go while a batch is looked through: no record more is given up, none is lost or doubled."""
    order = iter([death and sum(deaths[:at]) < 4 for at, death in enumerate(deaths)])

    def fails(name: str, found: set[int]) -> None:
        if next(order, False) or (name == "ingest" and found & poison):
            raise Killed

    stream = Stream(fails)
    stream.run(*({"n": number} for number in range(30)))
    healthy = set(range(30)) - poison
    assert sorted(stream.events) == sorted(f"{BATCH}.{at}" for at in healthy)
    assert sorted(row["_id"] for row in stream.dead) == sorted(f"{BATCH}.{at}-ingest" for at in poison)
    assert stream.windows == stream.results == Counter(map(float, healthy))


def test_records_that_share_a_message_and_dead_letters_stay_where_they_are() -> None:
    def fails(name: str, found: set[int]) -> None:
        if name == "window" and len(found) > 1:
            raise Killed

    stream = Stream(fails)
    stream.run([{"n": 0}, {"n": 1}], b"nope", {"n": 2}, [{"n": 3}, {"n": 4}])
    assert sorted(stream.events) == [f"{BATCH}.{name}" for name in ("0.0", "0.1", "2", "3.0", "3.1")]
    assert [(row["_id"], row["reason"]) for row in stream.dead] == [(f"{BATCH}.1-ingest", "not-json")]
