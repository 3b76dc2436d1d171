import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import anomaly, model_action

ANALYTICS = {
    "properties": {"avg": {"a": 10.0, "b": 5.0}, "std": {"a": 2.0, "b": 0.0}, "max": {"a": 1}},
    "count": 3,
}


def predict(data: dict[str, Any], analytics: object = ANALYTICS, **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = anomaly.detector(**options)({"device_data": data, "analytics": analytics})
    return result


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (10, "all-is-well"),
        (12, "all-is-well"),
        (12.1, "danger-high"),
        (8, "all-is-well"),
        (7.9, "danger-low"),
        ("12.5", "danger-high"),
    ],
)
def test_a_value_is_judged_by_one_standard_deviation(value: Any, status: str) -> None:
    result = predict({"a": value})
    assert result["simple_anomaly_detection_a"] == status
    assert result["status"] == status
    assert result["fields"] == {"a": {"status": status, "value": float(value), "avg": 10, "std": 2}}


@pytest.mark.parametrize(
    ("value", "status"),
    [(5, "all-is-well"), (5.0000000001, "all-is-well"), (6, "danger-high"), (4, "danger-low")],
)
def test_a_field_that_never_moved_has_no_tolerance_but_rounding(value: float, status: str) -> None:
    assert predict({"b": value})["status"] == status


def test_the_worst_field_counts_and_fields_without_analytics_are_left_out() -> None:
    result = predict({"a": 10, "b": 99, "c": 1, "name": "x"})
    assert result["status"] == "danger-high"
    assert set(result["fields"]) == {"a", "b"}


def test_chosen_fields_only() -> None:
    result = predict({"a": 99, "b": 5, "c": 1}, fields=("b", "c"))
    assert result["status"] == "all-is-well"
    assert result["fields"]["c"] == {"status": "no-window", "value": 1.0}
    assert "a" not in result["fields"]


@pytest.mark.parametrize("analytics", [None, {}, {"properties": None}, {"properties": {"avg": 3}}, 7, "x"])
def test_before_the_first_window_there_is_nothing_to_judge_by(analytics: object) -> None:
    assert predict({"a": 1}, analytics) == {"status": "no-window", "fields": {}}


def test_sigma_widens_the_band() -> None:
    assert predict({"a": 13}, sigma=2)["status"] == "all-is-well"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "avg", "std", "properties"]), inner, max_size=4)
    ),
)


@given(
    st.fixed_dictionaries({"device_data": st.dictionaries(st.sampled_from("ab"), JSON), "analytics": JSON})
)
def test_the_answer_is_always_json(instance: dict[str, Any]) -> None:
    answer = model_action.respond({"instances": [instance]}, anomaly.detector())
    body = answer["body"]
    json.loads(body if isinstance(body, str) else json.dumps(body), parse_constant=pytest.fail)
    assert answer["statusCode"] in {200, 400}
