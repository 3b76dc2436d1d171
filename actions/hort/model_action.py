"""What an example model answers as a web action, in each of the three protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from hort import strict_json

_INPUTS = ("device_data", "analytics", "type_analytics", "record")

Predict = Callable[[Mapping[str, Any]], Any]


class BadRequest(ValueError):
    """The request is none of the three protocols; the message says why."""


def respond(args: Mapping[str, Any], predict: Predict, *, of_many: Predict | None = None) -> dict[str, Any]:
    """A model web action's answer: `{"predictions":[..]}` to `{"instances":[..]}`, else the prediction itself.

    `of_many` predicts instead of `predict` where many come in one request.
    """
    try:
        if "instances" in args:
            return _answer(200, {"predictions": [(of_many or predict)(item) for item in _instances(args["instances"])]})
        if "device_data" not in args:
            raise BadRequest("'device_data' or 'instances' must be given")
        return _answer(200, predict(_instance(args)))
    except BadRequest as error:
        return _answer(400, {"error": str(error)})


def echo(instance: Mapping[str, Any]) -> dict[str, Any]:
    """What the model was sent."""
    return {name: instance[name] for name in _INPUTS if name in instance}


def echo_device_data(instance: Mapping[str, Any]) -> dict[str, Any]:
    """Only the record's own values: a batch with all its analytics would not fit into a web action's megabyte twice."""
    return {"device_data": instance["device_data"]}


def _instances(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise BadRequest(f"'instances' must be a list, got {type(value).__name__}")
    return [_instance(item, at=f"instances[{number}].") for number, item in enumerate(value)]


def _instance(value: object, at: str = "") -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadRequest(f"{at[:-1]} must be an object, got {type(value).__name__}")
    found = {name: _decoded(value[name], at + name) for name in _INPUTS if name in value}
    if not isinstance(found.get("device_data"), dict):
        raise BadRequest(f"'{at}device_data' must be an object")
    return found


def _decoded(value: object, name: str) -> Any:
    """Protocol `query` carries JSON texts."""
    if not isinstance(value, str):
        return value
    try:
        return strict_json.loads(value)
    except strict_json.Refused as error:
        raise BadRequest(f"'{name}' must be JSON: {error}") from error


def _answer(status: int, body: Any) -> dict[str, Any]:
    """The body as text: OpenWhisk would print an object over many lines, and the answer may have one megabyte."""
    try:
        text = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError as error:  # what another JSON reader let in: an integer beyond 64 bits, half a character
        raise BadRequest(f"the request holds what cannot be answered: {error}") from error
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": text}
