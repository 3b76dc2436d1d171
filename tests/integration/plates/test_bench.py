"""`./scripts/bench plates` as a person types it, on photos from beside the repository."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import SCRIPTS

PHOTOS = {
    "us": [
        "car3.jpg",
        "car6.jpg",
        "wts-lg-000060.jpg",
        "wts-lg-000077.jpg",
        "wts-lg-000098.jpg",
        "wts-lg-000136.jpg",
    ],
    "eu": ["test_002.jpg", "test_015.jpg", "test_028.jpg", "test_039.jpg", "test_077.jpg", "test_083.jpg"],
}


@pytest.mark.slow(30)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("country", ["us", "eu"])
def test_the_strategy_reads_more_than_bare_openalpr(
    country: str, shared: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shared(f"data/plates/tune-{country}")
    lines = (folder / "truth.tsv").read_text().splitlines()
    truth, report = tmp_path / "truth.tsv", tmp_path / "report.json"
    truth.write_text(
        "\n".join(line for line in lines if line.split("\t")[0] in ["file", *PHOTOS[country]]) + "\n"
    )
    command: list[str | Path] = [
        SCRIPTS / "bench",
        "plates",
        "--photos",
        folder,
        "--truth",
        truth,
        "--country",
        country,
        "--json",
        report,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bare OpenALPR" in done.stdout
    figures = json.loads(report.read_text())
    assert figures["photos"] == len(PHOTOS[country])
    for side in ("ours", "bare"):
        assert {"top1", "topn", "false_plates", "p50_ms", "p95_ms"} <= set(figures[side])
    assert figures["ours"]["top1"] > figures["bare"]["top1"]
    assert figures["ours"]["topn"] >= figures["bare"]["topn"]
    assert figures["ours"]["false_plates"] <= figures["bare"]["false_plates"]
