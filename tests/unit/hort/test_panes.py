"""Statistics of groups against exact arithmetic, whatever the cut and the order."""

from __future__ import annotations

import itertools
import math
from unittest import mock

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hort import panes
from hort.analytics import DEVICE, DEVICE_TYPE, documents, overflows
from hort.panes import OTHERS, Block, Stats, combine, merge, pack, select, total, unpack
from tests.support.fuzz import examples
from tests.support.windows import Doc, check_field, pairs

SCALES = [0.0, 1e9, -1e9, 1e15, -1e15]
offset_numbers = st.builds(lambda scale, x: scale + x, st.sampled_from(SCALES), st.floats(-1, 1))
all_negative = st.floats(-1e6, -1e-3)
plain = st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100)
number_lists = st.one_of(
    st.lists(all_negative, min_size=1, max_size=40),
    st.lists(plain, min_size=1, max_size=20),
    st.lists(offset_numbers, min_size=1, max_size=40),
    st.builds(lambda x, n: [x] * n, plain, st.integers(1, 30)),
    *(st.lists(st.floats(-1, 1).map(scale.__add__), min_size=1, max_size=40) for scale in SCALES),
)


def block_of(numbers: list[float], *, identity: tuple[str, str] = ("a", "e"), field: str = "x") -> Block:
    rows = np.arange(len(numbers))
    stats = combine(Stats.of_values(np.array(numbers, "f8")), rows, np.array([0]))
    return Block(
        device_type="t",
        identities=[identity],
        fields=[field],
        count=np.array([len(numbers)]),
        newest=np.array([1]),
        row=np.array([0]),
        column=np.array([0]),
        stats=stats,
    )


def properties(block: Block, *, level: str = DEVICE) -> list[Doc]:
    found = documents(block, level=level, start=0, end=45_000, revision=0)
    return [doc for item in found for _, doc in pairs(item.lines())]


def check_block(block: Block, numbers: list[float]) -> None:
    (doc,) = properties(block)
    assert doc["count"] == len(numbers)
    assert doc["n"] == {"x": len(numbers)}
    check_field({name: values["x"] for name, values in doc["properties"].items() if "x" in values}, numbers)


@given(number_lists)
def test_one_batch(numbers: list[float]) -> None:
    check_block(block_of(numbers), numbers)


@settings(max_examples=examples(100))
@given(number_lists, st.data())
def test_any_cut_in_any_order_merged_in_any_tree(numbers: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(numbers))
    with mock.patch.object(panes, "AT_ONCE", data.draw(st.sampled_from([2, 3, 100_000]))):
        check_cuts(numbers, shuffled, data)


def check_cuts(numbers: list[float], shuffled: list[float], data: st.DataObject) -> None:
    cuts = sorted({0, len(numbers), *data.draw(st.lists(st.integers(0, len(numbers)), max_size=6))})
    blocks = [block_of(shuffled[a:b]) for a, b in itertools.pairwise(cuts)]
    check_block(merge(blocks), numbers)
    while len(blocks) > 1:
        first, second = data.draw(st.permutations(range(len(blocks))))[:2]
        rest = [block for number, block in enumerate(blocks) if number not in (first, second)]
        blocks = [*rest, merge([blocks[first], next(unpack(pack([blocks[second]])))])]
    check_block(blocks[0], numbers)


@pytest.mark.parametrize("cuts", [1, 2, 7, 500])
def test_the_standard_deviation_of_a_nanometre_on_a_million_kilometres(cuts: int) -> None:
    numbers = (1e9 + np.random.default_rng(3).normal(0, 1e-3, 1000)).tolist()
    check_block(merge([block_of(numbers[first::cuts]) for first in range(cuts)]), numbers)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=50), st.integers(1, 7))
def test_sums_of_whole_numbers_are_exact(numbers: list[int], cuts: int) -> None:
    floats = [float(number) for number in numbers]
    parts = [floats[first::cuts] for first in range(min(cuts, len(floats)))]
    (doc,) = properties(merge([block_of(part) for part in parts]))
    assert doc["properties"]["sum"]["x"] == pytest.approx(sum(numbers), rel=0, abs=1e-5)
    assert abs(sum(numbers)) < sum(map(abs, numbers)) / 100 or doc["properties"]["sum"]["x"] == sum(numbers)


@given(st.lists(st.floats(0, 5e-324 * 1000), min_size=1, max_size=10))
def test_denormals(numbers: list[float]) -> None:
    check_block(block_of(numbers), numbers)


def test_numbers_too_big_for_a_sum_leave_it_out() -> None:
    block = merge([block_of([1.7e308, 1.7e308]), block_of([-1.7e308])])
    (doc,) = properties(block_of([1.7e308, 1.7e308]))
    assert "sum" not in {name for name, values in doc["properties"].items() if values}
    assert doc["properties"]["avg"] == {"x": 1.7e308}
    (doc,) = properties(block)
    assert doc["properties"]["sum"] == {"x": 1.7e308}
    assert doc["properties"]["ssd"] == doc["properties"]["std"] == {}
    assert overflows(block) == 1
    assert all(math.isfinite(value) for values in doc["properties"].values() for value in values.values())


def test_fields_that_are_missing_in_some_blocks() -> None:
    merged = merge(
        [block_of([1.0, 2.0]), block_of([5.0], field="y"), block_of([3.0], identity=("b", "e"), field="y")]
    )
    first, second = properties(merged)
    assert (first["n"], second["n"]) == ({"x": 2, "y": 1}, {"y": 1})
    assert (first["properties"]["max"], second["properties"]["max"]) == ({"x": 2.0, "y": 5.0}, {"y": 3.0})
    assert second["properties"]["std_sample"] == {}
    (whole,) = properties(total(merged), level=DEVICE_TYPE)
    assert (whole["count"], whole["n"], whole["id"]) == (4, {"x": 2, "y": 2}, None)


def test_packing_keeps_every_bit() -> None:
    block = merge([block_of([0.1, 1e300, -5e-324]), block_of([-0.0], identity=("ü|_/+", ""))])
    again = next(unpack(pack([block])))
    for name in ("n", "mean_hi", "mean_lo", "m2", "low", "high"):
        assert getattr(again.stats, name).tobytes() == getattr(block.stats, name).tobytes()
    assert (again.row.tolist(), again.column.tolist()) == (block.row.tolist(), block.column.tolist())
    assert (again.identities, again.fields, again.device_type) == (block.identities, block.fields, "t")


def test_panes_of_an_earlier_version_are_read_whole() -> None:
    """They are lists of full tables, in which a cell without a value has n = 0; an update finds them in Redis."""
    table = {"n": [2, 0, 1, 1], "mean_hi": [1.5, 0, 3, 4], "mean_lo": [0.0] * 4, "m2": [0.5, 0, 0, 0]}
    ends = {"low": [1, np.inf, 3, 4], "high": [2, -np.inf, 3, 4]}
    value = {
        "type": "t",
        "identities": [["a", "e"], ["b", "e"]],
        "fields": ["x", "y"],
        "count": np.array([2, 1], "<u4").tobytes(),
        "newest": np.array([1, 1], "<i8").tobytes(),
        **{name: np.array(numbers, "<u4" if name == "n" else "<f8").tobytes() for name, numbers in {**table, **ends}.items()},
    }
    (old,) = unpack(msgpack.packb([value]))

    found = merge([old, block_of([5.0]), block_of([7.0], field="y")])

    first, second = properties(found)
    assert first["n"] == {"x": 3, "y": 1}
    assert first["properties"]["max"] == {"x": 5.0, "y": 7.0}
    assert first["properties"]["sum"] == {"x": 8.0, "y": 7.0}
    assert second["n"] == {"x": 1, "y": 1}


def test_a_wide_group_makes_no_other_one_wide() -> None:
    narrow = [block_of([float(number)], identity=(f"d{number}", "e")) for number in range(1_000)]
    wide = [block_of([1.0], identity=("wide", "e"), field=f"f{number}") for number in range(1_000)]
    block = merge([*narrow, *wide])

    assert len(block.row) == 2_000
    assert len(pack([block])) < 200_000
    assert [len(doc["n"]) for doc in properties(block)] == [1] * 1_000 + [1_000]
    (whole,) = properties(total(block), level=DEVICE_TYPE)
    assert whole["n"] == {"x": 1_000, **{f"f{number}": 1 for number in range(1_000)}}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.floats(-1e9, 1e9)), min_size=1, max_size=30), st.data())
def test_groups_of_any_fields_are_merged_packed_and_selected_without_a_loss(cells: list[tuple[str, str, float]], data: st.DataObject) -> None:
    wanted: dict[str, dict[str, list[float]]] = {}
    for device, name, number in cells:
        wanted.setdefault(device, {}).setdefault(name, []).append(number)
    with mock.patch.object(panes, "AT_ONCE", data.draw(st.sampled_from([2, 3, 100_000]))):
        block = merge(list(unpack(pack(block_of([number], identity=(device, "e"), field=name) for device, name, number in cells))))

    chosen = [row for row in range(len(block.identities)) if data.draw(st.booleans())]
    for doc in properties(select(block, chosen)):
        assert doc["n"] == {name: len(numbers) for name, numbers in wanted[doc["id"]].items()}
        assert doc["properties"]["max"] == {name: max(numbers) for name, numbers in wanted[doc["id"]].items()}
    assert len(properties(select(block, chosen))) == len(chosen)


def test_the_others_have_no_document_of_their_own() -> None:
    block = merge([block_of([1.0]), block_of([2.0], identity=OTHERS)])  # type: ignore[arg-type]
    assert [doc["id"] for doc in properties(block)] == ["a"]
    assert properties(total(block), level=DEVICE_TYPE)[0]["count"] == 2
    assert select(block, [1]).identities == [OTHERS]
