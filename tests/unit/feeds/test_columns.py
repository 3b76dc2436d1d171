import json

import pytest

from feeds.provider.columns import Columns, PacketIds, digest, inline_row, inline_size, merged
from hort import batch
from hort.batch import RETAINED


def columns_of(*rows: tuple[bytes, bytes], qos: int = 1) -> Columns:
    columns = Columns()
    for number, (topic, payload) in enumerate(rows):
        columns.append(topic, payload, received=1000 + number, flags=qos, mid=number + 1 if qos else 0)
    return columns


def test_messages_are_what_was_appended() -> None:
    columns = columns_of((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    messages = batch.unpack(batch.pack(columns.messages()))
    assert [messages.topics[number] for number in messages.topic_index] == ["a", "b", "a"]
    assert list(messages.payloads) == [b"1", b"2", b"3"]
    assert list(messages.received_at) == [1000, 1001, 1002]
    assert messages.flags == bytes([1, 1, 1])


def test_a_part_holds_only_its_topics() -> None:
    columns = columns_of((b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
    tail = columns.messages(1)
    assert (tail.topics, list(tail.topic_index)) == (["b", "c"], [0, 1])
    head = columns.messages(0, 1)
    assert (head.topics, list(head.payloads)) == (["a"], [b"1"])


def test_who_wants_an_ack_is_counted() -> None:
    columns = Columns()
    for mid, flags in enumerate([0, 1, RETAINED, 2 | RETAINED, 0, 1 | RETAINED]):
        columns.append(b"a", b"1", received=1, flags=flags, mid=mid if flags & 3 else 0)
    assert [columns.wanting(start) for start in range(7)] == [3, 3, 2, 2, 1, 1, 0]
    assert columns.wanting(0) == len(columns.packet_ids())


def test_a_topic_that_is_no_utf8_is_kept_readable() -> None:
    assert columns_of((b"a/\xff", b"1")).messages().topics == ["a/\\xff"]


def test_packet_ids_and_digests() -> None:
    columns = columns_of((b"a", b"1"), (b"b", b"2"))
    columns.append(b"a", b"no id", received=1, flags=0, mid=0)
    ids = columns.packet_ids()
    assert list(ids.mids) == [1, 2]
    assert list(ids.digests) == [digest(b"a", b"1"), digest(b"b", b"2")]
    again = PacketIds.unpack(ids.pack())
    assert (list(again.mids), list(again.digests)) == (list(ids.mids), list(ids.digests))
    assert list(columns.packet_ids(1).mids) == [2]


def test_packet_ids_by_quality_of_service() -> None:
    columns = columns_of((b"a", b"1"), (b"b", b"2"))
    columns.append(b"a", b"3", received=1, flags=2 | RETAINED, mid=9)
    ids = columns.packet_ids()
    assert (list(ids.of_qos(1)), list(ids.of_qos(2))) == ([1, 2], [9])


def test_take_leaves_the_rest() -> None:
    columns = columns_of(*((b"t%d" % (number % 2), b"x" * number) for number in range(6)))
    columns.spooled = 5
    first = columns.take(4)
    assert (len(first), first.size, first.spooled) == (4, 6, 4)
    assert (len(columns), columns.size, columns.spooled) == (2, 9, 1)
    columns.append(b"t0", b"new", received=1, flags=1, mid=7)
    assert [columns.messages().topics[number] for number in columns.messages().topic_index] == ["t0", "t1", "t0"]


def test_split_is_stable_and_complete() -> None:
    columns = columns_of(*((b"t%d" % (number % 7), b"%d" % number) for number in range(50)))
    columns.spooled = 20
    parts = dict(columns.split(3))
    assert sum(map(len, parts.values())) == 50
    assert sum(part.spooled for part in parts.values()) == 20
    topics = [set(part.topics) for part in parts.values()]
    assert sum(map(len, topics)) == len(set.union(*topics)) == 7
    assert dict(columns_of((b"t1", b"")).split(3)).keys() <= parts.keys()


@pytest.mark.parametrize(("records", "size", "fits"), [(10, 10_000, 5), (3, 10_000, 3), (10, 250, 2), (10, 1, 1)])
def test_what_fits_into_a_batch(records: int, size: int, fits: int) -> None:
    columns = columns_of(*((b"t", b"x" * 100) for _ in range(5)))
    assert columns.fitting(max_records=records, max_bytes=size, inline=False) == fits


def test_inline_counts_the_json() -> None:
    columns = columns_of(*((b"t", b"\x00" * 100) for _ in range(5)))
    row = inline_row("t", b"\x00" * 100, 1000, 1)
    assert inline_size(row) == len(json.dumps(row, separators=(",", ":"))) > 600
    assert columns.fitting(max_records=10, max_bytes=1_500, inline=True) == 2


def test_merged_puts_lists_of_messages_together() -> None:
    both = merged([columns_of((b"a", b"1"), (b"b", b"2")).messages(), columns_of((b"b", b"3")).messages()]).messages()
    assert [(both.topics[number], payload) for number, payload in zip(both.topic_index, both.payloads, strict=True)] == [
        ("a", b"1"),
        ("b", b"2"),
        ("b", b"3"),
    ]
