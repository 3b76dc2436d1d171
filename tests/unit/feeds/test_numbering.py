from array import array

import pytest

from feeds.provider.numbering import IDS, LONG, PROOFS, STEP, Numbering, age


def came(numbering: Numbering, *mids: int) -> None:
    numbering.came(array("H", mids))


def counted(*, first: int = 1) -> Numbering:
    """A broker that went on counting while numbers were free, often enough."""
    numbering = Numbering()
    numbering.connected()
    for at in range(PROOFS + 1):
        came(numbering, (first + at - 1) % IDS + 1)
        numbering.freed()
    return numbering


def test_a_broker_that_goes_on_while_numbers_are_free_counts() -> None:
    assert counted().counting
    assert counted(first=IDS - 3).counting, "65535 is followed by 1"


def test_one_proof_less_is_too_few() -> None:
    numbering = Numbering()
    numbering.connected()
    for mid in range(1, PROOFS + 1):
        came(numbering, mid)
        numbering.freed()
    assert not numbering.counting


def test_going_on_while_nothing_is_acknowledged_proves_nothing() -> None:
    numbering = Numbering()
    numbering.connected()
    for mid in range(1, 1_000):
        came(numbering, mid)
    assert not numbering.counting


def test_a_long_run_is_a_proof_too() -> None:
    numbering = Numbering()
    numbering.connected()
    came(numbering, *range(1, LONG + 2))
    assert numbering.counting
    assert numbering.newest == LONG + 1


@pytest.mark.parametrize("mids", [(1,), (PROOFS + 1,), (PROOFS + STEP + 2,), (PROOFS + 2, 1)])
def test_a_number_out_of_order_ends_it(mids: tuple[int, ...]) -> None:
    numbering = counted()
    came(numbering, *mids)
    assert not numbering.counting


def test_numbers_that_were_left_out_do_not_end_it() -> None:
    numbering = counted()
    came(numbering, PROOFS + 1 + STEP, PROOFS + 1 + 2 * STEP)
    assert numbering.counting


def test_a_new_connection_may_begin_with_any_number() -> None:
    numbering = counted()
    numbering.connected()
    came(numbering, 3)
    assert numbering.counting
    assert numbering.newest == 3


def test_age_goes_round() -> None:
    assert age(5, 5) == 0
    assert age(2, IDS) == 2
    assert age(5, 6) == IDS - 1
