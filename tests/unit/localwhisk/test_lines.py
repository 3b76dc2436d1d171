import re
from typing import Any

import pytest

from localwhisk.lines import line


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
