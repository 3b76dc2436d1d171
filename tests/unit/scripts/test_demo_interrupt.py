"""Ctrl-C ends the demo wherever it comes, and a look in which a part is missing is no sum."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from demonstrate import __main__ as demo
from demonstrate import processes
from demonstrate.__main__ import Interrupted
from demonstrate.facts import Facts, Reader
from demonstrate.whisk import Whisk


def test_in_a_request_it_is_no_failed_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elasticsearch's client makes a ConnectionError of what it does not know, and one look that fails does not end the demo."""

    def interrupted(*_: object, **__: object) -> NoReturn:
        raise Interrupted

    monkeypatch.setattr("urllib3.HTTPConnectionPool.urlopen", interrupted)
    reader = Reader(elasticsearch_url="http://127.0.0.1:9", redis_url="redis://127.0.0.1:9", provider_url="", whisk=Whisk("", "a:b"))
    with pytest.raises(Interrupted):
        reader.read()


class Looks:
    """A reader whose first looks miss a part."""

    def __init__(self, missing: int) -> None:
        self.left = missing

    def read(self, *, refreshed: bool) -> Facts:
        assert refreshed, "what was written a moment ago counts"
        self.left -= 1
        return Facts(problems=("Redis: busy",)) if self.left >= 0 else Facts(published=7)


def test_the_sum_waits_until_every_part_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "LOOK_EVERY_S", 0)
    reader: Any = Looks(3)
    assert demo._whole(reader, deadline=time.monotonic() + 60) == Facts(published=7)
    reader = Looks(1_000_000)
    assert demo._whole(reader, deadline=0.0).problems


def test_a_part_whose_start_is_interrupted_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[processes.Process] = []

    def interrupted(process: processes.Process, _ready_file: Path) -> str:
        started.append(process)
        raise Interrupted

    monkeypatch.setattr(processes, "_await_ready", interrupted)
    with pytest.raises(Interrupted):
        processes.start("part", [sys.executable, "-c", "import time; time.sleep(600)"], logs=tmp_path, env={**os.environ}, ready=True)
    assert not started[0].alive()


def test_a_command_that_wants_to_be_asked_twice_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As scripts/deploy, which else would hold up the end of the demo until it is done."""
    program = "import signal, sys, time; came = []; signal.signal(signal.SIGTERM, lambda *_: sys.exit() if came else came.append(1))\nwhile True: time.sleep(600)"
    wait, waits = subprocess.Popen.wait, iter([Interrupted()])

    def interrupted(process: "subprocess.Popen[bytes]", timeout: float | None = None) -> int:
        for error in waits:
            raise error
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    monkeypatch.setattr(processes, "ASKED_AGAIN_AFTER_S", 0.5)
    with pytest.raises(Interrupted):
        processes.run([sys.executable, "-c", program], log=tmp_path / "log", env={**os.environ})


def test_what_a_killed_demo_left_running_is_stopped_and_nothing_else(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    left, other = (processes.start(name, sleeper, logs=tmp_path, env={**os.environ}, ready=False) for name in ("left", "other"))
    (tmp_path / "other.pid").write_text(f"{other.popen.pid} 1")  # a number that was given away again
    (tmp_path / "torn.pid").write_text("")
    processes.stop_left(tmp_path)
    assert (left.alive(), other.alive()) == (False, True)
    other.stop()


PROGRAM = """
import signal, subprocess, sys, time
from demonstrate import __main__ as demo
from demonstrate import suite

class Suite:
    def __init__(self, options, view): self.view = view
    def prepare(self): pass
    def stop(self):
        self.view.say("stopping everything")
        print("stopped", file=sys.stderr, flush=True)

def run(options, suite, view):
    for number in range(1000):
        view.say(f"line {number} …")
        time.sleep(0.01)

demo.Suite, demo._run = Suite, run
sys.argv = ["demo", "--state", sys.argv[1]]
sys.exit(demo.main())
"""


def _demo(folder: Path, **extra: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", PROGRAM, str(folder / "state")]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **extra})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_asks_it_to_end_all_is_stopped(number: signal.Signals, tmp_path: Path) -> None:
    """A closed terminal (SIGHUP) left every server running."""
    with _demo(tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "stopped\n")
    assert "stopping everything" in said


def test_what_was_not_started_is_not_said_to_be_stopped(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "demonstrate", "--state", str(tmp_path)]
    ended = subprocess.run(argv, env={**os.environ, "HORT_WINDOW_S": "soon"}, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "nothing was started" in ended.stdout
    assert "stopping" not in ended.stdout


def test_before_it_begins_it_ends_without_a_word(tmp_path: Path) -> None:
    """Ctrl-C within the second in which Python reads the demo's libraries showed a traceback of them."""
    (tmp_path / "requests.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    ended = subprocess.run([sys.executable, "-m", "demonstrate", "--state", str(tmp_path)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


def test_a_reader_that_goes_away_ends_it_in_order(tmp_path: Path) -> None:
    """As in `./scripts/demo | head`, which left every server running."""
    with _demo(tmp_path) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "stopped\n")


def test_a_terminal_that_knows_few_characters_is_no_trouble(tmp_path: Path) -> None:
    with _demo(tmp_path, PYTHONIOENCODING="ascii") as process:
        assert process.stdout
        assert process.stdout.readline().endswith("line 0 \\u2026\n")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_what_nohup_shields_stays_shielded(tmp_path: Path) -> None:
    with subprocess.Popen(["nohup", sys.executable, "-c", PROGRAM, str(tmp_path / "state")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        assert [process.stdout.readline() for _ in range(3)][-1]
        process.send_signal(signal.SIGTERM)
        assert "stopped" in process.communicate(timeout=60)[1]
