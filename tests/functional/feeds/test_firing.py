"""The firing over an in-memory journal and OpenWhisk."""

import re
from typing import Any

import pytest
import redis

from feeds.provider.firing import GIVE_WAY_MS, HOLD_MS, MOST_UNFINISHED, UNREADABLE_ATTEMPTS, Firing
from feeds.provider.meters import Meters
from feeds.provider.pace import FEW_UNACKED, HANGS_MS, Gate, Pace, next_minute
from feeds.provider.testing import MemoryWhisk
from feeds.provider.whisk import Outcome, Target
from hort import batch, feed_options, keys
from hort.batch import Message, Messages, Reference
from hort.fires import Started
from hort.journal import Part
from hort.testing import FakeClock, MemoryJournal

REGISTRATION = "0123456789abcdef"
ACCEPTED = Outcome("accepted", 202, activation="a" * 32)


class Bench:
    """A firing with all its twins."""

    def __init__(self, **options: Any) -> None:
        config = feed_options.parse({"url": "mqtt://broker", "topics": "t/#", **options})
        self.clock = FakeClock(1_700_000_040_000)
        self.journal = MemoryJournal()
        self.whisk = MemoryWhisk(clock=self.clock)
        self.gate = Gate(Pace(config.max_fires_per_minute), config.max_unacked, 1000, 10**9)
        self.gate.unacked = config.max_unacked
        self.off: list[Outcome] = []
        self.away = False
        self.meters = Meters()
        self.journals = [keys.journal(partition, REGISTRATION) for partition in range(config.partitions)]
        self.firing = Firing(
            Target("http://host", "/guest/t", "a:b"),
            config,
            journal=self.journal,
            journals=self.journals,
            whisk=self.whisk,
            gate=self.gate,
            clock=self.clock,
            steady=self.clock,
            meters=self.meters,
            switch_off=self.switch_off,
        )

    def switch_off(self, target: Target, outcome: Outcome) -> None:
        assert target is self.firing.target
        if self.away:
            raise redis.ConnectionError("away")
        self.off.append(outcome)

    def put(self, payload: bytes = b"{}", *, partition: int = 0) -> Reference:
        now = self.clock.now
        reference = Reference(batch.new_id(REGISTRATION, partition, now), self.journals[partition])
        messages = Messages.of([Message("t/a", payload, now, 1)])
        self.journal.put(reference, batch.pack(messages), trigger="/guest/t", count=1, now=now)
        return reference

    def run(self, milliseconds: int) -> None:
        """Steps as the thread does, as long as the clock says."""
        end = self.clock.now + milliseconds
        while self.clock.now < end:
            wait = self.firing.step()
            self.clock.advance(max(1, min(wait, end - self.clock.now)))

    def metrics(self) -> dict[str, float]:
        """What is not zero, without the registration's name."""
        lines = [line.rpartition(" ") for line in self.meters.text().decode().splitlines() if not line.startswith("#")]
        rows = {re.sub(r',?registration="/guest/t"', "", name).replace("{}", ""): float(value) for name, _, value in lines}
        return {name.removeprefix("hort_provider_"): value for name, value in rows.items() if value and "_created" not in name}

    def ids(self) -> list[str]:
        return [str(fire["batch_id"]) for fire in self.whisk.fires]


def test_a_fire_carries_the_reference() -> None:
    bench = Bench()
    reference = bench.put()
    bench.run(10)
    (payload,) = bench.whisk.fires
    assert payload == {"batch_id": reference.batch_id, "count": 1, "bytes": payload["bytes"], "journal": reference.journal}
    assert bench.journal.activations == {reference.batch_id: "a" * 32}


def test_fires_are_spread_over_the_minute_and_never_more_than_the_budget() -> None:
    bench = Bench(max_fires_per_minute=20, max_unacked=1000, ack_deadline_s=600)
    for _ in range(100):
        bench.put()
    bench.run(180_000)
    minutes = [at // 60_000 for at in bench.whisk.at]
    assert max(minutes.count(minute) for minute in set(minutes)) <= 20
    gaps = [later - earlier for earlier, later in zip(bench.whisk.at, bench.whisk.at[1:], strict=False)]
    assert min(gaps) >= 2_900
    assert len(bench.whisk.fires) >= 55


def test_only_so_many_unfinished() -> None:
    bench = Bench(max_unacked=2, max_fires_per_minute=6000)
    references = [bench.put() for _ in range(5)]
    bench.run(2_000)
    assert len(bench.whisk.fires) == 2
    fired = set(bench.ids())
    bench.journal.ack(next(reference for reference in references if reference.batch_id in fired))
    bench.run(2_000)
    assert len(set(bench.ids())) == 3


def test_unfinished_is_fired_again_after_growing_deadlines() -> None:
    bench = Bench(ack_deadline_s=10)
    bench.put()
    bench.run(100_000)
    gaps = [later - earlier for earlier, later in zip(bench.whisk.at, bench.whisk.at[1:], strict=False)]
    assert [round(gap, -3) for gap in gaps] == [10_000, 20_000, 40_000]


def test_while_nothing_can_be_stored_the_same_few_batches_are_fired_again() -> None:
    bench = Bench(max_unacked=2, max_fires_per_minute=6000)
    references = [bench.put() for _ in range(10)]
    for _ in range(20):
        bench.run(1_000)
        for reference in references:
            if reference.batch_id in bench.ids():
                bench.journal.retry_at(reference, bench.clock.now + 100)
    assert len(bench.whisk.fires) > 20
    assert len(set(bench.ids())) == 2


def test_batches_that_never_end_give_way_to_others() -> None:
    bench = Bench(max_unacked=2, max_fires_per_minute=60, ack_deadline_s=30)
    for _ in range(4):
        bench.put()
    bench.run(GIVE_WAY_MS - 10_000)
    assert len(set(bench.ids())) == 2
    bench.run(20_000)
    assert len(set(bench.ids())) == 4
    stuck = Bench(max_unacked=2)
    stuck.put()
    stuck.run(GIVE_WAY_MS + 10_000)
    assert (stuck.gate.stuck, stuck.gate.in_flight) == (1, 0)
    assert stuck.gate.wait(stuck.clock.now + 60_000) == 0, "fresh batches are cut as early as ever"


def test_an_action_may_ask_for_it_sooner() -> None:
    bench = Bench(ack_deadline_s=100)
    reference = bench.put()
    bench.run(100)
    bench.journal.retry_at(reference, bench.clock.now + 2_000)
    bench.run(4_000)
    assert len(bench.whisk.fires) == 2


def test_stored_batches_are_not_fired_again() -> None:
    bench = Bench(ack_deadline_s=1)
    reference = bench.put()
    bench.run(100)
    bench.journal.ack(reference)
    bench.run(100_000)
    assert len(bench.whisk.fires) == 1


def test_held_batches_wait_and_do_not_count_as_tries() -> None:
    bench = Bench()
    bench.whisk.answers = [Outcome("held", 204)]
    bench.put()
    bench.run(10 * HOLD_MS)
    assert bool(bench.firing.held) is True
    assert 9 <= len(bench.whisk.fires) <= 11
    bench.whisk.answers = [ACCEPTED]
    bench.run(HOLD_MS + 100)
    assert bool(bench.firing.held) is False
    (entry,) = bench.journal.due(bench.journals[0], now=bench.clock.now + 10**7, limit=9)
    assert entry.attempts == 1


@pytest.mark.parametrize("journal_ms", [0, 3_000])
def test_throttled_waits_into_the_next_minute(journal_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    give_back = bench.journal.give_back

    def slow(*arguments: Any, **options: Any) -> None:
        give_back(*arguments, **options)
        bench.clock.advance(journal_ms)

    monkeypatch.setattr(bench.journal, "give_back", slow)
    bench.whisk.answers = [Outcome("busy", 429), ACCEPTED]
    bench.put()
    start = bench.clock.now
    bench.run(70_000)
    assert len(bench.whisk.at) == 2
    assert next_minute(start) <= bench.whisk.at[1] <= next_minute(start) + 1_000


def test_errors_back_off_and_keep_the_batch() -> None:
    bench = Bench(ack_deadline_s=100)
    bench.whisk.answers = [Outcome("busy", 503)] * 4 + [ACCEPTED]
    bench.put()
    bench.run(60_000)
    assert len(bench.whisk.fires) == 5
    assert bench.gate.batches == 1


def test_refused_switches_off_and_keeps_the_journal() -> None:
    bench = Bench()
    bench.whisk.answers = [Outcome("refused", 404, message="gone")]
    bench.put()
    bench.run(60_000)
    assert [outcome.status for outcome in bench.off] == [404]
    assert len(bench.whisk.fires) == 1
    assert bench.journal.size(bench.journals[0]) == 1


def test_a_refusal_that_redis_could_not_take_fires_no_more_and_is_told_again() -> None:
    bench = Bench(max_fires_per_minute=6000)
    bench.whisk.answers = [Outcome("refused", 401)]
    bench.put()
    bench.away = True
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            bench.run(1_000)
    assert (len(bench.whisk.fires), bench.gate.firing) == (1, False)
    bench.away = False
    bench.run(10_000)
    assert (len(bench.whisk.fires), [outcome.status for outcome in bench.off]) == (1, [401])


def test_a_refusal_of_the_key_that_was_replaced_meanwhile_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(max_fires_per_minute=6000)
    reference, fire = bench.put(), bench.whisk.fire
    bench.whisk.answers = [Outcome("refused", 401), ACCEPTED]

    def mended(target: Target, payload: dict[str, Any]) -> Outcome:
        if not bench.whisk.fires:
            bench.firing.take(Target("http://host", "/guest/t", "a:new"), bench.firing.config, firing=True)
        return fire(target, payload)

    monkeypatch.setattr(bench.whisk, "fire", mended)
    bench.run(1_000)
    assert (bench.off, bench.gate.firing) == ([], True)
    assert bench.ids() == [reference.batch_id] * 2


def test_inline_is_done_once_the_rules_have_started() -> None:
    bench = Bench(delivery="inline")
    bench.put(b'{"a": 1}')
    bench.run(1_000)
    (payload,) = bench.whisk.fires
    (row,) = payload["messages"]
    assert (row["topic"], row["payload"], row["encoding"]) == ("t/a", '{"a": 1}', "utf-8")
    assert "journal" not in payload, "the batch is gone when the actions run"
    assert bench.journal.size(bench.journals[0]) == 0


def test_inline_names_the_journal_where_the_sink_acknowledges() -> None:
    bench = Bench(delivery="inline", ack="sink")
    made = bench.put()
    bench.run(1_000)
    assert bench.whisk.fires[0]["journal"] == made.journal
    assert bench.journal.size(made.journal) == 1


def test_a_batch_whose_sink_acknowledges_is_not_done_with_its_start_after_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(delivery="inline", ack="sink", max_fires_per_minute=6000)
    reference, fire = bench.put(), bench.whisk.fire

    def updated(target: Target, payload: dict[str, Any]) -> Outcome:
        config = feed_options.parse({**bench.firing.config.as_params(), "ack": "started"})
        bench.firing.take(target, config, firing=True)
        return fire(target, payload)

    monkeypatch.setattr(bench.whisk, "fire", updated)
    bench.run(5_000)
    assert "journal" in bench.whisk.fires[0]
    assert bench.journal.load(reference) is not None, "the sink has not stored it"


def test_inline_is_fired_again_where_a_rule_failed() -> None:
    bench = Bench(delivery="inline")
    bench.whisk.rules = Started(known=True, errors=("guest/r: Too many requests in the last minute",))
    bench.put()
    bench.run(1_000)
    assert bench.journal.size(bench.journals[0]) == 1
    bench.whisk.rules = Started(known=True)
    bench.run(61_000)
    assert len(bench.whisk.fires) == 2
    assert bench.journal.size(bench.journals[0]) == 0


def test_an_unreadable_activation_is_given_up_after_some_fires() -> None:
    bench = Bench(delivery="inline", ack_deadline_s=30)
    bench.whisk.rules = Started(known=False)
    bench.put()
    bench.run(400_000)
    assert len(bench.whisk.fires) == UNREADABLE_ATTEMPTS
    assert bench.journal.size(bench.journals[0]) == 0


def under_way(bench: Bench, *, takes: int, seconds: int, every: int, beside: int = 0) -> int:
    """The most batches under way at once where each takes so long (ms) and a new one comes each `every` ms.

    `beside`: what one takes that was not alone; a new one waits for its fire outside the journal then, as the intake has it.
    """
    most, crowded, wanted = 0, set[str](), 0
    for _ in range(seconds * 10):
        wanted += bench.clock.now % every < 100
        if wanted and not (beside and bench.gate.wait(bench.clock.now)):
            wanted = 0
            bench.put()
        bench.run(100)
        there = [(at, fire) for at, fire in zip(bench.whisk.at, bench.whisk.fires, strict=True) if _there(bench, fire)]
        names = {fire["batch_id"] for _, fire in there}
        most = max(most, len(names))
        crowded |= names if len(names) > 1 else set()
        for at, fire in there:
            if bench.clock.now >= at + (beside if beside and fire["batch_id"] in crowded else takes):
                bench.journal.ack(Reference(fire["batch_id"], fire["journal"]))
    return most


def _there(bench: Bench, fire: dict[str, Any]) -> bool:
    return bench.journal.load(Reference(fire["batch_id"], fire["journal"])) is not None


def test_as_few_batches_are_under_way_as_keep_up() -> None:
    def bench() -> Bench:
        fresh = Bench(max_fires_per_minute=600, max_unacked=8)
        fresh.gate.unacked = FEW_UNACKED
        return fresh

    assert under_way(bench(), takes=400, seconds=60, every=1_400) == 1
    slow = bench()
    assert under_way(slow, takes=5_000, seconds=60, every=3_000) == FEW_UNACKED
    assert under_way(slow, takes=5_000, seconds=120, every=800) == 8, "what waits must go on"
    busy = bench()
    assert under_way(busy, takes=600, seconds=60, every=200) >= 4
    assert under_way(busy, takes=400, seconds=60, every=1_400) <= 4
    assert busy.gate.unacked == FEW_UNACKED, "what is not used is given up"


def test_batches_that_take_each_others_containers_go_one_at_a_time() -> None:
    bench = Bench(max_fires_per_minute=600, max_unacked=8)
    bench.gate.unacked = FEW_UNACKED
    for _ in range(FEW_UNACKED):
        bench.put()
        bench.run(2_000)
    assert under_way(bench, takes=400, beside=4_000, seconds=20, every=1_300) == FEW_UNACKED, "each takes the others' places"
    assert under_way(bench, takes=400, beside=4_000, seconds=60, every=1_300) == 1
    assert bench.journal.size(bench.journals[0]) <= 1, "nothing waits"


def test_a_batch_that_hangs_holds_up_no_other_one() -> None:
    bench = Bench(max_fires_per_minute=600, max_unacked=8)
    bench.gate.unacked = 1
    for _ in range(2):
        bench.put()
    bench.run(HANGS_MS - 1_000)
    assert len(bench.whisk.fires) == 1
    bench.run(2_000)
    assert len(bench.whisk.fires) == 2


def test_batches_that_are_late_halve_what_is_under_way() -> None:
    bench = Bench(max_fires_per_minute=600, max_unacked=8, ack_deadline_s=30)
    for _ in range(8):
        bench.put()
    bench.run(31_000)
    assert len(bench.whisk.fires) > 8, "fired again"
    assert bench.gate.unacked == 1
    failing = Bench(max_fires_per_minute=600, max_unacked=8, ack_deadline_s=30)
    failing.whisk.rules, failing.whisk.ended = Started(known=True, activations=("b" * 32,)), {"b" * 32: False}
    failing.put()
    failing.run(10_000)
    assert len(failing.whisk.fires) > 2
    assert failing.gate.unacked == 8, "a batch that failed says nothing of how many there may be"


THROTTLED = "guest/r: Too many requests in the last minute (count: 61, allowed: 60)."


def test_a_reference_whose_rule_was_refused_does_not_wait_for_its_deadline() -> None:
    bench = Bench(ack_deadline_s=600)
    bench.whisk.rules = Started(known=True, errors=(THROTTLED,))
    bench.put()
    start = bench.clock.now
    bench.run(next_minute(start) - start - 1)
    assert len(bench.whisk.fires) == 1, "the namespace's minute is used up"
    bench.whisk.rules = Started(known=True, activations=("b" * 32,))
    bench.run(2_000)
    assert len(bench.whisk.fires) == 2
    assert bench.metrics()['not_started_total{reason="throttled"}'] == 1
    bench.put()
    bench.run(300_000)
    assert len(bench.whisk.fires) == 3, "what began and has not ended is waited for"


def test_a_batch_whose_action_failed_is_fired_again_soon_then_ever_later() -> None:
    bench = Bench(ack_deadline_s=600, max_fires_per_minute=600)
    bench.whisk.rules = Started(known=True, activations=("b" * 32,))
    bench.whisk.ended = {"b" * 32: False}
    bench.put()
    bench.run(200_000)
    gaps = [later - earlier for earlier, later in zip(bench.whisk.at, bench.whisk.at[1:], strict=False)]
    for number, wait in enumerate((500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000)):
        assert wait <= gaps[number] <= wait + 1_000
    assert bench.metrics()["failed_total"] >= len(gaps)


@pytest.mark.parametrize("ended", [{}, {"b" * 32: True}, {"c" * 32: False}])
def test_a_batch_that_somebody_may_work_on_is_left_alone(ended: dict[str, bool]) -> None:
    bench = Bench(ack_deadline_s=600)
    bench.whisk.rules = Started(known=True, errors=(THROTTLED,), activations=("b" * 32, "c" * 32))
    bench.whisk.ended = ended
    bench.put()
    bench.run(500_000)
    assert len(bench.whisk.fires) == 1


def test_a_refused_rule_does_not_wait_for_its_deadline_where_what_others_started_has_ended() -> None:
    bench = Bench(ack_deadline_s=600)
    bench.whisk.rules = Started(known=True, errors=(THROTTLED,), activations=("b" * 32,))
    bench.whisk.ended = {"b" * 32: True}
    bench.put()
    bench.run(62_000)
    assert len(bench.whisk.fires) == 2
    assert bench.metrics()['not_started_total{reason="throttled"}'] >= 1


@pytest.mark.parametrize("error", ["Too many concurrent requests in flight (count: 31, allowed: 30).", "Too many requests"])
def test_too_many_in_flight_is_over_as_soon_as_something_ends(error: str) -> None:
    bench = Bench(ack_deadline_s=600)
    bench.whisk.rules = Started(known=True, errors=(f"guest/r: {error}",))
    bench.put()
    start = bench.clock.now
    bench.run(3_000)
    assert len(bench.whisk.fires) >= 2
    assert next_minute(start) - start > 3_000, "else this says nothing"
    assert bench.metrics()['not_started_total{reason="throttled"}'] >= 1


def test_an_action_that_failed_and_said_when_to_come_again_is_believed() -> None:
    bench = Bench(ack_deadline_s=600)
    bench.whisk.rules = Started(known=True, activations=("b" * 32,))
    bench.whisk.ended = {"b" * 32: False}
    reference = bench.put()
    bench.run(10)
    bench.journal.retry_at(reference, bench.clock.now + 100_000)
    bench.run(99_000)
    assert len(bench.whisk.fires) == 1
    bench.journal.ack(reference)
    bench.run(99_000)
    assert len(bench.whisk.fires) == 1


def test_records_that_come_slowly_do_not_hold_up_the_firing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(max_fires_per_minute=6000, max_unacked=1000, ack_deadline_s=600)
    bench.whisk.rules = Started(known=False)
    started, looks = bench.whisk.started, list[int]()

    def slow(target: Target, activation: str) -> Started:
        looks.append(bench.clock.now)
        bench.clock.advance(10_000)
        return started(target, activation)

    monkeypatch.setattr(bench.whisk, "started", slow)
    for _ in range(20):
        bench.put()
    bench.run(600_000)
    assert 1 <= len(looks) <= 7, "a tenth of the time at most"


def test_parts_go_by_reference() -> None:
    bench = Bench(delivery="inline", ack="sink")
    whole = bench.put()
    (entry,) = bench.journal.entries([whole])
    part = Reference(batch.part_id(whole.batch_id, entry.created_ms), whole.journal)
    bench.journal.split(whole, [Part(part, 1, raw=bench.journal.load(whole) or b"")], unless="ingested")
    bench.run(2_000)
    assert [set(fire) for fire in bench.whisk.fires] == [{"batch_id", "count", "bytes", "journal"}], "the messages bring their names"


def put_raw(bench: Bench, raw: bytes, *, count: int = 1) -> Reference:
    reference = Reference(batch.new_id(REGISTRATION, 0, bench.clock.now), bench.journals[0])
    bench.journal.put(reference, raw, trigger="/guest/t", count=count, now=bench.clock.now)
    return reference


@pytest.mark.parametrize("raw", [b"\xc1", batch.pack(Messages([], [0], [b""], [0], b"\1")), batch.pack(Messages([], [], [], [], b"\1"))])
def test_an_unreadable_batch_does_not_hold_up_an_inline_feed(raw: bytes) -> None:
    bench = Bench(delivery="inline", ack="sink", max_fires_per_minute=6000)
    bad = put_raw(bench, raw)
    bench.clock.advance(1)
    good = bench.put()
    bench.run(1_000)
    assert bench.whisk.fires[0] == {"batch_id": bad.batch_id, "count": 1, "bytes": len(raw), "journal": bad.journal}
    assert bench.ids() == [bad.batch_id, good.batch_id]
    (entry,) = bench.journal.entries([bad])
    assert entry.attempts == 1, "ingest counts its tries and buries it"


def test_an_unreadable_batch_of_a_foreign_trigger_comes_as_an_error() -> None:
    bench = Bench(delivery="inline")
    put_raw(bench, b"\xc1" * 300_000)
    bench.run(1_000)
    (row,) = bench.whisk.fires[0]["messages"]
    assert "batch of 300000 bytes cannot be read" in row["error"]
    assert bench.journal.size(bench.journals[0]) == 0
    messages = batch.inline_messages([row], now=0)
    assert list(messages.payloads) == [b"\xc1" * 262_144], "the suite's ingest makes a dead letter of it"


@pytest.mark.parametrize("payload", [b"x" * 500_000, b"\0" * 100_000])
@pytest.mark.parametrize("ack", ["sink", "started"])
def test_batches_cut_for_references_are_fired_by_reference_after_an_update_to_inline(ack: str, payload: bytes) -> None:
    bench = Bench(delivery="inline", ack=ack, max_fires_per_minute=6000)
    raw = batch.pack(Messages.of([Message("t/a", payload, bench.clock.now, 1)] * 2))
    large = put_raw(bench, raw, count=2)
    bench.run(1_000)
    assert bench.whisk.fires == [{"batch_id": large.batch_id, "count": 2, "bytes": len(raw), "journal": large.journal}]
    assert bench.journal.size(bench.journals[0]) == 1, "it is done when a sink says so"
    small = bench.put()
    bench.run(1_000)
    assert "messages" in bench.whisk.fires[1]
    assert bench.ids() == [large.batch_id, small.batch_id]


def test_one_message_that_is_too_large_comes_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(delivery="inline")
    bench.put(b"x" * 1_000_000)
    bench.run(1_000)
    assert bench.whisk.fires[0]["messages"][0]["error"] == "message of 1000000 bytes exceeds 900000"
    assert bench.metrics()['cut_total{reason="too-large"}'] == 1
    line = next(line for line in capsys.readouterr().err.splitlines() if '"cut"' in line)
    assert bench.ids()[0] in line


def test_in_an_outage_of_days_most_of_the_journal_is_never_fired() -> None:
    bench = Bench(max_fires_per_minute=6000, max_unacked=2)
    for _ in range(30):
        bench.put()
    for _ in range(12):
        bench.clock.advance(GIVE_WAY_MS)
        bench.run(1_000)
    assert len(set(bench.ids())) == MOST_UNFINISHED * 2
    for reference in [entry.reference for entry in bench.journal.due(bench.journals[0], now=10**15, limit=100)]:
        if reference.batch_id in bench.ids():
            bench.journal.ack(reference)
    before = set(bench.ids())
    bench.run(60_000)
    assert set(bench.ids()) - before, "and it goes on when they are stored"


def test_partitions_take_turns() -> None:
    bench = Bench(partitions=2, max_fires_per_minute=6000, max_unacked=100)
    for _ in range(3):
        bench.put(partition=0)
        bench.put(partition=1)
    bench.run(1_000)
    assert [batch_id.split("-")[1] for batch_id in bench.ids()] == ["0", "1", "0", "1", "0", "1"]
