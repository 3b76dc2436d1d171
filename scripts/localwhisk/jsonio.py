"""JSON as the real server reads and writes it: exact integers, its error texts, its pretty form."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from localwhisk import sprayjson
from localwhisk.errors import malformed

MAX_DEPTH = 1000
_EXACT_BYTES = 2 * 1024 * 1024  # beyond it stands the code of an action, where the search would take long
_LONG_DIGITS = re.compile(rb"\d{19}")
_TOO_DEEP = (
    "JSON input nested too deeply:JSON input was nested more deeply than the configured limit of "
    f"maxNesting = {MAX_DEPTH}"
)


def loads(raw: bytes) -> Any:
    """Parse; integers of any length stay integers up to what a payload may have. Raises ValueError."""
    if len(raw) <= _EXACT_BYTES and _LONG_DIGITS.search(raw):
        return json.loads(raw, parse_constant=_refuse_constant)
    return orjson.loads(raw)


def dumps(value: Any) -> bytes:
    """Compact UTF-8; integers beyond 64 bits and lone surrogates take the slow way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def parse_body(raw: bytes) -> Any:
    """Parse a request's body; raises the 400 the real server answers."""
    if (raw.count(b"{") + raw.count(b"[")) > MAX_DEPTH and sprayjson.depth(raw) > MAX_DEPTH:
        raise malformed(_TOO_DEEP)
    try:
        return loads(raw)
    except ValueError:
        return _parse_slowly(raw)


def parse_object(raw: bytes, expected: str) -> dict[str, Any]:
    """Parse a body that must be an object; `expected` is the detail of the 400 otherwise."""
    value = parse_body(raw)
    if not isinstance(value, dict):
        raise malformed(expected)
    return value


def pretty(value: Any) -> bytes:
    """Two-space form of the server's printer: members on lines of their own, arrays on one."""
    return _pretty(value, 0).encode("utf-8", "backslashreplace")


def _pretty(value: Any, indent: int) -> str:
    if isinstance(value, dict) and value:
        inner = " " * (indent + 2)
        members = (f"{inner}{_text(key)}: {_pretty(item, indent + 2)}" for key, item in value.items())
        return "{\n" + ",\n".join(members) + "\n" + " " * indent + "}"
    if isinstance(value, list) and value:
        return "[" + ", ".join(_pretty(item, indent) for item in value) + "]"
    return _text(value)


def _text(value: Any) -> str:
    return dumps(value).decode("utf-8")


def _parse_slowly(raw: bytes) -> Any:
    try:
        sprayjson.check(raw)
    except sprayjson.SyntaxProblem as problem:
        raise malformed(str(problem)) from None
    return json.loads(raw.decode("utf-8", "replace"), strict=False)


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)
