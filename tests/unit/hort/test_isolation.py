"""Finding what an action cannot take."""

from hypothesis import given
from hypothesis import strategies as st

from hort import isolation
from hort.testing import MemoryJournal
from tests.support.journal_contract import put


def raising(poison: set[int]) -> list[range]:
    tried: list[range] = []

    def attempt(positions: range) -> None:
        tried.append(positions)
        if poison & {*positions}:
            raise OverflowError

    count = max(poison, default=0) + 10
    assert isolation.poison(count, attempt) == sorted(poison)
    return tried


@given(st.sets(st.integers(0, 60)))
def test_any_set_of_positions_is_found(poison: set[int]) -> None:
    raising(poison)


def test_one_in_twenty_thousand_takes_a_few_tries() -> None:
    assert len(raising({19_990})) < 40


def test_what_only_fails_together_is_nobody_s_fault() -> None:
    def attempt(positions: range) -> None:
        if len(positions) > 2:
            raise MemoryError

    assert isolation.poison(10, attempt) == []


@given(st.integers(1, 60_000))
def test_two_deaths_tell_one_position(count: int) -> None:
    journal = MemoryJournal()
    reference = put(journal)
    parts = list(isolation.noted(journal, reference, "ingest", range(count)))
    assert [at for part in parts for at in part] == list(range(count))
    assert len(parts) <= isolation.SINGLY
    assert max(map(len, parts)) <= isolation.SINGLY, "each part is tried one by one by the next search"
    assert journal.trouble(reference, "ingest").at is None, "nothing is suspect that was got through with"


def test_where_a_search_ended_is_known() -> None:
    journal = MemoryJournal()
    reference = put(journal)
    parts = isolation.noted(journal, reference, "ingest", range(20_000))
    found = next(part for part in parts if 19_990 in part)
    assert journal.trouble(reference, "ingest").at == found


@given(st.integers(2, 500), st.integers(0, 500), st.integers(1, 500))
def test_cuts_leave_nothing_out_and_never_the_whole(count: int, start: int, length: int) -> None:
    for suspect in (None, range(start, start + length)):
        pieces = isolation.cuts(count, suspect)
        assert [at for piece in pieces for at in piece] == list(range(count))
        assert 2 <= len(pieces) <= 3
        if suspect is not None and suspect.stop <= count and length < count:
            assert suspect in pieces
