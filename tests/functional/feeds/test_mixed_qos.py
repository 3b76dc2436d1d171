"""A feed whose publishers use several QoS: what comes at QoS 0 wants no ack, and keeps no ack from the others."""

from feeds.provider.intake import STALL_MS
from tests.support.intake import Bench


def publish_between(bench: Bench, payloads: list[bytes], *, every: int, noise: int) -> None:
    """Publishes payloads at QoS 1, one each `every` rounds of 10 ms; each round ends with so many messages at QoS 0."""
    for number in range(len(payloads) * every):
        if number % every == 0:
            bench.broker.publish(payloads[number // every])
        bench.broker.publish(*[b"noise"] * noise, qos=0)
        bench.run(0)


def test_a_message_is_acknowledged_however_much_comes_without_acks_while_nothing_can_be_fired() -> None:
    bench = Bench(window=2)
    bench.run()
    bench.gate.firing = False
    wanted = [b"%d" % number for number in range(6)]
    publish_between(bench, wanted, every=20, noise=3)
    assert len(bench.broker.acked) == len(wanted)
    assert not [message for message in bench.broker.queue if message[3]]


def test_messages_without_acks_alone_are_not_spooled() -> None:
    bench = Bench({"linger_ms": 60_000})
    bench.run()
    bench.broker.publish(*[b"noise"] * 10, qos=0)
    bench.run(20 * STALL_MS)
    assert (bench.ledger.spooled, bench.intake.waiting) == ([], 10)


def test_a_small_window_is_learnt_through_messages_without_acks() -> None:
    bench = Bench({"linger_ms": 60_000}, window=10)
    bench.run()
    bench.broker.publish(*[b"wanted"] * 200)
    for _ in range(40):
        bench.broker.publish(b"noise", qos=0)
        bench.run(2 * STALL_MS)
    assert len(bench.broker.acked) == 200
