import json
from collections.abc import Mapping
from typing import Any

import pytest

from hort import anomaly, model_action

MARKUP = "<img src=x onerror=alert(1)>&amp;"
ANALYTICS = {"properties": {"avg": {"a": 10.0}, "std": {"a": 2.0}}, "count": 3}


def body_of(args: Mapping[str, Any], predict: model_action.Predict) -> Any:
    body = model_action.respond(args, predict)["body"]
    return json.loads(body) if isinstance(body, str) else body


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
    error = answer["body"]["error"]
    assert "'" in error or "instances" in error


def test_a_batch_is_echoed_without_its_analytics() -> None:
    """A batch as large as a web action may take, sent back whole, went over the megabyte of the answer."""
    args = {"instances": [{"device_data": {"a": 1}, "analytics": ANALYTICS}] * 2}
    answer = model_action.respond(args, model_action.echo, of_many=model_action.echo_device_data)
    assert json.loads(answer["body"]) == {"predictions": [{"device_data": {"a": 1}}] * 2}


@pytest.mark.parametrize("args", [{"device_data": {"a": MARKUP}}, {"device_data": json.dumps({MARKUP: 1})}, {"device_data": MARKUP}, {"instances": MARKUP}])
@pytest.mark.parametrize("predict", [model_action.echo, anomaly.detector([MARKUP])])
def test_one_answer_is_an_object(args: dict[str, Any], predict: model_action.Predict) -> None:
    """OpenWhisk takes a text for HTML or SVG where a link asks for .html or .svg, and refuses to print an object so."""
    assert isinstance(model_action.respond(args, predict)["body"], dict)


def test_a_batch_is_a_text_that_cannot_begin_markup() -> None:
    answer = model_action.respond({"instances": [{"device_data": {MARKUP: MARKUP}}]}, model_action.echo)
    assert not set("<>&") & set(answer["body"])
    assert json.loads(answer["body"]) == {"predictions": [{"device_data": {MARKUP: MARKUP}}]}


def test_a_model_that_fails_says_nothing_of_what_it_was_sent() -> None:
    def broken(instance: Mapping[str, Any]) -> Any:
        raise KeyError(instance["device_data"]["a"])

    answer = model_action.respond({"device_data": {"a": MARKUP}}, broken)
    assert (answer["statusCode"], answer["body"]["error"]) == (500, "this action failed (KeyError), its log says where")


def test_numbers_that_json_has_not_are_null() -> None:
    assert body_of({"device_data": {}}, lambda _: {"a": float("nan"), 1: 2}) == {"a": None, "1": 2}
