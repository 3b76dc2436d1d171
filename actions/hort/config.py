"""Reading configuration: bound parameter, then environment `HORT_<NAME>`, then default; the empty string counts as not given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from hort.errors import ConfigError

Params = Mapping[str, Any]

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def lookup(params: Params, name: str) -> Any:
    """The raw value of a parameter, or None where neither the parameters nor the environment have one."""
    value = params.get(name)
    if value is None or value == "":
        value = os.environ.get(f"HORT_{name.upper()}")
    return None if value == "" else value


def text(params: Params, name: str, *, default: str | None = None, choices: Sequence[str] = ()) -> str:
    """A string parameter, never of blanks alone; without a default it must be given."""
    value = lookup(params, name)
    if value is None:
        value = default
    if value is None:
        raise ConfigError(name, None, "must be given")
    if not isinstance(value, str):
        raise ConfigError(name, value, "must be text")
    if value and not value.strip():
        raise ConfigError(name, value, "must hold more than blanks")
    if choices and value not in choices:
        raise ConfigError(name, value, f"must be one of {', '.join(choices)}")
    return _encodable(name, value)


def header_text(params: Params, name: str) -> str:
    """A key that a header carries as it is, empty where not given: printable ASCII without blanks at its ends; it never shows."""
    value = text(params, name, default="")
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise ConfigError(name, None, "must be printable ASCII without blanks at its ends, as headers carry it")
    return value


def _encodable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(name, None, "must be text that UTF-8 can carry") from None
    return value


def number(
    params: Params, name: str, *, default: float, minimum: float = 0, maximum: float = float("inf")
) -> float:
    """A number parameter within [minimum, maximum]; text that reads as a number is taken."""
    value = lookup(params, name)
    if value is None:
        return default
    try:
        result = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = float("nan")
    if not minimum <= result <= maximum:
        raise ConfigError(name, value, f"must be a number from {minimum:g} to {maximum:g}")
    return result


def integer(
    params: Params, name: str, *, default: int, minimum: int = 0, maximum: int = 2**53
) -> int:
    """A whole-number parameter within [minimum, maximum]."""
    result = number(params, name, default=default, minimum=minimum, maximum=maximum)
    if result != int(result):
        raise ConfigError(name, result, "must be a whole number")
    return int(result)


def milliseconds(
    params: Params, name: str, *, default_s: float, minimum_s: float = 0, maximum_s: float = 366 * 86_400
) -> int:
    """A duration parameter given in seconds, as milliseconds."""
    return round(number(params, name, default=default_s, minimum=minimum_s, maximum=maximum_s) * 1000)


def boolean(params: Params, name: str, *, default: bool) -> bool:
    """A yes/no parameter; JSON booleans and the usual words are taken."""
    value = lookup(params, name)
    if value is None:
        return default
    word = str(value).lower()
    if word not in _TRUE and word not in _FALSE:
        raise ConfigError(name, value, "must be true or false")
    return word in _TRUE


def strings(params: Params, name: str, *, default: Sequence[str] = ()) -> tuple[str, ...]:
    """A list-of-strings parameter: a JSON array, or text with commas between the items."""
    value = lookup(params, name)
    if value is None:
        return tuple(default)
    if isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(name, value, "must be a list of texts")
    return tuple(_encodable(name, item) for item in value)


def mapping(params: Params, name: str) -> dict[str, Any]:
    """An object parameter: a JSON object, or text that holds one; empty where not given."""
    from hort import strict_json  # here, as the image of the plate reader has no orjson and no such parameter

    value = lookup(params, name)
    if isinstance(value, str):
        try:
            value = strict_json.loads(value)
        except strict_json.Refused as error:
            raise ConfigError(name, value, f"must be a JSON object ({error})") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(name, value, "must be a JSON object")
    return value
