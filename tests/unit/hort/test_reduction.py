"""From staged columns to blocks."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import panes
from hort.errors import BatchError
from hort.panes import OTHERS, Block
from hort.reduction import records, reduce
from tests.support.windows import START, Record, staged

ids = st.sampled_from(["a", "b_1", "b|1", "a/+", "ü", "", '"],["'])
values = st.dictionaries(st.sampled_from(["x", "y", "z.w"]), st.floats(-1e9, 1e9), max_size=3)
record_lists = st.lists(
    st.builds(Record, ids, st.integers(0, 100_000), values, st.sampled_from(["bike", "bi_ke"]), ids),
    max_size=40,
)


@given(record_lists, st.integers(0, 100_000), st.sampled_from([2, 4, 100_000]))
def test_each_kept_record_is_in_its_group(rows: list[Record], limit: int, at_once: int) -> None:
    with mock.patch.object(panes, "AT_ONCE", at_once):
        check_groups(rows, limit)


def check_groups(rows: list[Record], limit: int) -> None:
    batch = records(staged(rows))
    keep = np.array([row.at >= limit for row in rows], bool)
    wanted: dict[tuple[int, str, str | None, str | None], list[Record]] = {}
    for row in rows:
        if row.at >= limit:
            wanted.setdefault(
                ((START + row.at) // 15_000 * 15_000, row.device_type, row.device, row.event), []
            ).append(row)
    got = {}
    for start, block in reduce(batch, keep, pane_ms=15_000):
        for number, identity in enumerate(block.identities):
            assert (start, block.device_type, *identity) not in got
            got[start, block.device_type, *identity] = (block, number)
    assert got.keys() == wanted.keys()
    for key, mine in wanted.items():
        block, number = got[key]
        assert block.count[number] == len(mine)
        assert block.newest[number] == START + max(row.at for row in mine)
        numbers = {name: [row.values[name] for row in mine if name in row.values] for row in mine for name in row.values}
        assert found(block, number) == {name: (len(seen), min(seen), max(seen)) for name, seen in numbers.items()}


def found(block: Block, number: int) -> dict[str, tuple[int, float, float]]:
    """Count, least and greatest of each field that a group has."""
    cells = np.flatnonzero(block.row == number)
    stats = block.stats.at(cells)
    names = [block.fields[column] for column in block.column[cells].tolist()]
    return {name: (int(n), float(low), float(high)) for name, n, low, high in zip(names, stats.n, stats.low, stats.high, strict=True)}


def test_folded_keys_are_one_group_and_dropped_ones_none() -> None:
    rows = [Record(name, 0, {"x": 1.0}) for name in "abcd"]
    batch = records(staged(rows))
    ((_, block),) = reduce(batch, np.ones(4, bool), pane_ms=15_000, folded=[1, 2], dropped=[3])
    assert dict(zip(block.identities, block.count.tolist(), strict=True)) == {("a", "status"): 1, OTHERS: 2}
    assert block.stats.n.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ts": None}, "ts are missing"),
        ({"ts": b"\0" * 8}, "do not fit"),
        ({"key_index": b"\xff\xff\0\0" * 2}, "do not fit"),
        ({"keys": b"nonsense"}, "cannot be read"),
        ({"cols": b"\xc1"}, "cannot be read"),
        ({"keys": b"[[1]]"}, "cannot be read"),
    ],
)
def test_a_stage_that_does_not_fit_is_refused(change: dict[str, bytes | None], says: str) -> None:
    stage = {**staged([Record("a", 0, {"x": 1.0}), Record("a", 1, {"x": 1.0})]), **change}
    with pytest.raises(BatchError, match=says):
        records({name: value for name, value in stage.items() if value is not None})
