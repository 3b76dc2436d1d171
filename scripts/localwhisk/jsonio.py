"""JSON as the real server reads and writes it: exact numbers, its error texts, its pretty form.

The server keeps every number as a BigDecimal. Here a number is an int or a float where that says the same, else a Decimal.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

import orjson

from localwhisk import sprayjson
from localwhisk.errors import malformed

MAX_DEPTH = 1000
sys.setrecursionlimit(max(sys.getrecursionlimit(), 8 * MAX_DEPTH))  # Python's own writer goes as deep as values may be
_EXACT_BYTES = 2 * 1024 * 1024  # beyond it stands the code of an action, where the search would take long
_EXPLAINED_BYTES = 16 * 1024
"""Of a longer text it is told in short what is wrong: to read it as the server does takes seconds, in which nobody else is answered."""
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_NUMBERS = (b"0" * 19, b"e000", b"e+000", b"e-000")
_NUMBER = f"<{secrets.token_hex(16)}>"
"""Marks a number among the texts of the slow way out; nobody can know it."""
_MARKED = re.compile(f'"{_NUMBER}([^"]*)"')
_TOO_DEEP = (
    "JSON input nested too deeply:JSON input was nested more deeply than the configured limit of "
    f"maxNesting = {MAX_DEPTH}"
)


def loads(raw: bytes) -> Any:
    """Parse; numbers of any size keep their value, up to what a payload may have. Raises ValueError."""
    if len(raw) <= _EXACT_BYTES and _has_long_numbers(raw):
        return loads_slowly(raw)
    return orjson.loads(raw)


def dumps(value: Any) -> bytes:
    """Compact UTF-8; integers beyond 64 bits and half surrogate pairs, written as `?`, take the slow way."""
    try:
        return orjson.dumps(value, default=_as_written)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=lambda number: f"{_NUMBER}{number}")
        return _MARKED.sub(r"\1", text).encode("utf-8", "replace")


def _has_long_numbers(raw: bytes) -> bool:
    shape = raw.translate(_SHAPE)
    return any(digits in shape for digits in _LONG_NUMBERS)


def loads_slowly(raw: bytes | str, *, strict: bool = True) -> Any:
    """Parse as `loads` does, whatever the size; half a surrogate pair becomes the `?` that Java writes for it."""
    value = _parse(raw, strict=strict)
    return _parse(dumps(value)) if has_surrogates(raw) else value


def has_surrogates(raw: bytes | str) -> bool:
    """Tell whether surrogates are among the escapes, perhaps without their other half."""
    return "\\ud" in raw.lower() if isinstance(raw, str) else b"\\ud" in raw.lower()


def _parse(raw: bytes | str, *, strict: bool = True) -> Any:
    return json.loads(raw, strict=strict, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_double)


def _integer(text: str) -> int:
    return int(_short(text))


def _double(text: str) -> float | Decimal:
    number, exact = float(text), Decimal(_short(text))
    return number if Decimal(repr(number)) == exact else exact


def _short(text: str) -> str:
    if len(text) > sprayjson.MAX_NUMBER_CHARACTERS:
        message = "number is too long"
        raise ValueError(message)
    return text


def _as_written(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError


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


def spray_class(value: Any) -> str:
    """Name of the class that a value has in the server, as some of its errors tell."""
    match value:
        case None:
            return "JsNull$"
        case bool():
            return "JsTrue$" if value else "JsFalse$"
        case str():
            return "JsString"
        case list():
            return "JsArray"
        case dict():
            return "JsObject"
        case _:
            return "JsNumber"


def pretty(value: Any) -> bytes:
    """Two-space form of the server's printer: members on lines of their own, arrays on one."""
    parts: list[str] = []
    _pretty(value, "\n", parts.append)
    return "".join(parts).encode("utf-8", "replace")


def _pretty(value: Any, line: str, write: Callable[[str], None]) -> None:
    """Write a value; `line` ends one and indents the next."""
    if isinstance(value, dict) and value:
        before, inner = "{", f"{line}  "
        for key, item in value.items():
            write(f"{before}{inner}{_text(key)}: ")
            _pretty(item, inner, write)
            before = ","
        write(f"{line}}}")
    elif isinstance(value, list) and value:
        before = "["
        for item in value:
            write(before)
            _pretty(item, line, write)
            before = ", "
        write("]")
    else:
        write(_text(value))


def _text(value: Any) -> str:
    return dumps(value).decode("utf-8")


def _parse_slowly(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace")
    try:
        if len(raw) > _EXPLAINED_BYTES:
            return loads_slowly(text)
        sprayjson.check(raw)
    except ValueError as problem:
        raise malformed(str(problem)) from None
    return loads_slowly(text, strict=False)


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)
