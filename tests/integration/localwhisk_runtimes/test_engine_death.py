"""When the engine is killed, its actions go with it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.actions_specs import processes_in
from tests.support.paths import ROOT
from tests.support.polling import wait_until

PROGRAM = """
import asyncio, sys
from pathlib import Path
from localwhisk.runtimes import Pool
from tests.support.actions_specs import context, spec

async def main():
    pool = Pool(state=Path(sys.argv[1]), action_python=Path(sys.executable))
    await pool.start()
    await pool.run(spec("def main(a):\\n    return {}\\n"), context(), b"{}")
    busy = spec("def main(a):\\n    print('busy', flush=True)\\n    while True: pass\\n", fqn="/guest/busy", timeout_ms=60000)
    await pool.run(busy, context(), b"{}")

asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not on this machine")
def test_kill_9_of_the_engine_leaves_no_action_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/scripts:{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment, cwd=ROOT
    ) as engine:
        wait_until(lambda: len(processes_in(tmp_path / "code")) == 2, what="two actions")
        engine.send_signal(signal.SIGKILL)
    wait_until(lambda: processes_in(tmp_path) == [], what="the end of all actions")
