import pytest

from localwhisk.scala_order import ordered


@pytest.mark.parametrize(
    "keys",
    [
        # As the real server answered them.
        "path waitTime kind timeout limits initTime",
        "causedBy path waitTime kind timeout limits initTime",
        "topmost path waitTime conductor kind limits",
        "path waitTime kind limits causedBy topmost",
        "web-export raw-http final provide-api-key require-whisk-auth exec",
        "description final exec new provide-api-key",
        "s n t f i l o",
    ],
)
def test_more_than_four_go_by_hash(keys: str) -> None:
    pairs = [{"key": key, "value": 1} for key in sorted(keys.split())]
    assert " ".join(pair["key"] for pair in ordered(pairs)) == keys


def test_up_to_four_stay_as_they_came() -> None:
    pairs = [{"key": key, "value": 1} for key in ("final", "description", "provide-api-key", "exec")]
    assert ordered(pairs) == pairs


def test_keys_of_one_hash_stay_as_they_came() -> None:
    pairs = [{"key": key, "value": 1} for key in ("AaAa", "BBBB", "AaBB", "BBAa", "x")]  # four of one hash
    assert [pair["key"] for pair in ordered(pairs) if pair["key"] != "x"] == ["AaAa", "BBBB", "AaBB", "BBAa"]
