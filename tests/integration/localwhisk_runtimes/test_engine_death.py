"""When the engine is killed, everything that it has started goes with it; what leaves its group goes with its action."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from localwhisk.runtimes import Pool
from tests.support.actions_specs import invoke, processes_in, spec, zipped
from tests.support.paths import ROOT
from tests.support.polling import wait_until

WithPool = Callable[..., None]
PROXY = (sys.executable, str(ROOT / "tests" / "support" / "action_proxy.py"), "{port}")
LEAVE = "(setsid sleep {0} </dev/null >/dev/null 2>&1 &)"
"""A session of its own, whose parent ends at once."""
STAY = "env -i setsid -w /bin/sleep {0}1"
"""A session of its own without a variable, whose parent stays."""
PYTHON = "import os\nos.system('{leave}')\ndef main(a):\n    os.system('{stay}')\n"
NODE = "const c = require('child_process'); c.execSync('{leave}'); function main() {{ c.execSync('{stay}'); }}"
SHELL = "#!/bin/sh\n{leave}\n{stay}\n"
INSTALLER = '#!/bin/sh\n[ "$3" = virtualenv ] || exec cat\n{leave}\n{stay}\n'

PROGRAM = """
import asyncio, pickle, sys
from pathlib import Path
from localwhisk.runtimes import Pool
from tests.support.actions_specs import context

async def main():
    state, job = Path(sys.argv[1]), Path(sys.argv[2])
    spec, params, options = pickle.loads(job.read_bytes())
    pool = Pool(state=state, **options)
    await pool.start()
    print((await pool.run(spec, context(), params)).logs)

asyncio.run(main())
"""


def lines(code: str, number: int) -> str:
    return code.format(leave=LEAVE.format(number), stay=STAY.format(number))


def requirements(number: int, folder: Path) -> dict[str, Any]:
    """An installation that goes on for ever."""
    interpreter = folder / "python"
    interpreter.write_text(lines(INSTALLER, number))
    interpreter.chmod(0o700)
    return {"code": zipped(**{"__main__.py": "", "requirements.txt": "six\n"}), "binary": True}


def shell(number: int, _: Path) -> dict[str, Any]:
    return {"code": lines(SHELL, number), "kind": "blackbox", "image": "openwhisk/dockerskeleton"}


def python(number: int, _: Path) -> dict[str, Any]:
    return {"code": lines(PYTHON, number)}


def node(number: int, _: Path) -> dict[str, Any]:
    return {"code": lines(NODE, number), "kind": "nodejs:20"}


def mapped(number: int, folder: Path) -> dict[str, Any]:
    (folder / "proxy.sh").write_text(lines(SHELL, number))
    return {"code": "x", "kind": "php:8.1"}


@pytest.mark.parametrize("kind", [python, node, shell, mapped, requirements])
def test_kill_9_of_the_engine_leaves_nothing_behind(tmp_path: Path, kind: Any, request: pytest.FixtureRequest) -> None:
    number = 700_000 + os.getpid()
    job = spec(**kind(number, tmp_path))
    interpreter = tmp_path / "python" if kind is requirements else Path(sys.executable)
    options = {"action_python": interpreter, "image_map": {"php:8.1": ("/bin/sh", str(tmp_path / "proxy.sh"))}}
    (tmp_path / "job").write_bytes(pickle.dumps((job, b"{}", options)))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/scripts:{ROOT}"}
    request.addfinalizer(lambda: end_sleepers(number))
    argv = [sys.executable, "-c", PROGRAM, str(tmp_path / "state"), str(tmp_path / "job")]
    with ExitStack() as stack:
        engine = stack.enter_context(subprocess.Popen(argv, env=environment, cwd=ROOT))
        stack.callback(engine.kill)
        wait_until(lambda: len(sleepers(number)) == 2 or engine.poll() is not None, what="two processes of a process")
        assert engine.poll() is None, "the action ended"
    wait_until(lambda: sleepers(number) == [] and processes_in(tmp_path) == [], what="the end of all")


def sleepers(number: int) -> list[int]:
    done = subprocess.run(["pgrep", "-f", f"^[a-z/]*sleep {number}1?$"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


def end_sleepers(number: int) -> None:
    for pid in sleepers(number):
        os.kill(pid, signal.SIGKILL)


def test_what_left_its_group_goes_with_its_action(with_pool: WithPool) -> None:
    number = 800_000 + os.getpid()
    code = f"import os\ndef main(a):\n    os.system('{LEAVE.format(number)}')\n    return {{}}\n"

    async def scenario(pool: Pool) -> None:
        await invoke(pool, spec(code))
        other = spec(code.replace(str(number), str(number + 10**6)), fqn="/guest/other")
        await invoke(pool, other)
        pool.forget("/guest/pkg/hello")
        await asyncio.to_thread(wait_until, lambda: not sleepers(number), what="the end of what it left")
        assert sleepers(number + 10**6), "another action's stays"

    with_pool(scenario)
    assert not sleepers(number + 10**6), "the end of the pool is the end of all"


def test_what_a_killed_engine_and_its_guard_left_goes_at_the_next_start(with_pool: WithPool, tmp_path: Path) -> None:
    number = 900_000 + os.getpid()

    async def left(pool: Pool) -> None:
        # as if another engine had run over the same folder
        other = Pool(state=tmp_path / "state", action_python=Path(sys.executable))
        environment = other.guard.marked({"PATH": os.defpath}, other.guard.new_mark())
        subprocess.Popen(["sleep", str(number)], env=environment, start_new_session=True)  # noqa: ASYNC220  # it is to be left

    with_pool(left)
    assert sleepers(number)
    with_pool(lambda pool: invoke(pool, spec()))
    assert not sleepers(number)
