import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.polling import wait_until
from tests.support.stalls import Stalls, stoppable

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", *arguments]))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_descendants_and_what_was_given_a_path_in_the_folder_can_be_stopped(start: Start, tmp_path: Path) -> None:
    child, apart = start(), start(str(tmp_path / "stack"))
    wait_until(lambda: bytes(tmp_path) in Path(f"/proc/{apart.pid}/cmdline").read_bytes(), what="its start")
    assert {child.pid, apart.pid} <= stoppable(os.getpid(), tmp_path)
    found = stoppable(child.pid, tmp_path)
    assert apart.pid in found
    assert not {child.pid, os.getpid()} & found


def test_what_a_test_has_stopped_is_left_alone(start: Start, tmp_path: Path) -> None:
    child = start()
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: state(child.pid) == "T", what="its stop")
    assert child.pid not in stoppable(os.getpid(), tmp_path)


def test_whatever_is_stopped_goes_on_at_the_end(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = start()
    monkeypatch.setattr("tests.support.stalls.stoppable", lambda _root, _folder: {child.pid})
    monkeypatch.setattr("tests.support.stalls.PAUSE_S", (0.0, 0.0))
    monkeypatch.setattr("tests.support.stalls.STALL_S", (600.0, 600.0))
    stalls = Stalls(1, tmp_path)
    stalls.start()
    wait_until(lambda: state(child.pid) == "T", what="its stop")
    stalls.end()
    wait_until(lambda: state(child.pid) != "T", what="its end")
