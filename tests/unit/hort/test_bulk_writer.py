"""Bulk bodies: cut, retried, told apart."""

from typing import Any

import pytest

from hort import bulk_writer
from hort.bulk_writer import BulkWriter, Pair, pairs, requests
from hort.document_store import RequestRefused, StoreBusy
from hort.documents import bulk_line
from hort.errors import SinkUnavailable
from hort.testing import MemoryDocuments


class World:
    """A store and a clock that moves when somebody waits."""

    def __init__(self, *, time_s: float = 45.0) -> None:
        self.store = MemoryDocuments()
        self.now = 100.0
        self.writer = BulkWriter(self.store, time_s=time_s, clock=lambda: self.now, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        self.now += seconds


def some(count: int, **more: Any) -> list[Pair]:
    return pairs(b"".join(bulk_line(str(number), {"n": number, **more}) for number in range(count)))


def test_lines_two_by_two() -> None:
    assert pairs(b"") == []
    assert pairs(b"a\nb\nc\nd\n") == [(b"a", b"b"), (b"c", b"d")]


def test_requests_are_bounded_by_count_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_writer, "MAX_DOCUMENTS", 3)
    monkeypatch.setattr(bulk_writer, "MAX_BYTES", 100)
    documents = [*some(7), (b"a" * 20, b"d" * 500), *some(1)]

    portions = list(requests(documents))

    assert [pair for portion in portions for pair in portion] == documents
    assert all(len(portion) <= 3 for portion in portions)
    assert all(
        len(portion) == 1 or sum(len(a) + len(b) + 2 for a, b in portion) <= 100 for portion in portions
    )


def test_every_document_is_stored() -> None:
    world = World()

    written = world.writer.write("i", some(12_000))

    assert (written.stored, written.rejected) == (12_000, [])
    assert world.store.requests == [5_000, 5_000, 2_000]
    assert len(world.store.indices["i"]) == 12_000


@pytest.mark.parametrize("status", [429, 500, 503, 403, 404])
def test_item_that_may_succeed_later_is_sent_again_alone(status: int) -> None:
    world = World()
    world.store.refuse = lambda _, document: (
        (status, "busy") if document["n"] == 3 and world.now < 101 else None
    )

    written = world.writer.write("i", some(5))

    assert (written.stored, written.rejected) == (5, [])
    assert world.store.requests[0] == 5
    assert set(world.store.requests[1:]) == {1}
    assert world.writer.counts[f"retried.{status}"] == len(world.store.requests) - 1


def test_item_that_is_refused_twice_is_handed_back_with_its_error() -> None:
    world = World()
    world.store.refuse = lambda _, document: (
        (400, "document_parsing_exception") if document["n"] == 3 else None
    )

    written = world.writer.write("i", some(5))

    assert written.stored == 4
    (rejected,) = written.rejected
    assert (rejected.pair, rejected.kind) == (some(5)[3], "document_parsing_exception")


def test_two_batches_that_bring_a_field_at_once_lose_nothing() -> None:
    world = World()
    world.store.refuse = lambda *_: (
        (400, "illegal_argument_exception") if len(world.store.requests) == 1 else None
    )

    assert world.writer.write("i", some(5)).rejected == []
    assert len(world.store.indices["i"]) == 5


def test_closed_index_is_no_fault_of_the_document() -> None:
    world = World()
    world.store.refuse = lambda *_: (400, "index_closed_exception")

    with pytest.raises(SinkUnavailable, match="index_closed_exception"):
        world.writer.write("i", some(2))


def test_store_that_is_away_for_a_moment() -> None:
    world = World()
    world.store.failures = [StoreBusy("ConnectionError"), StoreBusy("HTTP 503")]

    assert world.writer.write("i", some(2)).stored == 2


def test_store_that_stays_away_ends_after_bounded_attempts() -> None:
    world = World()
    world.store.failures = [StoreBusy("ConnectionError")] * 99

    with pytest.raises(SinkUnavailable, match="2 documents for i were not taken: ConnectionError"):
        world.writer.write("i", some(2))
    assert len(world.store.requests) == len(bulk_writer.PAUSES_S) + 1


def test_time_of_the_activation_ends_the_attempts() -> None:
    world = World(time_s=0.2)
    world.store.failures = [StoreBusy("ConnectionError")] * 99

    with pytest.raises(SinkUnavailable, match="out of time"):
        world.writer.write("i", some(2))
    assert world.now < 100.2


@pytest.mark.parametrize("status", [400, 413])
def test_request_that_is_refused_whole_is_halved_down_to_the_culprit(status: int) -> None:
    world = World()
    inner = world.store.bulk

    def bulk(index: str, body: bytes, *, timeout_s: float) -> Any:
        if b'"n":5}' in body:
            raise RequestRefused(status, "too_much")
        return inner(index, body, timeout_s=timeout_s)

    world.store.bulk = bulk  # type: ignore[method-assign]

    written = world.writer.write("i", some(8))

    assert written.stored == 7
    assert [rejected.pair for rejected in written.rejected] == [some(8)[5]]


def test_older_version_than_the_stored_one_changes_nothing_and_counts_as_stored() -> None:
    world = World()
    for version, name in ((1, "new"), (1, "same"), (0, "stale")):
        written = world.writer.write("i", pairs(bulk_line("a", {"name": name}, version=version)))
        assert (written.stored, written.rejected) == (1, [])

    assert world.store.indices["i"] == {"a": {"name": "same"}}
    assert len(world.store.requests) == 3
    assert world.writer.counts["superseded"] == 1
