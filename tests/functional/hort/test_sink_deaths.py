"""Documents over which the sink dies: the others are stored once by a few tries, these are buried once, whatever sequence it was."""

import math
from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.bulk_writer import BulkWriter
from hort.document_store import StoreBusy
from hort.errors import SinkUnavailable
from hort.isolation import FAILED, SINGLY
from hort.portions import TRIES_ALONE
from hort.sink import CLAIM_MS, Sink
from tests.functional.hort.test_sink import REFERENCE, World, lines
from tests.support.ingest import buried

Found = tuple[int, str] | None
COUNT = 5_000


class Killed(BaseException):
    """What a limit does to an action: no handler sees it."""


def deadly(world: World, names: set[str], kind: type[BaseException] = Killed) -> None:
    """The sink dies at these documents, but not over the letters that bury them."""

    def refuse(_: str, document: dict[str, Any]) -> Found:
        if document.get("name") in names:
            raise kind
        return None

    world.documents.refuse = refuse


def tries(world: World, *, most: int, after: Callable[[int], None] = lambda _: None) -> int:
    """Runs the sink as the provider has it fired, until the batch is done; how many times."""
    for number in range(1, most + 1):
        try:
            world.run()
        except (Killed, OverflowError):
            world.journal.count_try(REFERENCE, FAILED)
            after(number)
        else:
            return number
    raise AssertionError(f"not done after {most} tries")


def names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]


@pytest.mark.parametrize("kind", [Killed, OverflowError])
@given(events=st.integers(1, 40), results=st.integers(0, 40), data=st.data())
def test_any_documents(kind: type[BaseException], events: int, results: int, data: st.DataObject) -> None:
    world, every = World(), [*names("e", events), *names("r", results)]
    poison = data.draw(st.sets(st.sampled_from(every)))
    world.put({"events": lines(*names("e", events)), "results": lines(*names("r", results)), "dead": lines("d"), "late": array("I", [0]).tobytes()})
    deadly(world, poison, kind)

    def others(_: int) -> None:
        world.journal.put(other := type(REFERENCE)("aaaa-0-2", REFERENCE.journal), b"", trigger="/_/t", count=1, now=0)
        world.journal.ack(other)

    tries(world, most=3 + len(poison) * (3 + TRIES_ALONE), after=others)

    stored = {**world.documents.indices.get("all-events", {}), **world.documents.indices.get("model-results", {})}
    assert {*stored} == {*every} - poison
    assert stored.get("e-0", {"late": True})["late"] is True
    letters = {name: letter for name, letter in world.documents.indices["dead-letters"].items() if name != "d"}
    assert Counter(name.partition("/")[2] for name in letters) == Counter(f"{name}-sink" for name in poison)
    assert {letter["reason"] for letter in letters.values()} <= {"unprocessable"}
    counted = world.counters.all()
    assert counted.get("sink.all-events", 0) + counted.get("sink.model-results", 0) == len(every) - len(poison), "each counted once"
    assert counted.get("dead.sink.unprocessable", 0) == len(poison)
    assert world.journal.size(REFERENCE.journal) == 0


def test_neighbours_of_three_are_stored_by_the_try_after_the_third_death() -> None:
    world, found = World(), names("e", COUNT)
    poison = {"e-7", "e-3333", "e-4999"}
    world.put({"events": lines(*found), "results": lines("r")})
    deadly(world, poison)
    seen: list[int] = []

    def look(_: int) -> None:
        seen.append(len(world.documents.indices.get("all-events", {})) + len(world.documents.indices.get("model-results", {})))

    done = tries(world, most=30, after=look)

    part = math.isqrt(COUNT)
    assert seen[4] >= COUNT + 1 - 3 * part, "the whole, three portions, and then all but those"
    assert seen[4 + 3] == COUNT + 1 - 3, "and each document that is not poison"
    assert done <= 1 + 3 + 3 * (1 + TRIES_ALONE) + 1
    assert part <= SINGLY


def test_documents_that_only_fail_together_are_stored() -> None:
    world = World()
    bulk = world.documents.bulk

    def touchy(index: str, body: bytes, **options: Any) -> list[Any]:
        if b'"e-3"' in body and b'"e-4"' in body:
            raise Killed
        return bulk(index, body, **options)

    world.put({"events": lines(*names("e", 50))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.documents, "bulk", touchy)
        assert tries(world, most=12) == 3
    assert len(world.documents.indices["all-events"]) == 50
    assert "dead-letters" not in world.documents.indices


def test_a_lonely_document_waits_until_others_are_stored() -> None:
    world = World()
    world.put({"events": lines("bad")})
    deadly(world, {"bad"})
    with pytest.raises(AssertionError, match="not done"):
        tries(world, most=20)
    assert world.documents.indices == {}

    def others(_: int) -> None:
        world.journal.put(other := type(REFERENCE)("aaaa-0-2", REFERENCE.journal), b"", trigger="/_/t", count=1, now=0)
        world.journal.ack(other)

    tries(world, most=TRIES_ALONE + 1, after=others)
    (letter,) = world.documents.indices["dead-letters"].values()
    assert b'"name":"bad"' in buried(letter)


@pytest.mark.parametrize("failed", [False, True])
def test_a_sink_that_may_still_be_at_work_is_no_death(*, failed: bool) -> None:
    """The batch was fired again after its deadline, while Elasticsearch was slow."""
    world = World()
    world.put({"events": lines(*names("e", 100))})
    world.journal.count_try(REFERENCE, "sink")
    if failed:
        world.journal.count_try(REFERENCE, FAILED)
    world.run()
    assert (max(world.documents.requests) < 100) == failed


def test_what_elasticsearch_does_not_take_now_is_held_against_no_document() -> None:
    world = World()
    world.put({"events": lines(*names("e", 9))})
    deadly(world, {"e-4"})
    for _ in range(2):
        with pytest.raises(Killed):
            world.run()
        world.journal.count_try(REFERENCE, FAILED)
    for _ in range(20):
        world.documents.failures = [StoreBusy("HTTP 503") for _ in range(5)]
        with pytest.raises(SinkUnavailable):
            world.run()
    world.documents.refuse = lambda *_: None
    world.run()
    assert len(world.documents.indices["all-events"]) == 9
    assert "dead-letters" not in world.documents.indices


@pytest.mark.parametrize("busy", [False, True])
def test_nor_against_one_that_is_tried_alone_while_others_are_stored(*, busy: bool) -> None:
    world = World()
    world.put({"events": lines(*names("e", 9))})
    deadly(world, {"e-4"})
    for _ in range(4):
        with pytest.raises(Killed):
            world.run()
        world.journal.count_try(REFERENCE, FAILED)
    assert len(world.documents.indices["all-events"]) == 8
    world.documents.refuse = lambda _, document: (429, "es_rejected_execution_exception") if document.get("name") == "e-4" else None
    asked = world.documents.bulk

    def bulk(index: str, body: bytes, **options: Any) -> list[Any]:
        if busy and b'"e-4"' in body:
            raise StoreBusy("HTTP 503")
        return asked(index, body, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.documents, "bulk", bulk)
        for _ in range(TRIES_ALONE + 3):
            with pytest.raises(SinkUnavailable):
                world.run()
    world.documents.refuse = lambda *_: None
    world.run()
    assert len(world.documents.indices["all-events"]) == 9
    assert "dead-letters" not in world.documents.indices


def test_a_dead_letter_over_which_the_sink_dies_is_buried_in_another() -> None:
    world = World()
    world.put({"events": lines("e"), "dead": lines("d", "bad", "f")})
    deadly(world, {"bad"})
    tries(world, most=10)
    assert {*world.documents.indices["dead-letters"]} == {"d", "f", "dead-letters/bad-sink"}


def test_what_nobody_fires_is_taken_by_the_next_tick_after_a_death_but_not_while_elasticsearch_works_on_it() -> None:
    world = World()
    closed = type(REFERENCE)("close-0-1", "hort:{0}:journal:close")
    world.journal.put(closed, b"", trigger="close", count=1, now=world.clock())
    world.journal.write_stage(closed, {"analytics": lines(*names("w", 100))})
    world.clock.advance(60_000)  # as long as it waits for its turn
    sink = Sink(world.journal, world.documents, world.counters, world.prefix, world.clock)
    seen: list[int] = []

    def left_ms() -> int:
        (due_ms,) = world.journal.times([closed])
        return (due_ms or 0) - world.clock()

    def writer(time_s: float) -> BulkWriter:
        def clock() -> float:
            seen.append(left_ms())
            return 0.0

        return BulkWriter(world.documents, time_s=time_s, clock=clock)

    asked = world.documents.bulk

    def bulk(*arguments: Any, **options: Any) -> list[Any]:
        during.append(left_ms())
        return asked(*arguments, **options)

    during: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.documents, "bulk", bulk)
        deadly(world, {"w-42"})
        with pytest.raises(Killed):
            sink.drain(closed, time_s=45, writer=writer)
    tick_ms = 15_000
    assert max(seen) < tick_ms, "it is at work by itself: if it dies, the next tick has it"
    assert min(during) >= 45_000 + CLAIM_MS, "a request may take all of the time"


def test_windows_that_were_closed_are_no_longer_held_by_one_of_them() -> None:
    """No provider fires these, and close waits for them: one document kept every window from being closed."""
    world = World()
    closed = type(REFERENCE)("close-0-1", "hort:{0}:journal:close")
    world.journal.put(closed, b"", trigger="close", count=1, now=world.clock())
    world.journal.write_stage(closed, {"analytics": lines(*names("w", 100))})
    deadly(world, {"w-42"})
    sink = Sink(world.journal, world.documents, world.counters, world.prefix, world.clock)
    for number in range(4 + TRIES_ALONE):
        try:
            sink.drain(closed, time_s=45, writer=lambda time_s: BulkWriter(world.documents, time_s=time_s))
        except Killed:
            if number == 3:
                assert len(world.documents.indices["analytics"]) == 99, "stored by the fourth tick"
            continue
        break
    assert world.journal.size(closed.journal) == 0
    assert {*world.documents.indices["dead-letters"]} == {"analytics/w-42-sink"}
