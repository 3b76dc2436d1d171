import json
from pathlib import Path
from typing import Any

import pytest

from workloads import plates


def truth(tmp_path: Path, text: str) -> dict[str, set[str]]:
    path = tmp_path / "truth"
    path.write_text(text)
    return plates.read_truth(path)


def answer(*results: tuple[str, list[str]], ms: float = 1.0) -> dict[str, Any]:
    return {
        "results": [{"plate": plate, "candidates": candidates} for plate, candidates in results],
        "ms": ms,
    }


@pytest.mark.parametrize(
    "text",
    [
        "file\tx\ty\twidth\theight\tplate\na.jpg\t1\t2\t3\t4\tab 1\nb.jpg\t1\t2\t3\t4\tC2\n",
        "a.jpg\t1\t2\t3\t4\tAB1\nb.jpg\t1\t2\t3\t4\tC2\n",
        "plate,file\nAB1,a.jpg\nC2,b.jpg\n",
        "a.jpg,AB1\n\nb.jpg,C2\n",
        '{"a.jpg": "AB1", "b.jpg": ["C2"]}',
        '[{"file": "a.jpg", "plate": "AB1"}, {"file": "b.jpg", "plate": "C2"}]',
    ],
)
def test_truth_in_every_form(tmp_path: Path, text: str) -> None:
    assert truth(tmp_path, text) == {"a.jpg": {"AB1"}, "b.jpg": {"C2"}}


def test_a_photo_may_have_several_plates(tmp_path: Path) -> None:
    assert truth(tmp_path, "a.jpg\tAB1\na.jpg\tC2\n") == {"a.jpg": {"AB1", "C2"}}


@pytest.mark.parametrize("text", ["", "a.jpg\n"])
def test_no_truth_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(SystemExit, match="truth"):
        truth(tmp_path, text)


def test_figures() -> None:
    pairs = [
        ({"AB1"}, answer(("AB1", ["AB1"]), ms=10)),
        ({"C2"}, answer(("G2", ["G2", "C2"]), ("X9", ["X9"]), ms=30)),
        ({"D3"}, answer(ms=20)),
        ({"E4"}, answer(("F4", ["F4", "F5", "E4"]), ms=40)),
    ]
    assert plates.judged(pairs, n=2) == {
        "top1": 0.25,
        "topn": 0.5,
        "false_plates": 3,
        "unanswered": 1,
        "p50_ms": 20,
        "p95_ms": 40,
    }


def test_photos_and_truth_that_have_nothing_in_common_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"a.jpg": "AB1"}))
    with pytest.raises(SystemExit, match="--photos"):
        plates.run(photos=tmp_path, truth=path)
