from array import array

from feeds.provider.columns import PacketIds
from feeds.provider.unacked import NOWHERE, Unacked


def ids(**digests: int) -> PacketIds:
    mids = array("H", (int(name[1:]) for name in digests))
    return PacketIds(mids, array("I", digests.values()), bytes(len(mids)))


def test_a_repetition_is_known_by_packet_id_and_digest() -> None:
    unacked = Unacked()
    unacked.add("one", 0, ids(m1=11, m2=12), ack=1)
    assert not unacked.matches(1, 11), "no connection has begun with the old session"
    unacked.expect()
    assert unacked.matches(1, 11)
    assert not unacked.matches(1, 12)
    assert not unacked.matches(3, 11)


def test_the_newest_use_of_a_packet_id_counts() -> None:
    unacked = Unacked()
    unacked.add("one", 0, ids(m1=11), ack=1)
    unacked.add("two", 0, ids(m1=99), ack=2)
    unacked.expect()
    assert unacked.matches(1, 99)
    assert not unacked.matches(1, 11)


def test_confirmed_chunks_are_forgotten() -> None:
    unacked = Unacked()
    unacked.add("one", 0, ids(m1=11), ack=1)
    unacked.add("two", 1, ids(m2=12), ack=2)
    assert unacked.confirmed(0) == {}
    assert list(unacked.confirmed(1)) == ["one"]
    assert list(unacked.confirmed(2)) == ["two"]
    assert len(unacked) == 0


def test_a_lost_connection_takes_the_acks_along() -> None:
    unacked = Unacked()
    unacked.add("one", 0, ids(m1=11), ack=1)
    unacked.lost()
    assert unacked.confirmed(5) == {}
    unacked.came_all(ack=6)
    assert unacked.confirmed(5) == {}
    assert list(unacked.confirmed(6)) == ["one"]


def test_once_all_has_come_nothing_is_a_repetition() -> None:
    unacked = Unacked()
    unacked.add("one", 0, ids(m1=11), ack=None)
    unacked.expect()
    unacked.came_all(ack=1)
    assert not unacked.matches(1, 11)


def test_chunks_without_packet_ids_go_at_once() -> None:
    unacked = Unacked()
    unacked.add("none", 2, ids(), ack=None)
    assert [chunk.partition for chunk in unacked.confirmed(0).values()] == [2]


def test_clear_names_everything() -> None:
    unacked = Unacked()
    unacked.add("one", 0, ids(m1=11), ack=1)
    assert list(unacked.clear()) == ["one"]
    assert len(unacked) == 0


def test_a_repetition_is_expected_until_its_new_ack_is_confirmed() -> None:
    unacked = Unacked()
    unacked.expect({1: 11})
    assert unacked.matches(1, 11)
    unacked.lost()
    unacked.expect()
    assert unacked.matches(1, 11)
    unacked.acked_again(4)
    assert list(unacked.confirmed(3)) == []
    (again,) = unacked.confirmed(4).values()
    assert (again.partition, list(again.ids.mids)) == (NOWHERE, [1, 1])


def test_an_unacknowledged_use_of_a_packet_id_counts_more_than_a_kept_one() -> None:
    unacked = Unacked()
    unacked.add("one", 0, ids(m1=11), ack=None)
    unacked.expect({1: 99, 2: 22})
    assert unacked.matches(1, 11)
    assert unacked.matches(2, 22)
