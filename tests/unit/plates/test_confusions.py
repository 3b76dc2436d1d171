import pytest
from hypothesis import given
from hypothesis import strategies as st

from plates import confusions

texts = st.text(confusions.ALPHABET, min_size=1, max_size=8)


def cost(plate: str, reading: str) -> float:
    return float(confusions.distances([plate], [reading])[0, 0])


@given(texts)
def test_a_faithful_reading_costs_nothing(plate: str) -> None:
    assert cost(plate, plate) == 0


@given(texts, texts)
def test_any_other_reading_costs_something(plate: str, reading: str) -> None:
    assert (cost(plate, reading) == 0) == (plate == reading)


@given(st.lists(texts, min_size=1, max_size=4), st.lists(texts, min_size=1, max_size=4))
def test_many_at_once_cost_what_each_costs_alone(plates: list[str], readings: list[str]) -> None:
    together = confusions.distances(plates, readings)
    assert together.shape == (len(plates), len(readings))
    assert together[-1, -1] == pytest.approx(cost(plates[-1], readings[-1]))


def test_a_lookalike_is_cheaper_than_another_letter() -> None:
    assert cost("AB0123", "ABO123") < cost("AB8123", "ABB123") < cost("AB8123", "ABM123")


def test_a_letter_missed_is_cheaper_than_one_invented() -> None:
    assert cost("XNR374", "NR374") < cost("NR374", "XNR374")


def test_the_frame_read_as_a_letter_is_cheaper_than_one_inside() -> None:
    assert cost("5AZL613", "5AZL6131") < cost("5AZL613", "5AZ1L613")


def test_an_unknown_letter_is_no_error() -> None:
    assert cost("AB123", "AB12Ä") > 0


def test_plain_takes_letters_with_a_digits_look_for_it() -> None:
    assert confusions.plain("ROI1O0") == "R01100"
