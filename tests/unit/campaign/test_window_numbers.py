"""The oracle's numbers and the suite's own, each computed in its own way, agree on what is hardest: times that lie close."""

from __future__ import annotations

import random

import numpy as np
import orjson
import pytest

from campaign.record_oracle import Rules, Stored
from campaign.verdict import Verdict
from campaign.window_oracle import judge
from hort.analytics import documents
from hort.panes import merge
from hort.reduction import Columns, Records, reduce
from tests.support.campaign import START_MS

FIELDS = ("seq", "time", "value")


def rows(count: int, step_ms: int) -> list[Stored]:
    draw = random.Random(count)
    return [
        Stored(
            doc_id=str(number),
            group="g",
            device="d",
            event="status",
            seq=number,
            at_ms=START_MS + number * step_ms,
            received_ms=START_MS + number * step_ms,
            late=False,
            fields=FIELDS,
            numbers=(float(number), float(START_MS + number * step_ms), round(draw.uniform(-50, 150), 3)),
        )
        for number in range(count)
    ]


def suite_windows(stored: list[Stored], pieces: int) -> list[dict[str, object]]:
    """Analytics of the suite's own code, the records in as many batches; all lie in one pane."""
    blocks = []
    for part in np.array_split(np.arange(len(stored)), pieces):
        mine = [stored[number] for number in part]
        columns = Columns(
            device_type="g",
            fields=list(FIELDS),
            rows=np.arange(len(mine), dtype=np.uint32),
            values=np.array([row.numbers for row in mine]),
        )
        times = np.array([row.at_ms for row in mine], np.int64)
        batch = Records([("g", "d", "status")], np.zeros(len(mine), np.uint32), times, [columns])
        blocks += [block for _, block in reduce(batch, np.ones(len(mine), bool), pane_ms=15_000)]
    (whole,) = [merge(blocks)]
    first = START_MS - START_MS % 15_000 + 15_000
    return [
        {**orjson.loads(document.body), "_id": f"{level}{end}"}
        for end in range(first, first + 45_000, 15_000)
        for level in ("device", "device_type")
        for document in documents(whole, level=level, start=end - 45_000, end=end, revision=0)
    ]


@pytest.mark.parametrize(("count", "step_ms"), [(1, 1), (2, 1), (3, 1), (5, 0), (200, 1), (400, 10)])
@pytest.mark.parametrize("pieces", [1, 7])
def test_the_suite_and_the_oracle_agree(count: int, step_ms: int, pieces: int) -> None:
    stored, verdict = rows(count, step_ms), Verdict()
    judge(stored, suite_windows(stored, min(pieces, count)), Rules(closed_until_ms=START_MS + 10**6), verdict)
    assert verdict.ok, [finding.line() for finding in verdict.of("wrong")]
    assert verdict.windows["compared"] == 6
