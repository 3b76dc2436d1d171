"""A registration's threads over in-memory twins: nothing that an earlier owner left ends them."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from feeds.provider.meters import Meters
from feeds.provider.registrations import Registration
from feeds.provider.runner import Runner
from feeds.provider.testing import MemoryLedger, MemorySubscriptions, MemoryWhisk
from feeds.provider.testing_broker import MemoryBroker
from feeds.provider.whisk import Outcome, Target
from hort import batch, clock, feed_options, keys
from hort.journal import Usage
from hort.testing import MemoryJournal
from tests.support.polling import wait_until

NAME = "0123456789abcdef"


class Bench:
    def __init__(self) -> None:
        self.journal, self.whisk, self.meters = MemoryJournal(), MemoryWhisk(), Meters()
        self.ledger = MemoryLedger(self.journal)
        self.off: list[tuple[int, int]] = []
        config = feed_options.parse({"url": "mqtt://broker", "linger_ms": 0, "max_fires_per_minute": 6000})
        self.runner = Runner(
            Registration(NAME, Target("http://host", "/guest/t", "a:b"), "client", config, 0),
            ledgers=[self.ledger],
            subscriptions=MemorySubscriptions(),
            journal=self.journal,
            whisk=self.whisk,
            connect=MemoryBroker().connect,
            clock=clock.now_ms,
            steady=clock.Steady(),
            meters=self.meters,
            switch_off=lambda registration, outcome: self.off.append((registration.generation, outcome.status)),
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.runner.stop()


def test_an_unreadable_spool_ends_no_thread(bench: Bench) -> None:
    bench.ledger.spooled.append(b"\xc1")
    bench.runner.start()
    wait_until(lambda: bench.runner.intake.connected and bench.whisk.fires, what="connected, and the odd piece fired")
    assert bench.runner.alive
    assert bench.journal.size(keys.journal(0, NAME)) == 1


def test_what_nobody_foresaw_at_the_opening_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feeds.provider.runner.FAILURE_PAUSE_S", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(bench.runner.intake, "open", lambda: 1 / 0)
        bench.runner.start()
        wait_until(lambda: b'part="open"' in bench.meters.text(), what="counted")
        assert bench.runner.alive
    wait_until(lambda: bench.runner.intake.connected, what="connected")


def test_nothing_is_taken_in_before_it_is_known_how_full_the_journal_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    dialled, usage, dial = threading.Event(), bench.journal.usage, bench.runner.intake.link.dial

    def look(journal: str, *, now: int) -> Usage:
        dialled.wait(0.3)
        events.append("looked")
        return usage(journal, now=now)

    def note(now: int) -> None:
        events.append("dialled")
        dialled.set()
        dial(now)

    monkeypatch.setattr(bench.journal, "usage", look)
    monkeypatch.setattr(bench.runner.intake.link, "dial", note)
    bench.runner.start()
    wait_until(lambda: bench.runner.intake.connected, what="connected")
    assert events[0] == "looked"


def refused(bench: Bench, *, taken: Registration | None = None) -> None:
    """Fires a batch, which is refused once; where a registration is `taken`, that happens while the fire is answered."""
    fire = bench.whisk.fire

    def answer(target: Target, payload: dict[str, Any]) -> Outcome:
        if taken is not None and bench.runner.registration is not taken:
            bench.runner.take(taken)
        return fire(target, payload)

    bench.whisk.answers = [Outcome("refused", 401), Outcome("accepted", 202, activation="a" * 32)]
    bench.whisk.fire = answer  # type: ignore[method-assign]
    bench.ledger.spooled.append(batch.pack(batch.Messages.of([batch.Message("t/a", b"1", 1, 1)])))
    bench.runner.start()


def test_a_refusal_switches_off_the_registration_that_fired(bench: Bench) -> None:
    refused(bench)
    wait_until(lambda: bench.off, what="switched off")
    assert (bench.off, bench.runner.gate.firing) == ([(bench.runner.registration.generation, 401)], False)


def test_a_late_refusal_of_the_old_key_leaves_a_mended_feed_on(bench: Bench) -> None:
    old = bench.runner.registration
    mended = replace(old, target=Target("http://host", "/guest/t", "a:new"), generation=old.generation + 1)
    refused(bench, taken=mended)
    wait_until(lambda: len(bench.whisk.fires) == 2, what="fired with the new key")
    assert (bench.off, bench.runner.gate.firing) == ([], True)


def test_what_the_intake_has_not_yet_taken_over_is_not_told_as_subscribed(bench: Bench) -> None:
    bench.runner.start()
    wait_until(lambda: bench.runner.facts()["subscribed"], what="subscribed")
    old = bench.runner.registration
    held = threading.Event()
    update = bench.runner.intake.update

    def wait_then_update(config: feed_options.FeedConfig) -> None:
        held.wait(60)
        update(config)

    bench.runner.intake.update = wait_then_update  # type: ignore[method-assign]
    bench.runner.take(replace(old, generation=old.generation + 1))
    assert bench.runner.facts()["generation"] == old.generation
    held.set()
    wait_until(lambda: bench.runner.facts()["generation"] == old.generation + 1, what="taken over")
    assert bench.runner.facts()["subscribed"] is True
