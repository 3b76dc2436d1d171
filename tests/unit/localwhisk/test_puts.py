import pytest

from localwhisk import puts
from localwhisk.errors import ApiError


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("1.0", "1.0.0"),
        ("1", "1.0.0"),
        ("2.3.4", "2.3.4"),
        ("1.2.3.4", "1.2.3"),
        ("1.", "1.0.0"),
        ("+1.02", "1.2.0"),
        (None, None),
    ],
)
def test_versions(given: object, read: str | None) -> None:
    assert puts.version(given) == read


@pytest.mark.parametrize("given", ["x.y", "", ".", "1..2", 1, "-1", "0.0.0", "0", "2147483648", " 1"])
def test_other_versions_are_malformed(given: object) -> None:
    with pytest.raises(ApiError, match="semantic version malformed"):
        puts.version(given)


def test_an_update_raises_the_patch_part() -> None:
    assert puts.next_version("9.0.9") == "9.0.10"


def test_a_key_given_twice_counts_once_with_its_last_value() -> None:
    pairs = puts.key_values(
        [{"key": "i", "value": 1}, {"key": "s", "value": None}, {"key": "i", "value": "dup"}]
    )
    assert {pair["key"]: pair["value"] for pair in pairs or ()} == {"i": "dup", "s": None}


@pytest.mark.parametrize(
    "given",
    [
        {"a": 1},
        [{"key": "k"}],
        [{"value": 1}],
        ["x"],
        [{"key": 1, "value": 1}],
        [{"key": "k", "value": 1, "init": "true"}],
        [{"key": "k", "value": 1, "init": None}],
        [{"key": "k", "value": 1, "encryption": None}],
        [{"key": "k", "value": 1, "init": True, "encryption": 1}],
        "x",
    ],
)
def test_other_parameters_are_malformed(given: object) -> None:
    with pytest.raises(ApiError, match="parameters malformed!"):
        puts.key_values(given)


def test_a_parameter_is_for_the_initialisation_only_when_it_says_so() -> None:
    pairs = [{"key": "a", "value": 1, "init": False}, {"key": "b", "value": 2, "init": True, "x": 1, "encryption": None}]
    assert puts.key_values(pairs) == ({"key": "a", "value": 1}, {"key": "b", "value": 2, "init": True})
