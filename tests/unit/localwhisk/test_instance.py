import os
from pathlib import Path

import pytest

from localwhisk import instance
from localwhisk.instance import Claim, StateInUse


def test_a_folder_tells_of_the_engine_that_holds_it(tmp_path: Path) -> None:
    assert instance.running(tmp_path / "never") is None
    claim = Claim(tmp_path)
    claim.announce("http://127.0.0.1:1")
    found = instance.running(tmp_path)
    assert found is not None
    assert (found.pid, found.address) == (os.getpid(), "http://127.0.0.1:1")
    claim.release()
    assert instance.running(tmp_path) is None


def test_a_second_engine_is_refused_and_told_which_is_first(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    claim.announce("http://127.0.0.1:1")
    with pytest.raises(StateInUse, match=f"process {os.getpid()}"):
        Claim(tmp_path)
    claim.release()
    Claim(tmp_path).release()


def test_what_a_crash_left_is_no_running_engine(tmp_path: Path) -> None:
    (tmp_path / "engine.lock").touch()
    (tmp_path / "engine.json").write_text('{"pid": 1, "address": "http://127.0.0.1:1", "started_ms": 1}')
    assert instance.running(tmp_path) is None


def test_a_broken_mark_is_no_running_engine(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    (tmp_path / "engine.json").write_text("{")
    assert instance.running(tmp_path) is None
    claim.release()
