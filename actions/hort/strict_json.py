"""JSON from outside, read so that nothing in it is lost: a text of which a value would disappear is refused with the reason.

orjson keeps the last of two members with one name, makes a double of an integer beyond 64 bits, and 0 of what is too small for
one. It reads; a text in which that may have happened is read again by a parser that sees names and numbers as they stand there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

_BOM = b"\xef\xbb\xbf"
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_LONG, _TOO_LONG, _TOO_LOW = b"0" * 19, b"0" * 20, b"-" + b"0" * 19
_SMALL = b"e-000"
_TOO_DEEP = "it is nested too deeply"
_QUOTE = b'"'
_ESCAPED_QUOTE = b"\\u0022"
_INTEGERS = range(-(2**63), 2**64)
"""What orjson reads and writes without a loss."""
_BYTEWISE = "latin-1"
"""One character a byte: what stands outside of strings is ASCII, so elements are found in a text that is no UTF-8, too."""
_OPENED, _PARTED, _CLOSED = (re.compile(rf"[ \t\n\r]*{sign}[ \t\n\r]*") for sign in (r"\[", ",", r"\]"))
_DECODER = json.JSONDecoder(parse_int=float)


class Refused(ValueError):
    """The text is no JSON, or not all of it could be kept; `reason` is a stable code, `detail` a sentence's end."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def loads(text: bytes | str) -> Any:
    """The value of a JSON text; Refused where it is none, or says more than a value can hold."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        _explain(raw, error)
    if numbers_fit(raw) and _names_differ(raw, value):
        return value
    return _slowly(raw)


def elements(raw: bytes, *, most: int) -> list[bytes] | None:
    """Return the texts of an array's elements, each to be read by itself; None where it is no array, is empty, or has more than `most`."""
    text = raw.decode(_BYTEWISE)
    found: list[bytes] = []
    mark = _OPENED.match(text)
    while mark and len(found) < most:
        try:
            end = _DECODER.raw_decode(text, mark.end())[1]
        except (ValueError, RecursionError):
            return None
        found.append(raw[mark.end() : end])
        mark = _PARTED.match(text, end)
        if not mark and _CLOSED.fullmatch(text, end):
            return found
    return None


def quotes(flat: Mapping[str, Any]) -> int:
    """How many quotes the text of a flat object has, two a name and two a text; one with more names one twice, or escapes some."""
    return 2 * (len(flat) + sum(type(value) is str for value in flat.values()))


def numbers_fit(raw: bytes) -> bool:
    """Whether no number of one or more texts can be beyond what orjson keeps; if not, `loads` knows."""
    shape = raw.translate(_SHAPE)
    long = _LONG in shape and (_TOO_LONG in shape or _TOO_LOW in shape)
    return not long and _SMALL not in shape


def _names_differ(raw: bytes, value: Any) -> bool:
    """Whether as many quotes come out as went in: two fewer are left of a name that came twice."""
    if _ESCAPED_QUOTE in raw:
        return False
    try:
        return raw.count(_QUOTE) == orjson.dumps(value).count(_QUOTE)
    except orjson.JSONEncodeError as error:  # what could be read but never be written
        raise Refused("too-deep", _TOO_DEEP) from error


def _slowly(raw: bytes) -> Any:
    try:
        return json.loads(raw, object_pairs_hook=_object, parse_int=_integer, parse_float=_double)
    except RecursionError:
        raise Refused("too-deep", _TOO_DEEP) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise Refused("repeated-name", f"an object has two members {twice[:80]!r}, of which one would be lost")
    return found


def _integer(text: str) -> int:
    if len(text) > 20 or int(text) not in _INTEGERS:
        raise Refused("bad-number", f"integer {text[:24]}{'...' if len(text) > 24 else ''} is beyond 64 bits: send it as text")
    return int(text)


def _double(text: str) -> float:
    number = float(text)
    if not number and any(digit in "123456789" for digit in text.lower().partition("e")[0]):
        raise Refused("bad-number", f"number {text[:24]} is too small for a double")
    return number


def _explain(raw: bytes, error: orjson.JSONDecodeError) -> NoReturn:
    """Raises Refused with the code that fits what the parser refused."""
    if not raw.strip():
        raise Refused("empty", "it is empty") from error
    if raw.startswith(_BOM):
        raise Refused("not-json", "it begins with a byte order mark, which JSON has not") from error
    try:
        raw.decode()
    except UnicodeDecodeError as utf8:
        raise Refused("not-utf8", f"it is not UTF-8: {utf8.reason} at byte {utf8.start}") from error
    if "depth" in error.msg:
        raise Refused("too-deep", _TOO_DEEP) from error
    if "infinity" in error.msg or _has_nan(raw):
        raise Refused("nan", "it holds NaN, Infinity or a number beyond the range of a double") from error
    raise Refused("not-json", f"it is not JSON: {error.msg}") from error


def _has_nan(raw: bytes) -> bool:
    """Whether the text would be JSON if NaN and Infinity were."""
    try:
        json.loads(raw, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return b"NaN" in raw or b"Infinity" in raw
