"""A short fault campaign, as `./scripts/chaos` runs it: whatever is killed, stopped, cut off or refused, every record is there once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MINUTES = 1.5
SEED = 10
FAULTS = (
    "kill-broker,kill-redis,kill-provider,kill-engine,kill-action,kill-after-effect,cut-after-effect,deliver-twice,deliver-late,"
    "reset,hang,elasticsearch-items,elasticsearch-lost-answers,redis-full,clock-jump,disk-full"
)


@pytest.mark.long("a campaign: each kind of fault has a short test of its own")
@pytest.mark.timeout(2400)
def test_campaign(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = [f"--minutes={MINUTES}", f"--seed={SEED}", f"--faults={FAULTS}", "--rate=80", f"--json={report}", f"--logs={tmp_path / 'kept'}"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("scripts", "actions", "."))}
    done = subprocess.run([sys.executable, "-m", "campaign", *options], env=env, cwd=ROOT, capture_output=True, text=True, timeout=2200, check=False)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-6000:]
    found = json.loads(report.read_text())
    assert found["ok"] is True
    assert sum(row["count"] for row in found["faults"]) >= 5
    assert sum(found["verdict"]["stored"].values()) > 1_000
    assert found["verdict"]["windows"]["compared"] > 100
