"""What an action imports before its first activation: a heavy package that it does not need costs every cold start."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

HEAVY = {"numpy", "elasticsearch", "paho", "requests", "httptools", "asyncio", "starlette", "rich", "hypothesis"}


@pytest.mark.parametrize(
    ("module", "needed"),
    [("hort.ingest", {"asyncio"}), ("hort.sink", {"elasticsearch", "requests", "asyncio"})],
)
def test_only_what_it_needs(module: str, needed: set[str]) -> None:
    script = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "actions", capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) & HEAVY <= needed
