from collections import Counter
from typing import Any

import pytest

from hort import models, score
from hort.errors import ConfigError
from hort.models import Model
from tests.support import staged

URL = "http://model.example/"
DEVICES = [f"d{number}" for number in range(2000)]


def model(name: str, **fields: Any) -> Model:
    return models.parse(name, {"url": URL, **fields})


def test_records_go_to_the_models_that_apply() -> None:
    keys = [("bike", "1", "status"), ("car", "1", "status"), ("bike", "1", "alarm")]
    found = [
        model("all"),
        model("bikes", device_types=["bi*"]),
        model("alarms", events=["alarm"]),
        model("none", events=["x"]),
    ]
    assert score.assign(keys, found) == {"all": {0, 1, 2}, "bikes": {0, 2}, "alarms": {2}, "none": set()}


def test_each_device_goes_to_one_model_of_a_group() -> None:
    keys = [("bike", name, event) for name in DEVICES for event in ("status", "alarm")]
    found = [model("a", group="ab"), model("b", group="ab", weight=3), model("alone")]
    chosen = score.assign(keys, found)
    assert chosen["a"] | chosen["b"] == chosen["alone"]
    assert not chosen["a"] & chosen["b"]
    assert all((number in chosen["a"]) == (number + 1 in chosen["a"]) for number in range(0, len(keys), 2))


def test_shares_follow_the_weights_and_only_the_movers_move() -> None:
    before = [model("a", group="g"), model("b", group="g", weight=3)]
    after = [*before, model("c", group="g", weight=4)]
    first = {name: score.pick("g", before, name) for name in DEVICES}
    second = {name: score.pick("g", after, name) for name in DEVICES}
    counts = Counter(found.name for found in first.values() if found)
    assert counts["b"] / len(DEVICES) == pytest.approx(0.75, abs=0.05)
    moved = [name for name in DEVICES if first[name] != second[name]]
    assert len(moved) / len(DEVICES) == pytest.approx(0.5, abs=0.05)
    assert {found.name for name in moved if (found := second[name])} == {"c"}


def test_a_weight_of_zero_gets_nothing() -> None:
    assert score.pick("g", [model("a", group="g", weight=0)], "d") is None
    chosen = score.pick("g", [model("a", group="g", weight=0), model("b", group="g")], "d")
    assert chosen is not None
    assert chosen.name == "b"


def test_a_sheet_holds_the_records_of_its_model_only() -> None:
    records = staged.records([*staged.bikes(2), *staged.bikes(3, device_type="car")])
    (bikes, everything) = score.sheets_for(
        records, [model("b", device_types=["bike"]), model("n", events=["x"]), model("e")]
    )
    assert list(bikes.positions) == [0, 1]
    assert list(everything.positions) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("params", "deadline", "expected"),
    [
        ({}, "", 10.0),
        ({"score_budget_ms": 2500}, "", 2.5),
        ({}, "109000", 4.0),
        ({}, "100001", 0.1),
        ({"score_budget_ms": "500"}, "900000", 0.5),
    ],
)
def test_the_budget_ends_before_the_activation(
    monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], deadline: str, expected: float
) -> None:
    monkeypatch.setenv("__OW_DEADLINE", deadline)
    assert score.budget_s(params, now=lambda: 100_000) == expected


def test_a_budget_that_makes_no_sense_is_named() -> None:
    with pytest.raises(ConfigError, match="score_budget_ms"):
        score.budget_s({"score_budget_ms": 5})
