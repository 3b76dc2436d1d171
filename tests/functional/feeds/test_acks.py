"""What the broker is told and may repeat: over connections that break under an ack, sessions that begin, and owners that were replaced."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest

from feeds.provider.intake import TIDY_EVERY_MS
from feeds.provider.link import CONNECT_RETRY_MS
from hort.errors import Fenced
from tests.support.intake import Bench


def until(bench: Bench, check: Callable[[], object]) -> None:
    for _ in range(1_000):
        if check():
            return
        bench.run(0)
    raise AssertionError("it did not come to that")


def break_under_the_next_ack(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    """As paho does it: the call that sends the ack finds the socket broken and tells that before it returns."""
    connection = bench.connection
    ack = connection.ack

    def broken(qos: int, _mids: array[int]) -> int:
        patch.undo()
        number = ack(qos, array("H"))
        bench.broker.drop()
        connection.cut = False
        bench.intake.link.lost("broken pipe")
        return number

    patch.setattr(connection, "ack", broken)


def connect_and_read_nothing(bench: Bench) -> None:
    """The next connection is accepted and its pings are answered, but the journal is full."""
    until(bench, lambda: bench.intake.link.active)
    bench.gate.max_batches = 0
    bench.run(2 * TIDY_EVERY_MS)
    assert bench.intake.connected


def test_an_ack_that_broke_its_connection_is_not_confirmed_over_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({"linger_ms": 0})
    bench.run(10)
    break_under_the_next_ack(bench, monkeypatch)
    bench.broker.publish(b"a")
    until(bench, lambda: not bench.intake.connected)
    connect_and_read_nothing(bench)
    assert len(bench.ledger.unacked) == 1, "the broker has not seen its ack"
    bench.restart()
    bench.run(1_000)
    assert (bench.payloads(), bench.broker.inflight) == ([b"a"], {})


def test_nor_is_what_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench({"linger_ms": 0})
    bench.run(10)
    bench.connection.mute = True
    bench.broker.publish(b"a")
    bench.run(10)
    bench.broker.drop()
    bench.connection.mute = False
    bench.broker.publish(b"b")
    break_under_the_next_ack(bench, monkeypatch)
    until(bench, lambda: bench.intake.link.generation == 2 and not bench.intake.connected)
    connect_and_read_nothing(bench)
    assert len(bench.ledger.unacked) == 2
    bench.restart()
    bench.run(1_000)
    assert (sorted(bench.payloads()), bench.broker.inflight) == ([b"a", b"b"], {})


class Killed(BaseException):
    """The process ends here."""


def moved(bench: Bench) -> None:
    """The feed goes to another broker, which knows its client id too; the messages in the old session are given up."""
    bench.options["url"] = "mqtt://elsewhere"
    bench.broker.inflight.clear()
    bench.broker.queue.clear()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_provider_killed_in_its_first_step_of_a_session_doubles_nothing(
    monkeypatch: pytest.MonkeyPatch, *, elsewhere: bool
) -> None:
    def killed(_qos: int, _mids: array[int]) -> int:
        raise Killed

    bench = Bench({"linger_ms": 0})
    if elsewhere:
        bench.run(2 * TIDY_EVERY_MS)
        moved(bench)
        bench.restart()
    bench.broker.session = True
    bench.broker.publish(b"a")
    monkeypatch.setattr(bench.connection, "ack", killed)
    with pytest.raises(Killed):
        bench.run(10)
    assert (bench.payloads(), len(bench.broker.inflight)) == ([b"a"], 1)
    bench.restart()
    bench.run(1_000)
    assert (bench.payloads(), bench.broker.inflight) == ([b"a"], {})


def test_packet_ids_of_another_session_are_not_taken_for_its_own() -> None:
    bench = Bench({"linger_ms": 0})
    bench.run(2 * TIDY_EVERY_MS)
    bench.connection.mute = True
    bench.broker.publish(b"a")
    bench.run(100)
    assert len(bench.ledger.unacked) == 1
    moved(bench)
    bench.broker.publish(b"a")
    ((_, message),) = bench.broker.send()
    bench.broker.inflight = {1: message}  # sent over there before, under the same id
    bench.restart()
    bench.run(1_000)
    assert bench.payloads() == [b"a", b"a"]


def test_an_owner_that_was_replaced_does_not_take_the_session_back() -> None:
    bench = Bench()
    bench.run(10)
    bench.ledger.fence[0] += 1  # another one has begun, and its CONNECT ends this one's connection
    bench.broker.drop()
    with pytest.raises(Fenced):
        bench.run(CONNECT_RETRY_MS[1])
    assert not bench.broker.connected


def test_an_owner_that_cannot_know_whether_it_was_replaced_waits_and_connects_soon_after() -> None:
    bench = Bench()
    bench.run(10)
    bench.ledger.away = True
    bench.broker.drop()
    bench.run(600_000, step_ms=100)
    assert not bench.broker.connected
    bench.ledger.away = False
    bench.run(TIDY_EVERY_MS)
    assert bench.intake.connected
