"""What a ledger must do, on Redis and in memory."""

from collections.abc import Callable

import pytest

from feeds.provider.ledger import Ledger, Left, Piece
from hort import batch
from hort.batch import Reference
from hort.errors import Fenced
from hort.journal import Journal
from tests.support.journal_contract import JOURNAL, NOW, REGISTRATION

Make = Callable[[int], Ledger]
"""Fencing token -> a ledger of one and the same registration."""


def reference() -> Reference:
    return Reference(batch.new_id(REGISTRATION, 0, NOW), JOURNAL)


def put(ledger: Ledger, name: str, *, rest: bytes | None = None, made: Reference | None = None) -> Reference:
    made = made or reference()
    ledger.put(Piece(name, b"raw", b"ids"), made, trigger="/guest/t", count=3, now=NOW, due_ms=NOW, rest=rest)
    return made


class LedgerContract:
    """Tests over the fixtures `make` and `journal`."""

    def test_a_new_ledger_is_empty(self, make: Make) -> None:
        left = make(1).open()
        assert (left.spooled, left.unacked) == ((), {})

    def test_spooled_messages_and_packet_ids_are_left_for_the_next_owner(self, make: Make) -> None:
        ledger = make(1)
        ledger.open()
        ledger.spool(Piece("a", b"1", b"ids-a"))
        ledger.spool(Piece("b", b"2", b"ids-b"))
        left = make(2).open()
        assert (left.spooled, left.unacked) == ((b"1", b"2"), {"a": b"ids-a", "b": b"ids-b"})

    def test_a_batch_takes_what_was_spooled(self, make: Make, journal: Journal) -> None:
        ledger = make(1)
        ledger.open()
        ledger.spool(Piece("a", b"1", b"ids-a"))
        made = put(ledger, "b")
        assert journal.load(made) == b"raw"
        left = make(1).open()
        assert (left.spooled, set(left.unacked)) == ((), {"a", "b"})

    def test_what_a_batch_does_not_hold_stays_spooled(self, make: Make) -> None:
        ledger = make(1)
        ledger.open()
        ledger.spool(Piece("a", b"1", b""))
        put(ledger, "b", rest=b"rest")
        assert make(1).open().spooled == (b"rest",)

    def test_a_write_that_is_repeated_does_nothing(self, make: Make, journal: Journal) -> None:
        ledger = make(1)
        ledger.open()
        made = put(ledger, "b")
        journal.ack(made)
        put(ledger, "b", made=made)
        assert journal.load(made) is None, "a batch that is stored must not come back"
        ledger.spool(Piece("a", b"1", b""))
        ledger.spool(Piece("a", b"1", b""))
        assert make(1).open().spooled == (b"1",)

    def test_packet_ids_are_forgotten(self, make: Make) -> None:
        ledger = make(1)
        ledger.open()
        for name in "abc":
            ledger.spool(Piece(name, b"", b"ids"))
        ledger.forget(["a", "b"])
        assert set(make(1).open().unacked) == {"c"}
        ledger.keep(["b"])
        assert make(1).open() == Left((b"", b"", b""), {"c": b"ids"}), "what is forgotten cannot be kept any more"

    def test_an_older_owner_is_fenced(self, make: Make, journal: Journal) -> None:
        old = make(1)
        old.open()
        make(2).open()
        with pytest.raises(Fenced):
            old.spool(Piece("a", b"1", b""))
        with pytest.raises(Fenced):
            old.check()
        make(2).check()
        made = reference()
        with pytest.raises(Fenced):
            put(old, "b", made=made)
        with pytest.raises(Fenced):
            old.open()
        assert journal.load(made) is None

    def test_kept_packet_ids_are_told_from_the_unacknowledged_and_come_oldest_first(self, make: Make) -> None:
        ledger = make(1)
        ledger.open()
        for name in ("r-0-3", "s-r-0-1", "r-0-2"):
            ledger.spool(Piece(name, b"", b"ids"))
        ledger.keep(["r-0-2", "s-r-0-1"])
        left = make(2).open()
        assert list(left.unacked) == ["r-0-3"]
        assert list(left.kept) == ["s-r-0-1", "r-0-2"]
        make(2).forget(["s-r-0-1", "r-0-2"])
        assert make(2).open() == Left((b"", b"", b""), {"r-0-3": b"ids"})

    def test_the_next_owner_takes_nothing_that_was_in_doubt(self, make: Make) -> None:
        ledger = make(1)
        ledger.open()
        for name in "ab":
            ledger.spool(Piece(name, b"", b"ids"))
        ledger.keep(["a"])
        ledger.doubt(doubted=True)
        left = make(2).open()
        assert (set(left.unacked), left.kept) == ({"b"}, {})
        assert (set(make(3).open().unacked), make(3).open().kept) == ({"b"}, {})

    def test_an_owner_ends_its_own_doubts_only(self, make: Make) -> None:
        first, second = make(1), make(2)
        first.open()
        first.spool(Piece("a", b"", b"ids"))
        first.keep(["a"])
        first.doubt(doubted=True)
        second.doubt(doubted=False)
        first.doubt(doubted=False)
        assert set(make(3).open().kept) == {"a"}
        make(3).doubt(doubted=True)
        first.doubt(doubted=False)
        assert make(4).open().kept == {}
