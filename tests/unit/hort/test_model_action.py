import json
from collections.abc import Mapping
from typing import Any

import pytest

from hort import anomaly, model_action

ANALYTICS = {"properties": {"avg": {"a": 10.0}, "std": {"a": 2.0}}, "count": 3}


def body_of(args: Mapping[str, Any], predict: model_action.Predict) -> Any:
    return json.loads(model_action.respond(args, predict)["body"])


def test_echo_answers_what_it_was_sent_and_nothing_bound() -> None:
    args = {"device_data": {"a": 1}, "analytics": None, "redis_url": "redis://secret", "__ow_headers": {}}
    assert body_of(args, model_action.echo) == {"device_data": {"a": 1}, "analytics": None}


def test_all_three_protocols_are_understood() -> None:
    model = anomaly.detector()
    instance = {"device_data": {"a": 99}, "analytics": ANALYTICS, "record": {}}
    alone = body_of(instance, model)
    assert alone["status"] == "danger-high"
    query = {name: json.dumps(value) for name, value in instance.items()}
    assert body_of(query, model) == alone
    assert body_of({"instances": [instance, instance]}, model) == {
        "predictions": [alone, alone]
    }


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"analytics": "{}"},
        {"device_data": "{"},
        {"device_data": 5},
        {"device_data": None},
        {"instances": 5},
        {"instances": [5]},
        {"instances": [{}]},
        {"instances": [{"device_data": []}]},
    ],
)
def test_a_request_that_is_none_of_them_is_400_with_the_field(args: dict[str, Any]) -> None:
    answer = model_action.respond(args, model_action.echo)
    assert answer["statusCode"] == 400
    error = json.loads(answer["body"])["error"]
    assert "'" in error or "instances" in error


def test_a_batch_is_echoed_without_its_analytics() -> None:
    """A batch as large as a web action may take, sent back whole, went over the megabyte of the answer."""
    args = {"instances": [{"device_data": {"a": 1}, "analytics": ANALYTICS}] * 2}
    answer = model_action.respond(args, model_action.echo, of_many=model_action.echo_device_data)
    assert json.loads(answer["body"]) == {"predictions": [{"device_data": {"a": 1}}] * 2}
