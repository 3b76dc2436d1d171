"""What an example model answers as a web action, in each of the three protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from hort import strict_json, web

_INPUTS = ("device_data", "analytics", "type_analytics", "record")
_MARKUP = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
"""What begins markup, and how JSON can write it."""

Predict = Callable[[Mapping[str, Any]], Any]


class BadRequest(ValueError):
    """The request is none of the three protocols; the message says why."""


def respond(args: Mapping[str, Any], predict: Predict, *, of_many: Predict | None = None) -> dict[str, Any]:
    """A model web action's answer: `{"predictions":[..]}` to `{"instances":[..]}`, else the prediction itself.

    `of_many` predicts instead of `predict` where many come in one request.
    """
    return web.guarded(lambda: _respond(args, predict, of_many or predict), away={})


def _respond(args: Mapping[str, Any], predict: Predict, of_many: Predict) -> dict[str, Any]:
    try:
        if "instances" in args:
            return _predictions([of_many(item) for item in _instances(args["instances"])])
        if "device_data" not in args:
            raise BadRequest("'device_data' or 'instances' must be given")
        return web.answer(200, orjson.loads(_json(predict(_instance(args)))))
    except BadRequest as error:
        return web.problem(400, str(error))


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


def _predictions(values: list[Any]) -> dict[str, Any]:
    """A batch's answer as text: OpenWhisk would print an object over many lines.

    No character of it can begin markup, for OpenWhisk takes a text for HTML where the caller asks for `.html`.
    """
    text = _json({"predictions": values})
    for sign, written in _MARKUP:
        text = text.replace(sign, written)
    return {"statusCode": 200, "headers": web.HEADERS, "body": text.decode()}


def _json(value: Any) -> bytes:
    """JSON whatever a model makes: numbers that JSON has not are null."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:  # what another JSON reader let in: an integer beyond 64 bits, half a character
        raise BadRequest(f"the request holds what cannot be answered: {error}") from error
