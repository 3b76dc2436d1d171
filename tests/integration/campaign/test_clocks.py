"""A clock that jumps, in a process that runs, also in one that ignores its environment as actions do."""

import subprocess
import sys
import time
from pathlib import Path

from campaign.clocks import Clock

SAYS = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.time_ns(), time.monotonic(), flush=True)"


def test_time_jumps_in_a_running_process(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock", base=Path(sys.executable))
    with subprocess.Popen([clock.python, "-I", "-c", SAYS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        stdin, stdout = child.stdin, child.stdout
        assert stdin is not None
        assert stdout is not None

        def ask() -> tuple[float, float, float]:
            print(file=stdin, flush=True)
            seconds, nanoseconds, steady = stdout.readline().split()
            return float(seconds) - time.time(), int(nanoseconds) / 1e9 - time.time(), float(steady) - time.monotonic()

        for jump in (0.0, 3600.0, -90.0, 0.0):
            clock.jump(jump)
            assert abs(ask()[0] - jump) < 30
            assert abs(ask()[1] - jump) < 30
            assert abs(ask()[2]) < 30
        stdin.close()


def test_packages_of_the_base_are_there(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock", base=Path(sys.executable))
    done = subprocess.run([clock.python, "-I", "-c", "import numpy, redis; print('there')"], capture_output=True, text=True, check=True)
    assert done.stdout == "there\n"
