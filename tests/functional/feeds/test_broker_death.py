"""A broker that is killed comes back as it was at its last save: what is taken for a repetition then, and what never is.

All payloads differ. Where they are twins their digests are equal, as if each device repeated itself: only numbers and order can tell
messages apart then, and faults have to come one by one. For what the provider journalled and the broker did not confirm in the moment
of its death cannot be told from what the broker, rolled back, sent under the same number, if that was cut off before it was read.
"""

from collections import Counter
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds.provider.columns import digest
from feeds.provider.kept import KEPT_IDS, KEPT_MS
from feeds.provider.link import CONNECT_RETRY_MS
from feeds.provider.numbering import PROOFS
from tests.support.fuzz import examples
from tests.support.intake import Bench

TOPIC = b"t/a"
TARGET = 0x12345678
_TABLE = [crc32(bytes([at]), 0xFFFFFFFF) ^ 0xFFFFFFFF for at in range(256)]
_BY_TOP = {value >> 24: at for at, value in enumerate(_TABLE)}
RECONNECTED_MS = CONNECT_RETRY_MS[0] * 4

steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 6)),
        st.tuples(st.just("run"), st.sampled_from([0, 30, 300, 2_000])),
        st.sampled_from([(name, 0) for name in ("save", "save_in_flight", "die", "die-both", "crash", "cut", "lose")]),
    ),
    max_size=15,
)
FAULTS = ("die", "die-both", "crash", "cut", "lose")
model = settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def twin(number: int) -> bytes:
    """A payload of its own with the digest that all have: four bytes behind it turn the checksum (CRC-32 is linear)."""
    prefix = b"%06d " % number
    state = TARGET ^ 0xFFFFFFFF
    for _ in range(4):
        at = _BY_TOP[state >> 24]
        state = (state ^ _TABLE[at]) << 8 & 0xFFFFFFFF | at
    return prefix + (state ^ crc32(prefix, crc32(TOPIC)) ^ 0xFFFFFFFF).to_bytes(4, "little")


class Model:
    """A bench, what was published, and what the broker need not have any more or may send as new."""

    def __init__(self, *, lowest_free: bool, window: int, twins: bool) -> None:
        self.twins = twins
        self.bench = Bench(window=window, lowest_free=lowest_free)
        self.broker = self.bench.broker
        self.sent: list[bytes] = []
        self.gone: set[bytes] = set()
        self.queued: set[bytes] = set()
        for _ in range(PROOFS + 2):
            self.publish(1)
            self.settle()
        self.save()

    def publish(self, count: int) -> None:
        numbers = range(len(self.sent), len(self.sent) + count)
        fresh = [twin(number) if self.twins else b"%d" % number for number in numbers]
        self.sent += fresh
        self.broker.publish(*fresh, topic=TOPIC)

    def settle(self) -> None:
        """Until the broker has seen all acks, and the ledger knows it."""
        self.bench.run(2_000, step_ms=50)

    def save(self) -> None:
        self.queued = {payload for _, _, payload, _ in self.broker.queue}
        self.broker.save()

    def save_in_flight(self) -> None:
        """Saves while messages are sent and not acknowledged."""
        self.publish(3)
        self.bench.run(0)
        self.save()

    def die(self) -> None:
        had = self._held()
        self.broker.die()
        self.gone |= had - self._held()

    def lose(self) -> None:
        """Messages are sent and the connection breaks before they are read."""
        if self.broker.connected:
            self.publish(3)
            self.broker.send()
            self.broker.drop()

    def do(self, name: str, value: int) -> None:
        match name:
            case "publish":
                self.publish(value)
            case "run":
                self.bench.run(value)
            case "cut":
                self.broker.drop()
            case "crash":
                self.bench.restart()
            case "die-both":
                self.die()
                self.bench.restart()
            case _:
                getattr(self, name)()

    def end(self) -> Counter[bytes]:
        """How often each message was journalled in the end."""
        self.broker.drop()
        self.bench.run(RECONNECTED_MS * 10, step_ms=50)
        assert not self.broker.queue
        assert not self.broker.inflight
        return Counter(self.bench.payloads())

    def _held(self) -> set[bytes]:
        queue = {payload for _, _, payload, _ in self.broker.queue}
        return queue | {message.payload for message in self.broker.inflight.values()}


def test_twins_have_one_digest() -> None:
    assert {digest(TOPIC, twin(number)) for number in range(100)} == {TARGET}


@pytest.mark.slow(20)
@model
@given(steps=steps, window=st.sampled_from([3, 65_535]), lowest_free=st.booleans())
def test_no_new_message_is_swallowed_where_faults_come_one_by_one(
    steps: list[tuple[str, int]], window: int, lowest_free: bool
) -> None:
    model = Model(lowest_free=lowest_free, window=window, twins=True)
    for name, value in steps:
        if name in FAULTS:
            model.settle()
        model.do(name, value)
    counts = model.end()
    assert set(model.sent) - model.gone <= set(counts)


@pytest.mark.slow(25)
@model
@given(steps=steps, window=st.sampled_from([3, 65_535]), lowest_free=st.booleans())
def test_no_new_message_is_swallowed_where_payloads_differ(
    steps: list[tuple[str, int]], window: int, lowest_free: bool
) -> None:
    model = Model(lowest_free=lowest_free, window=window, twins=False)
    for name, value in steps:
        model.do(name, value)
    counts = model.end()
    assert set(model.sent) - model.gone <= set(counts)


@pytest.mark.slow(25)
@model
@given(steps=steps, window=st.sampled_from([3, 65_535]))
def test_what_was_in_flight_when_the_broker_saved_is_not_doubled(steps: list[tuple[str, int]], window: int) -> None:
    """Where the first connection after a fault stands until a new message comes over it."""
    model = Model(lowest_free=False, window=window, twins=True)
    came_as_new: set[bytes] = set()
    for name, value in steps:
        if name == "lose":
            continue
        if name in FAULTS:
            model.settle()
            came_as_new |= model.queued
        model.do(name, value)
        if name in FAULTS:
            model.bench.run(RECONNECTED_MS)
            model.publish(1)
            model.settle()
    counts = model.end()
    assert {payload for payload, count in counts.items() if count > 1} <= came_as_new


def rolled_back() -> Model:
    """Three messages were in flight at the save, and long acknowledged when the broker was killed."""
    model = Model(lowest_free=False, window=65_535, twins=True)
    model.save_in_flight()
    model.settle()
    return model


def test_repetitions_of_what_was_long_acknowledged_are_recognised_by_the_next_provider_too() -> None:
    for fault in ("die", "die-both"):
        model = rolled_back()
        model.do(fault, 0)
        model.settle()
        assert max(model.end().values()) == 1


def test_ids_are_kept_for_a_limited_time_and_number() -> None:
    model = rolled_back()
    assert any(name.startswith("~") for name in model.bench.ledger.unacked)
    model.bench.run(2 * KEPT_MS, step_ms=500)
    assert model.bench.ledger.unacked == {}
    for _ in range(8):
        model.publish(KEPT_IDS // 4)
        model.settle()
    assert sum(len(raw) for raw in model.bench.ledger.unacked.values()) <= 6 * (KEPT_IDS + KEPT_IDS // 4)


def test_a_broker_that_takes_the_lowest_free_number_leaves_nothing_behind() -> None:
    model = Model(lowest_free=True, window=65_535, twins=True)
    model.publish(100)
    model.settle()
    assert model.bench.ledger.unacked == {}


def test_a_number_that_was_given_again_by_a_broker_rolled_back_is_a_new_message() -> None:
    model = Model(lowest_free=False, window=65_535, twins=True)
    model.publish(3)
    model.settle()
    model.die()
    model.settle()
    model.lose()
    counts = model.end()
    assert set(model.sent) == set(counts)


def test_no_connection_is_made_while_the_doubt_cannot_be_noted() -> None:
    model = rolled_back()
    model.bench.ledger.away = True
    model.broker.drop()
    model.bench.run(RECONNECTED_MS)
    assert not model.broker.connected
    model.bench.ledger.away = False
    model.bench.run(RECONNECTED_MS)
    assert model.broker.connected
