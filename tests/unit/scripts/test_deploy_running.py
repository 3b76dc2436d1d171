"""How wskdeploy is run: to its end, since half of a deployment would leave a running feed removed."""

import os
import sys
from pathlib import Path

import pytest

from lib.deploy import __main__ as deploy

TOOL = """
import os, pathlib, signal, sys, time
print("the feed is removed", flush=True)
for _ in range(int(sys.argv[2])):
    os.kill(os.getppid(), getattr(signal, sys.argv[3]))
    time.sleep(0.5)
print("the feed is made, key is a-secret", flush=True)
pathlib.Path(sys.argv[1]).touch()
"""


def _run(folder: Path, *, asked: int, signal: str = "SIGINT") -> bool:
    """Whether the tool came to its end."""
    done = folder / "done"
    try:
        assert deploy._run([sys.executable, "-c", TOOL, str(done), str(asked), signal], env={}, secrets=["a-secret"], cwd=folder) == 0
    finally:
        ended = done.exists()
    return ended


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_who_asks_it_to_end_waits_for_the_whole_deployment(signal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, asked=1, signal=signal)
    assert (tmp_path / "done").exists()
    said = capsys.readouterr().out
    assert "the feed is removed\n" in said
    assert "the deployment is brought to its end first" in said
    assert said.endswith("the feed is made, key is ***\n")


def test_who_asks_twice_ends_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, asked=9)
    assert not (tmp_path / "done").exists()


def test_a_reader_that_goes_away_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `./scripts/deploy | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert _run(tmp_path, asked=0)
