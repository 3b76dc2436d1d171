"""The recordings of the real server, replayed."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import SCRIPTS
from tests.support.services import environment

Shared = Callable[[str], Path]
_FOLDERS = {"logstore": "golden"}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("main", marks=pytest.mark.slow(90)),
        pytest.param("extra", marks=pytest.mark.slow(12)),
        pytest.param("logstore", marks=pytest.mark.slow(5)),
        pytest.param("throttle", marks=pytest.mark.slow(140)),
    ],
)
def test_every_exchange_matches_but_for_the_listed_deviations(shared: Shared, name: str) -> None:
    recording = shared(f"reference/{_FOLDERS.get(name, 'golden-next')}/{name}.jsonl")
    done = subprocess.run(
        [SCRIPTS / "conformance", recording],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].endswith(" exchanges match")
