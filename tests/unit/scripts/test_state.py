"""A state folder belongs to one program at a time, and what is not ours in it stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.state import MARK, StateRefused, empty, held
from tests.support.paths import SCRIPTS


def test_a_second_program_is_told_who_works_there(tmp_path: Path) -> None:
    told = rf"\./scripts/demo \(process {os.getpid()}, since .*works in .*state"
    with held(tmp_path / "state", who="./scripts/demo"), pytest.raises(StateRefused, match=told), held(tmp_path / "state", who="other"):
        pass
    with held(tmp_path / "state", who="again"):
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_a_program_that_is_killed_lets_go(tmp_path: Path) -> None:
    code = f"import os, pathlib\nfrom lib.state import held\nwith held(pathlib.Path({str(tmp_path / 'state')!r}), who='x'):\n    os._exit(9)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SCRIPTS)}, check=False).returncode == 9
    with held(tmp_path / "state", who="next"):
        pass


def test_a_folder_with_foreign_files_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StateRefused, match=r"holds files that are not ours, such as thesis\.tex"), held(tmp_path, who="x"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(StateRefused, match="is no folder"), held(tmp_path / "thesis.tex", who="x"):
        pass
    with held(tmp_path, who="x", ours=True):
        assert (tmp_path / MARK).exists()


def test_only_what_is_named_is_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for folder in (outside, tmp_path / "state" / "logs"):
        folder.mkdir(parents=True)
        (folder / "x").touch()
    (tmp_path / "state" / "mine").touch()
    (tmp_path / "state" / "engine").symlink_to(outside)
    empty(tmp_path / "state", ("logs", "engine", "stack.env"))
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["mine"]
    assert (outside / "x").exists()


def test_chaos_refuses_a_foreign_folder_for_its_logs_at_once(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    argv = [sys.executable, "-m", "campaign", "--logs", str(tmp_path)]
    path = os.pathsep.join(str(SCRIPTS.parent / part) for part in ("scripts", "actions", "."))
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "not ours, such as photo.jpg" in done.stderr) == (2, True)
    assert (tmp_path / "photo.jpg").exists()
