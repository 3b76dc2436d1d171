"""Bulk bodies: cut, retried, told apart."""

from typing import Any

import pytest

from hort import bulk_writer
from hort.bulk_writer import BulkWriter, Pair, pairs, requests, streamed
from hort.document_store import RequestRefused, StoreBusy
from hort.documents import bulk_line
from hort.errors import DocumentsPutOff, SinkUnavailable
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


@pytest.mark.parametrize("copied", [1, 2, 3, 5, 7, 1_000])
def test_streamed_lines_are_the_same_wherever_they_are_cut(copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hort.bulk_writer.COPIED_BYTES", copied)
    for body in (b"", b"a\nb\n", b"a\nb\nccc\ndddd\ne\nffffff\n", b"".join(bulk_line(str(number), {"n": "x" * number}) for number in range(20))):
        assert list(streamed(body)) == pairs(body)


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


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "index_closed_exception"),
        (400, "validation_exception"),
        (400, "made_up_exception"),
        (403, "cluster_block_exception"),
        (429, "es_rejected_execution_exception"),
        (503, "unavailable_shards_exception"),
    ],
)
def test_what_is_no_fault_of_the_document_is_put_off_and_counted_by_its_kind(status: int, kind: str) -> None:
    """A page that says `403` does not say that somebody made the index read-only."""
    world = World()
    world.store.refuse = lambda *_: (status, kind)

    with pytest.raises(SinkUnavailable, match=f"{status} {kind}: made up"):
        world.writer.write("i", some(2))
    assert world.writer.counts[f"retried.{kind}"] == 8


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


def refusing(world: World, error: RequestRefused, *culprits: int) -> None:
    """Refuse each request that holds one of these documents."""
    inner = world.store.bulk

    def bulk(index: str, body: bytes, *, timeout_s: float, batch_id: str = "") -> Any:
        if any(b'"n":%d}' % number in body for number in culprits):
            raise error
        return inner(index, body, timeout_s=timeout_s, batch_id=batch_id)

    world.store.bulk = bulk  # type: ignore[method-assign]


def test_request_that_is_refused_whole_is_halved_down_to_the_culprit() -> None:
    world = World()
    refusing(world, RequestRefused(400, "action_request_validation_exception"), 5)

    written = world.writer.write("i", some(8))

    assert written.stored == 7
    assert [rejected.pair for rejected in written.rejected] == [some(8)[5]]


KINDS_OF_A_LINE = ["action_request_validation_exception", "illegal_argument_exception", "x_content_parse_exception"]


@pytest.mark.parametrize("count", [1, 2, 1_000])
@pytest.mark.parametrize("kind", KINDS_OF_A_LINE)
def test_proxy_that_refuses_every_request_makes_no_document_bad(kind: str, count: int) -> None:
    world = World()
    world.store.failures = [RequestRefused(400, kind)] * 9_999

    with pytest.raises(SinkUnavailable, match=f"1 documents for i were not taken: HTTP 400 {kind}"):
        world.writer.write("i", some(count))
    assert len(world.store.requests) < 20


@pytest.mark.parametrize("kind", KINDS_OF_A_LINE)
def test_document_refused_while_a_proxy_was_out_of_order_is_stored_when_it_works_again(kind: str) -> None:
    world = World()
    world.store.failures = [RequestRefused(400, kind)] * 3

    assert world.writer.write("i", some(1)).stored == 1


def test_lone_document_that_no_request_can_hold_is_handed_back() -> None:
    world = World()
    refusing(world, RequestRefused(400, "action_request_validation_exception"), 0)

    assert [rejected.pair for rejected in world.writer.write("i", some(1)).rejected] == some(1)


def test_document_that_is_too_large_for_a_proxy_waits_and_the_others_are_stored() -> None:
    world = World()
    refusing(world, RequestRefused(413, "Request Entity Too Large"), 2, 5)

    with pytest.raises(SinkUnavailable, match="documents for i were not taken: HTTP 413"):
        world.writer.write("i", some(8))
    assert len(world.store.indices["i"]) == 6


def test_proxy_that_lets_nothing_through_is_not_asked_for_each_document() -> None:
    world = World()
    world.store.failures = [RequestRefused(413, "Request Entity Too Large")] * 99

    with pytest.raises(SinkUnavailable, match="10 documents for i and maybe more"):
        world.writer.write("i", some(5_000))
    assert len(world.store.requests) < 40


@pytest.mark.parametrize("kind", ["Bad Request", "validation_exception", "parse_exception"])
def test_request_that_is_refused_whole_for_another_reason_is_put_off(kind: str) -> None:
    world = World()
    world.store.failures = [RequestRefused(400, kind)] * 99

    with pytest.raises(SinkUnavailable, match=f"8 documents for i were not taken: HTTP 400 {kind}"):
        world.writer.write("i", some(8))
    assert world.store.requests == [8] * 5


def test_what_is_put_off_keeps_no_other_portion_from_being_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_writer, "MAX_DOCUMENTS", 2)
    world = World()
    world.store.refuse = lambda _, document: (400, "made_up") if document["n"] in (0, 3) else None

    with pytest.raises(DocumentsPutOff, match="1 documents for i were not taken: 400 made_up"):
        world.writer.write("i", some(6))
    assert world.store.indices["i"].keys() == {"1", "2", "4", "5"}


# -- one request of a batch at a time --------------------------------------------------------------------------------


def test_request_whose_answer_did_not_come_is_not_sent_again_while_it_is_under_way() -> None:
    world = World()
    world.writer.begin("b-1", tried_before=False)
    world.store.failures = [StoreBusy("ConnectionTimeout")]
    world.store.at_work = {"b-1"}

    with pytest.raises(SinkUnavailable, match="still under way"):
        world.writer.write("i", some(2))
    assert len(world.store.requests) == 1

    world.store.at_work.clear()
    assert world.writer.write("i", some(2)).stored == 2


def test_batch_that_was_tried_before_waits_for_what_is_under_way() -> None:
    world = World()
    world.writer.begin("b-1", tried_before=True)
    world.store.at_work = {"b-1"}

    with pytest.raises(SinkUnavailable, match="still under way"):
        world.writer.write("i", some(2))
    assert world.store.requests == []


def test_first_delivery_does_not_ask_what_is_under_way() -> None:
    world = World()
    world.writer.begin("b-1", tried_before=False)
    world.store.at_work = {"b-1"}

    assert world.writer.write("i", some(12_000)).stored == 12_000


def test_request_may_take_all_the_time_that_is_left() -> None:
    world = World(time_s=45)
    timeouts: list[float] = []

    def bulk(index: str, body: bytes, *, timeout_s: float, batch_id: str = "") -> Any:
        del index, body, batch_id
        timeouts.append(timeout_s)
        world.now += 40
        return []

    world.store.bulk = bulk  # type: ignore[method-assign]
    world.writer.write("i", some(6_000))

    assert timeouts == [45, 5]


def test_older_version_than_the_stored_one_changes_nothing_and_counts_as_stored() -> None:
    world = World()
    for version, name in ((1, "new"), (1, "same"), (0, "stale")):
        written = world.writer.write("i", pairs(bulk_line("a", {"name": name}, version=version)))
        assert (written.stored, written.rejected) == (1, [])

    assert world.store.indices["i"] == {"a": {"name": "same"}}
    assert len(world.store.requests) == 3
    assert world.writer.counts["superseded"] == 1
