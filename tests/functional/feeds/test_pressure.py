"""Back-pressure at the intake: what it holds is bounded, what it does not take stays in the broker, and it says so."""

import pytest

from feeds.provider.holding import CALM_MS
from feeds.provider.intake import STALL_MS
from tests.support.intake import JOURNAL, Bench

LABEL = {"registration": "/guest/t"}


def value(bench: Bench, name: str, **labels: str) -> float:
    return bench.meters.registry.get_sample_value(f"hort_provider_{name}", LABEL | labels) or 0.0


def steps(bench: Bench, count: int, *, step_ms: int = STALL_MS) -> None:
    """Steps that leave the journal as full as it is."""
    for _ in range(count):
        bench.intake.step()
        bench.clock.advance(step_ms)


def store_one(bench: Bench) -> None:
    """What firing and sink do: a batch leaves the journal."""
    (entry,) = bench.journal.due(JOURNAL, now=10**15, limit=1)
    bench.journal.ack(entry.reference)
    bench.gate.looked(bench.journal.size(JOURNAL), 0, before=bench.gate.added)


def test_each_place_in_the_journal_takes_one_batch_out_of_the_broker_and_not_its_whole_window() -> None:
    """Messages that no batch had room for were spooled and acknowledged, and the broker sent another window for each place that got free."""
    bench = Bench({"max_records": 5, "max_journal_batches": 2, "linger_ms": 0})
    bench.broker.publish(*(b"%d" % number for number in range(500)))
    taken = []
    for _ in range(20):
        steps(bench, 10)
        assert bench.journal.size(JOURNAL) == 2
        assert bench.intake.waiting <= 5
        store_one(bench)
        taken.append(500 - len(bench.broker.queue))
    assert taken[-1] <= 22 * 5
    while bench.broker.queue or bench.journal.size(JOURNAL) or bench.intake.waiting:
        steps(bench, 10)
        store_one(bench)
    assert len(bench.broker.acked) == 500


def test_a_read_brings_several_batches_and_all_that_are_due_are_cut_at_once() -> None:
    bench = Bench({"max_records": 5, "max_journal_batches": 100, "linger_ms": 60_000})
    bench.run()
    bench.gate.max_batches = 0
    bench.broker.publish(*(b"%d" % number for number in range(5)))
    steps(bench, 3)
    assert len(bench.broker.queue) == 5, "nothing is read while the journal is full"
    bench.gate.max_batches = 100
    steps(bench, 1)
    assert bench.batches() == [[b"0", b"1", b"2", b"3", b"4"]]


def test_while_redis_is_away_one_batch_is_held_and_the_rest_stays_in_the_broker(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench({"max_records": 5, "linger_ms": 0})
    bench.run()
    bench.ledger.away = True
    bench.broker.publish(*(b"%d" % number for number in range(100)))
    steps(bench, 400)
    assert len(bench.broker.queue) >= 90
    assert bench.intake.holding.since_ms
    assert value(bench, "held_back_seconds_total", reason="redis") > 5
    assert not value(bench, "journal_full")
    bench.ledger.away = False
    bench.run(30_000)
    assert sorted(bench.payloads()) == sorted(b"%d" % number for number in range(100))
    told = capsys.readouterr().err
    assert (told.count('"holding-back"'), told.count('"reading-again"')) == (1, 1)


def test_holding_back_is_told_once_with_its_time_and_so_is_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench({"max_records": 1, "max_journal_batches": 2, "linger_ms": 0})
    bench.run()
    began = bench.clock.now
    bench.broker.publish(*(b"%d" % number for number in range(8)))
    for _ in range(6):
        steps(bench, 100, step_ms=10)
        store_one(bench)
    assert (value(bench, "holding_back"), value(bench, "journal_full")) == (1, 1)
    assert began <= bench.intake.holding.since_ms <= began + 50
    assert value(bench, "journal_filled_total", limit="batches") == 1, "a place that is taken at once is no end of it"
    assert 4 < value(bench, "held_back_seconds_total", reason="batches") <= 6
    while bench.journal.size(JOURNAL):
        store_one(bench)
    steps(bench, 2, step_ms=10)
    assert not value(bench, "journal_full")
    assert value(bench, "holding_back") == 1
    steps(bench, 2, step_ms=CALM_MS)
    assert not value(bench, "holding_back")
    assert bench.intake.holding.since_ms == 0
    told = capsys.readouterr().err
    assert (told.count('"holding-back"'), told.count('"reading-again"')) == (1, 1)
    assert '"reason": "batches"' in told


def test_a_stop_puts_no_more_into_the_journal_than_it_may_hold() -> None:
    bench = Bench({"max_records": 5, "max_journal_batches": 2, "linger_ms": 60_000})
    bench.run()
    bench.broker.publish(b"a", b"b")
    bench.intake.step()
    bench.gate.max_batches = 0
    bench.intake.stop(flush=True)
    assert bench.journal.size(JOURNAL) == 0
    assert bench.broker.inflight == {}, "it is spooled"
    bench.restart()
    bench.run(300)
    assert bench.payloads() == [b"a", b"b"]
