"""The intake over an in-memory broker and journal: what is journalled when, and what is acknowledged when."""

import random
from collections import Counter

import pytest

from feeds.provider.intake import LONGEST_WAIT_MS, STALL_MS
from feeds.provider.link import CONNECT_RETRY_MS, SETTLE_MS, SUBSCRIBE_RETRY_MS
from feeds.provider.pace import Pace
from hort import batch, feed_options
from hort.errors import Fenced
from tests.support.intake import JOURNAL, Bench


def test_messages_become_a_batch_after_the_linger_and_are_acknowledged() -> None:
    bench = Bench()
    bench.broker.publish(b"a", b"b")
    bench.run(20)
    assert bench.batches() == []
    bench.run(200)
    assert bench.batches() == [[b"a", b"b"]]
    assert bench.broker.inflight == {}


def test_nothing_is_acknowledged_before_it_is_in_redis() -> None:
    bench = Bench()
    bench.run()
    bench.ledger.away = True
    bench.broker.publish(b"a")
    bench.run(2_000)
    assert bench.broker.acked == []
    bench.ledger.away = False
    bench.run(10_000)
    assert bench.payloads() == [b"a"]
    assert bench.broker.inflight == {}


def test_a_full_batch_does_not_wait_for_the_linger() -> None:
    bench = Bench({"max_records": 3, "linger_ms": 60_000})
    bench.broker.publish(*(b"%d" % number for number in range(7)))
    bench.run(20)
    assert bench.batches() == [[b"0", b"1", b"2"], [b"3", b"4", b"5"]]


def test_bytes_make_a_batch_full() -> None:
    bench = Bench({"max_bytes": 1_000, "linger_ms": 60_000})
    bench.broker.publish(*(b"x" * 400 for _ in range(5)))
    bench.run(20)
    assert [len(payloads) for payloads in bench.batches()] == [2, 2]


def test_a_batch_waits_while_nothing_can_be_fired() -> None:
    bench = Bench()
    bench.gate.firing = False
    bench.broker.publish(b"a")
    bench.run(1_000)
    assert bench.batches() == []
    assert bench.broker.inflight == {}, "but it is spooled, so the broker has its ack"
    assert len(bench.ledger.spooled) == 1
    bench.gate.firing = True
    bench.run(100)
    assert bench.batches() == [[b"a"]]
    assert bench.ledger.spooled == []


def test_a_small_window_does_not_hold_the_stream() -> None:
    bench = Bench({"linger_ms": 10_000}, window=20)
    bench.broker.publish(*(b"%d" % number for number in range(200)))
    bench.run(40 * STALL_MS)
    assert not bench.broker.queue
    assert len(bench.broker.acked) == 200
    assert bench.batches() == []
    bench.run(10_000)
    assert [len(payloads) for payloads in bench.batches()] == [200]


def test_spooled_messages_survive_a_crash() -> None:
    bench = Bench({"linger_ms": 60_000})
    bench.broker.publish(b"a", b"b")
    bench.run(4 * STALL_MS)
    assert bench.broker.inflight == {}
    bench.restart()
    bench.run(20)
    assert bench.batches() == [[b"a", b"b"]]


def test_what_stays_behind_a_cut_stays_in_the_spool() -> None:
    bench = Bench({"delivery": "inline", "max_bytes": 20_000})
    zeros = [bytes([0]) * 2_000 + b"%d" % number for number in range(3)]  # six bytes of JSON each
    bench.gate.firing = False
    bench.broker.publish(*zeros)
    bench.run(300)
    assert bench.broker.inflight == {}
    bench.gate.firing = True
    bench.intake.step()
    assert bench.batches() == [zeros[:1]]
    bench.restart()
    bench.run(300)
    assert sorted(bench.payloads()) == zeros


def test_a_repetition_after_a_crash_is_acknowledged_and_not_journalled_again() -> None:
    bench = Bench()
    bench.run()
    bench.connection.mute = True
    bench.broker.publish(b"a", b"b")
    bench.run(300)
    assert bench.payloads() == [b"a", b"b"]
    assert len(bench.broker.inflight) == 2
    bench.restart()
    bench.broker.publish(b"c")
    bench.run(300)
    assert sorted(bench.payloads()) == [b"a", b"b", b"c"]
    assert bench.broker.inflight == {}


def test_a_new_message_under_a_known_packet_id_is_no_repetition() -> None:
    bench = Bench()
    bench.run()
    bench.connection.mute = True
    bench.broker.publish(b"a")
    bench.run(300)
    (mid,) = bench.broker.inflight
    bench.broker.inflight[mid].payload = b"another"
    bench.restart()
    bench.run(300)
    assert sorted(bench.payloads()) == [b"a", b"another"]


def test_packet_ids_are_forgotten_once_the_broker_has_seen_the_acks() -> None:
    bench = Bench()
    bench.broker.publish(b"a")
    bench.run(3_000)
    assert bench.ledger.unacked == {}


def test_packet_ids_of_a_lost_session_are_forgotten() -> None:
    bench = Bench()
    bench.run()
    bench.connection.mute = True
    bench.broker.publish(b"a")
    bench.run(300)
    bench.broker.session, bench.broker.inflight = False, {}
    bench.broker.drop()
    bench.run(CONNECT_RETRY_MS[0] * 8)
    assert bench.ledger.unacked == {}
    assert len(bench.broker.subscriptions) == 2


def test_a_kept_session_is_not_subscribed_again() -> None:
    bench = Bench()
    bench.run(SETTLE_MS)
    bench.broker.drop()
    bench.run(CONNECT_RETRY_MS[0] * 8)
    bench.restart()
    bench.run(100)
    assert bench.broker.subscriptions == [(("t/#",), 1)]


def test_changed_topics_are_subscribed_on_the_live_connection() -> None:
    bench = Bench()
    bench.run(20)
    bench.intake.update(feed_options.parse({"url": "mqtt://broker", "topics": ["t/#", "u"]}))
    bench.intake.update(feed_options.parse({"url": "mqtt://broker", "topics": ["u"]}))
    assert bench.broker.subscriptions == [(("t/#",), 1), (("u",), 1), (("t/#",), -1)]


def updated(bench: Bench, *topics: str, **options: object) -> None:
    bench.intake.update(feed_options.parse({"url": "mqtt://broker", "topics": list(topics), **options}))


def test_only_refused_filters_are_asked_again() -> None:
    bench = Bench({"topics": ["t/#", "secret", "u"]})
    bench.broker.forbidden = {"secret"}
    bench.run(60_000, step_ms=100)
    first, *more = bench.broker.subscriptions
    assert first == (("t/#", "secret", "u"), 1)
    assert more
    assert set(more) == {(("secret",), 1)}, "what is retained under the granted ones would come each time"
    assert bench.intake.link.refused == "subscription refused: secret: Not authorized"
    bench.restart()
    bench.run(100)
    assert bench.broker.subscriptions == [first, *more, (("secret",), 1)], "another provider knows what was granted"


def test_a_changed_quality_of_service_asks_for_all_filters() -> None:
    bench = Bench()
    bench.run(20)
    updated(bench, "t/#", "u")
    updated(bench, "t/#", "u", qos=2)
    assert bench.broker.subscriptions[1:] == [(("u",), 1), (("t/#", "u"), 2)]


def test_by_another_url_the_session_is_known_and_its_subscriptions_are_made_sure_of() -> None:
    bench = Bench()
    bench.run(SETTLE_MS)
    bench.connection.mute = True
    bench.broker.publish(b"a")
    bench.run(300)
    assert bench.broker.inflight
    bench.options["url"] = "mqtt://broker:1884"
    bench.restart()
    bench.run(3_000)
    assert bench.payloads() == [b"a"], "what came again was recognised"
    assert bench.broker.subscriptions == [(("t/#",), 1)] * 2, "it may be another broker of that host"


def test_many_short_connections_do_not_subscribe_again_for_ever() -> None:
    bench = Bench()
    bench.run(SETTLE_MS)
    updated(bench, "t/#", "u")
    for _ in range(20):
        bench.run(SETTLE_MS // 2)
        bench.broker.drop()
    assert bench.broker.subscriptions[1:] == [(("u",), 1), (("u",), 1)]


def test_a_broker_killed_right_after_the_first_subscription_is_asked_again() -> None:
    bench = Bench()
    bench.run(100)
    bench.broker.drop()
    bench.run(60_000, step_ms=100)
    assert bench.broker.subscriptions == [(("t/#",), 1)] * 2, "its session may be of before the subscription"


def test_it_is_subscribed_while_the_broker_has_granted_every_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({"topics": ["t/#", "u"]})
    seen = []

    def look(*_: object) -> None:
        seen.append((bench.intake.connected, bench.intake.link.complete))

    monkeypatch.setattr(bench.connection, "subscribe", look)
    bench.run(20)
    assert seen == [(True, False)], "asked for is not granted"
    monkeypatch.undo()
    bench.broker.forbidden = {"u"}
    bench.broker.drop()
    bench.run(CONNECT_RETRY_MS[0] * 8)
    assert (bench.intake.connected, bench.intake.link.complete) == (True, False), "granted in part"
    bench.broker.forbidden = set()
    bench.run(SUBSCRIBE_RETRY_MS[0] * 4, step_ms=100)
    assert bench.intake.link.complete
    bench.broker.drop()
    bench.intake.step()
    assert (bench.intake.connected, bench.intake.link.complete) == (False, False)


def test_what_a_lost_connection_left_unanswered_is_asked_again_or_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.run(SETTLE_MS)
    monkeypatch.setattr(bench.connection, "subscribe", lambda _topics, _qos: None)
    updated(bench, "t/#", "u", "v")
    monkeypatch.undo()
    bench.broker.drop()
    bench.run()
    updated(bench, "t/#", "v")
    bench.run(CONNECT_RETRY_MS[0] * 8)
    assert bench.broker.subscriptions[1:] == [(("u",), -1), (("v",), 1)]


def test_a_change_of_topics_is_made_again_where_the_broker_may_have_forgotten_it() -> None:
    bench = Bench()
    bench.run(20)
    bench.intake.update(feed_options.parse({"url": "mqtt://broker", "topics": ["u"]}))
    changes = [(("t/#",), -1), (("u",), 1)]
    assert bench.broker.subscriptions == [(("t/#",), 1), *changes]
    bench.broker.drop()
    bench.run(CONNECT_RETRY_MS[0] * 8)
    assert bench.broker.subscriptions == [(("t/#",), 1), *changes, *changes], "as in a session of before"
    bench.run(SETTLE_MS)
    bench.broker.drop()
    bench.run(CONNECT_RETRY_MS[0] * 8)
    assert bench.broker.subscriptions == [(("t/#",), 1), *changes, *changes]


def test_a_new_connection_waits_until_the_old_one_is_journalled() -> None:
    bench = Bench()
    bench.run()
    bench.broker.publish(b"a")
    bench.intake.step()
    bench.ledger.away = True
    bench.broker.drop()
    bench.run(60_000, step_ms=100)
    assert bench.broker.connected is False
    bench.ledger.away = False
    bench.run(60_000, step_ms=100)
    assert bench.intake.connected
    assert bench.payloads() == [b"a"]


def test_a_broker_that_is_down_is_tried_again() -> None:
    bench = Bench()
    bench.broker.up = False
    bench.run(5_000)
    assert "cannot connect" in bench.intake.link.problem
    bench.broker.up = True
    bench.run(60_000, step_ms=100)
    assert bench.intake.connected
    assert bench.intake.link.problem == ""


def test_a_full_journal_stops_the_reading() -> None:
    bench = Bench({"max_journal_batches": 2, "max_records": 2, "linger_ms": 0})
    bench.intake.step()
    bench.broker.publish(*(b"%d" % number for number in range(20)))
    bench.broker.window = 2
    for _ in range(50):
        bench.intake.step()
        bench.clock.advance(10)
    assert len(bench.batches()) == 2
    assert len(bench.broker.queue) > 10
    bench.run(10_000)
    assert sorted(bench.payloads()) == sorted(b"%d" % number for number in range(20))


def test_a_newer_owner_fences_this_one() -> None:
    bench = Bench()
    bench.run()
    bench.ledger.fence[0] += 1
    bench.broker.publish(b"a")
    with pytest.raises(Fenced):
        bench.run(300)
    assert bench.broker.acked == []


def test_stop_journals_what_is_in_memory() -> None:
    bench = Bench({"linger_ms": 60_000})
    bench.run()
    bench.broker.publish(b"a")
    bench.intake.step()
    bench.intake.stop(flush=True)
    assert bench.payloads() == [b"a"]
    assert bench.broker.inflight == {}


@pytest.mark.parametrize("seed", range(20))
def test_exactly_once_whatever_happens(seed: int) -> None:
    random.seed(seed)
    bench = Bench({"max_records": 50}, window=random.choice([5, 20, 65_535]))
    sent: list[bytes] = []
    for _ in range(60):
        fresh = [b"%d" % (len(sent) + number) for number in range(random.randint(0, 30))]
        sent += fresh
        bench.broker.publish(*fresh, qos=random.choice([1, 1, 2]))
        event = random.choice(["", "", "crash", "cut", "redis", "mute", "unmute"])
        if event == "crash":
            bench.ledger.away = False
            bench.restart()
        elif event == "cut":
            bench.broker.drop()
        elif event == "redis":
            bench.ledger.away = not bench.ledger.away
        else:
            bench.connection.mute = event == "mute"
        bench.run(random.randint(0, 400))
    bench.ledger.away, bench.connection.mute = False, False
    bench.broker.drop()
    bench.run(60_000, step_ms=50)
    counts = Counter(bench.payloads())
    assert set(counts) == set(sent)
    assert [payload for payload, count in counts.items() if count > 1] == []


def created(bench: Bench) -> list[int]:
    due = bench.journal.due(JOURNAL, now=bench.clock.now + 10**9, limit=1000)
    return sorted(entry.created_ms for entry in due)


def test_messages_that_cannot_be_fired_are_journalled_in_time() -> None:
    bench = Bench()
    bench.run()
    bench.gate.firing = False
    bench.broker.publish(b"a")
    bench.run(LONGEST_WAIT_MS - 1_000, step_ms=100)
    assert bench.batches() == []
    bench.run(2_000, step_ms=100)
    assert bench.batches() == [[b"a"]]


def test_a_budget_of_few_fires_makes_no_more_batches_than_it_can_fire() -> None:
    bench = Bench()
    bench.run()
    bench.gate.pace = Pace(1)
    bench.gate.pace.count(bench.clock.now)
    bench.broker.publish(b"a")
    bench.run(59_000, step_ms=100)
    assert bench.batches() == []
    bench.run(3_000, step_ms=100)
    assert bench.batches() == [[b"a"]]


def test_a_batch_is_as_old_as_its_newest_message_however_long_redis_was_away() -> None:
    bench = Bench()
    bench.run()
    bench.broker.publish(b"a")
    bench.run()
    arrived = bench.clock.now
    bench.ledger.away = True
    bench.run(600_000, step_ms=1_000)
    bench.ledger.away = False
    bench.run(20_000, step_ms=1_000)
    assert bench.payloads() == [b"a"]
    assert abs(created(bench)[0] - arrived) <= 10


def test_recovered_messages_are_as_old_as_they_were() -> None:
    bench = Bench({"linger_ms": 60_000})
    bench.broker.publish(b"a")
    bench.run(STALL_MS * 4)
    arrived = bench.clock.now
    assert len(bench.ledger.spooled) == 1
    bench.clock.advance(600_000)
    bench.restart()
    bench.run(100)
    assert bench.payloads() == [b"a"]
    assert arrived - STALL_MS * 5 <= created(bench)[0] <= arrived


def test_a_refused_subscription_is_tried_again_with_growing_pauses() -> None:
    bench = Bench()
    bench.broker.refuses = True
    bench.run(600_000, step_ms=500)
    tries = len(bench.broker.subscriptions)
    assert 5 <= tries <= 12
    assert bench.intake.connected
    assert bench.intake.link.problem == bench.intake.link.refused == "subscription refused: t/#: Not authorized"
    bench.broker.refuses = False
    bench.run(SUBSCRIBE_RETRY_MS[1], step_ms=500)
    assert len(bench.broker.subscriptions) == tries + 1
    assert bench.intake.link.problem == ""
    bench.run(SUBSCRIBE_RETRY_MS[1], step_ms=500)
    assert len(bench.broker.subscriptions) == tries + 1


def test_topics_that_were_refused_are_given_up_with_an_update() -> None:
    bench = Bench()
    bench.run(100)
    bench.broker.refuses = True
    bench.intake.update(feed_options.parse({"url": "mqtt://broker", "topics": ["t/#", "secret"]}))
    bench.run(100)
    bench.broker.refuses = False
    bench.intake.update(feed_options.parse({"url": "mqtt://broker", "topics": ["t/#"]}))
    assert bench.broker.subscriptions[1:] == [(("secret",), 1), (("secret",), -1)]
    assert bench.intake.link.problem == ""


def test_a_spool_that_cannot_be_read_becomes_a_batch_that_ingest_will_bury() -> None:
    bench = Bench({"linger_ms": 60_000})
    bench.broker.publish(b"a")
    bench.run(STALL_MS * 4)
    odd = batch.pack(batch.Messages([], [0], [b""], [0], b"\0"))
    bench.ledger.spooled += [b"\xc1", odd]
    bench.restart()
    bench.run(100)
    due = bench.journal.due(JOURNAL, now=bench.clock.now, limit=9)
    raws = [bench.journal.load(entry.reference) for entry in due]
    assert sorted(map(bool, (raw == b"\xc1" + odd for raw in raws))) == [False, True]
    assert [payload for raw in raws if raw and raw[:1] != b"\xc1" for payload in batch.unpack(raw).payloads] == [b"a"]
    assert bench.ledger.spooled == []


def test_a_large_spool_becomes_batches_within_the_limits() -> None:
    bench = Bench({"linger_ms": 60_000, "delivery": "inline"})
    bench.gate.firing = False
    for _ in range(3):
        bench.broker.publish(b"x" * 200_000)
        bench.run(STALL_MS * 4)
    assert len(bench.ledger.spooled) == 3
    bench.options["max_bytes"] = 500_000
    bench.restart()
    bench.run(100)
    assert sorted(len(payloads) for payloads in bench.batches()) == [1, 2]


def test_an_opening_that_failed_half_way_doubles_nothing() -> None:
    bench = Bench({"linger_ms": 60_000})
    bench.broker.publish(b"a")
    bench.run(STALL_MS * 4)
    bench.restart()
    bench.intake.open()
    bench.run(100)
    assert bench.payloads() == [b"a"]
