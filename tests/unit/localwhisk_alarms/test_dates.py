import pytest

from localwhisk.alarms import dates


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1_700_000_000_000, 1_700_000_000_000),
        (1_700_000_000_000.7, 1_700_000_000_000),
        ("2030-01-01T00:00:00.000Z", 1_893_456_000_000),
        ("2030-01-01T02:00:00+02:00", 1_893_456_000_000),
        ("2030-01-01T00:00:00", 1_893_456_000_000),
        ("2030-01-01", 1_893_456_000_000),
        ("2030-01", 1_893_456_000_000),
        ("2030", 1_893_456_000_000),
        ("Tue, 01 Jan 2030 00:00:00 GMT", 1_893_456_000_000),
    ],
)
def test_what_javascript_takes_is_taken(value: object, ms: int) -> None:
    assert dates.parse(value) == ms


@pytest.mark.parametrize("value", ["soon", "", "1700000000000", None, True, [], {}, "2030-13-01", 1e300])
def test_what_is_no_date(value: object) -> None:
    assert dates.parse(value) is None


def test_iso_is_to_the_second() -> None:
    assert dates.iso(1_893_456_000_999) == "2030-01-01T00:00:00Z"
