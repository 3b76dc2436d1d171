"""Request targets and forms as the real server's HTTP library reads them, telling where a fault is.

A target is to be right by RFC 3986, and is refused before anything looks at it. A form may have all visible characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote_plus, unquote_plus

from localwhisk import messages
from localwhisk.errors import PlainError, malformed

_PCHAR = r"A-Za-z0-9\-._~!$&'()*+,;=:@"
_ENCODED = r"%[0-9A-Fa-f]{2}"
_PATH = re.compile(rf"(?:[{_PCHAR}/]|{_ENCODED})*")
_QUERY = re.compile(rf"(?:[{_PCHAR}/?]|{_ENCODED})*")
_FORM_PAIR = re.compile(rf"((?:(?![%&=#])[!-~]|{_ENCODED})*)(?:=((?:(?![%&#])[!-~]|{_ENCODED})*))?")
_HEX = frozenset("0123456789abcdefABCDEF")
_SHOWN = 1000
_KEPT = "-._~!$'()*,:@/?"  # besides letters and digits, when a query is written again


def check(target: str) -> None:
    """Raise the 400 for a target with characters that none may have."""
    if not target.startswith("/"):
        return
    end = _end(_PATH, target, 0)
    if target[end : end + 1] not in ("", "?"):
        segment_begins = target[end - 1] == "/"
        _refuse(target, end, messages.SEGMENT_EXPECTED if segment_begins else messages.PATH_EXPECTED)
    query = end + 1
    end = _end(_QUERY, target, query)
    if end < len(target):
        _refuse(target, end, messages.QUERY_EXPECTED if end == query else messages.QUERY_CHAR_EXPECTED)


def pairs(query: str) -> list[tuple[str, str]]:
    """Keys and values of a query that was checked, decoded, in order; a value may hold `=` and `;`."""
    return [(unquote_plus(key), unquote_plus(value or "")) for key, value in _pairs(query)]


def normal(query: str) -> str:
    """A query written again from its pairs."""
    return "&".join(
        _written(key) if value is None else f"{_written(key)}={_written(value)}" for key, value in _pairs(query)
    )


def form(text: str, charset: str) -> list[tuple[str, str]]:
    """Keys and values of a form (HTML 4.01, 17.13.4), decoded, in order; raises the 400 for characters that are to be encoded."""
    found, at = [], 0
    for part in text.split("&") if text else ():
        match = _FORM_PAIR.match(part)
        end = match.end() if match else 0
        if match is None or end < len(part):
            raise malformed(_fault_of_form(text, at + end, _expected(part[:end], at)))
        key, value = match[1], match[2] or ""
        found.append((unquote_plus(key, charset), unquote_plus(value, charset)))
        at += len(part) + 1
    return found


def _pairs(query: str) -> Iterator[tuple[str, str | None]]:
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        yield key, value if equals else None


def _expected(read: str, start: int) -> str:
    """What could follow the part of a pair that was read."""
    if not read:
        return messages.PAIRS_EXPECTED if start else messages.PAIR_EXPECTED
    if read.endswith("=") and read.count("=") == 1:
        return messages.VALUE_EXPECTED
    return messages.VALUE_CHAR_EXPECTED if "=" in read else messages.KEY_CHAR_EXPECTED


def _fault_of_form(text: str, at: int, expected: str) -> str:
    """What is wrong at a place, with the line it is in where that is not too long."""
    found, expected, at = _place(text, at, expected)
    line = text.partition("\n")[0]
    shown = f": {line}\n{' ' * at}^" if len(line) <= _SHOWN else ""
    return messages.illegal_query(found, expected, at + 1) + shown


def _written(text: str) -> str:
    return quote_plus(unquote_plus(text), safe=_KEPT)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _refuse(target: str, at: int, expected: str) -> None:
    """Raise for the character at `at`."""
    found, expected, at = _place(target, at, expected)
    raise PlainError(400, messages.illegal_target(found, expected, at + 1), close=True)


def _place(text: str, at: int, expected: str) -> tuple[str | None, str, int]:
    """Character that is wrong (None for the end), what is expected, and where; a percent sign is right, what comes after it is not."""
    if text[at] == "%":
        at += 2 if text[at + 1 : at + 2] in _HEX else 1
        expected = messages.HEX_EXPECTED
    return (text[at] if at < len(text) else None), expected, at
