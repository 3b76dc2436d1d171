"""What the provider fires inline is what hort.batch reads again."""

from feeds.provider.columns import inline_row
from feeds.provider.firing import _fitting
from hort import batch


def test_rows_are_read_as_they_were() -> None:
    rows = [inline_row("a", "ä".encode(), 5, 1), inline_row("b", b"\xff\x00", 6, 2 | batch.RETAINED)]
    messages = batch.inline_messages(rows, now=9)
    assert list(messages.payloads) == ["ä".encode(), b"\xff\x00"]
    assert list(messages.received_at) == [5, 6]
    assert messages.flags == bytes([1, 2 | batch.RETAINED])


def test_a_message_too_large_does_not_harm_the_others() -> None:
    large = b"x" * 1_000_000
    rows = [_fitting(inline_row("a", payload, 5, 1), len(payload)) for payload in (large, b"{}")]
    messages = batch.inline_messages(rows, now=9)
    assert list(messages.payloads) == [b"message of 1000000 bytes exceeds 900000", b"{}"]
