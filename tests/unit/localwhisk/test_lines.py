import logging
import re
import sys
from typing import Any

import pytest

from localwhisk.lines import Formatter, line, printable


@pytest.mark.parametrize(
    ("duration", "annotations", "expected"),
    [
        (5, [], "5 ms warm"),
        (5, [{"key": "initTime", "value": 3}], "5 ms cold"),
        (5, [{"key": "kind", "value": "sequence"}], "5 ms sequence"),
        (None, [], "- fire"),
    ],
)
def test_a_line_tells_time_name_status_duration_and_start(
    duration: int | None, annotations: list[dict[str, Any]], expected: str
) -> None:
    shown = line(
        start_ms=0,
        path="guest/pkg/a",
        status="application error",
        duration_ms=duration,
        annotations=annotations,
        activation_id="f" * 32,
    )
    assert re.fullmatch(rf"\d\d:\d\d:\d\d guest/pkg/a application error {expected} f{{32}}", shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e9 \u6f22 \U0001f697\ttab", "plain \u00e9 \u6f22 \U0001f697\ttab"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\nc\x00\x7f\x9b1m", r"a\rb\nc\x00\x7f\x9b1m"),
        ("\u202eevil\u2066\u2028", r"\u202eevil\u2066\u2028"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_log_record_is_one_line_and_a_traceback_those_of_its_own() -> None:
    try:
        raise ValueError("\x1b[31m\rforged")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "said %s", ("\n2026 INFO forged\x1b[0m",), sys.exc_info())
    shown = Formatter("%(levelname)s %(message)s").format(record)
    assert shown.startswith("ERROR said \\n2026 INFO forged\\x1b[0m\nTraceback")
    assert "\x1b" not in shown
    assert "\r" not in shown
