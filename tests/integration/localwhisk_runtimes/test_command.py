"""Kinds and images that are mapped to a command: the action proxy of another language, started as a container would be."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from localwhisk.runtime_api import Outcome
from localwhisk.runtimes import Pool, command, texts
from tests.support.actions_specs import invoke, spec, texts_of
from tests.support.paths import ROOT
from tests.support.polling import wait_until

WithPool = Callable[..., None]
PROXY = (sys.executable, str(ROOT / "tests" / "support" / "action_proxy.py"), "{port}")
CANNOT_START = {"error": texts.CANNOT_START}


def php(**changed: Any) -> Any:
    return spec(**{"code": "<?php", "kind": "php:8.1", **changed})


def result(outcome: Outcome) -> Any:
    return outcome.result


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_each_action_has_a_process_of_its_own(with_pool: WithPool, loop_runner: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALWHISK_AUTH", "secret")

    async def scenario(pool: Pool) -> None:
        first, second = [await invoke(pool, php(), b'{"n":%d}' % n) for n in (1, 2)]
        other = await invoke(pool, php(code="other", fqn="/guest/other"))
        assert [result(one)["code"] for one in (first, second, other)] == ["<?php", "<?php", "other"]
        assert result(first)["pid"] == result(second)["pid"] != result(other)["pid"]
        assert result(first)["given"] == {"n": 1}
        assert [one.init_ms is None for one in (first, second, other)] == [False, True, False]
        assert texts_of(first) == ["stderr: begins", "stdout: said /guest/pkg/hello"]
        assert texts_of(second) == ["stdout: said /guest/pkg/hello"]
        assert {"LOCALWHISK_AUTH", "USER"}.isdisjoint(result(first)["variables"])
        both = await asyncio.gather(*(invoke(pool, php(), b'{"sleep":0.5}') for _ in range(2)))
        assert len({result(one)["port"] for one in both}) == 2
        newer = await invoke(pool, php(revision="2"))
        assert result(newer)["pid"] not in (result(first)["pid"], result(other)["pid"])
        wait_until(lambda: not is_there(result(first)["pid"]), what="the end of a replaced action's process")

    with_pool(scenario, runner=loop_runner, image_map={"php:8.1": PROXY})


@pytest.mark.parametrize("name", ["php:8.1", "openwhisk/action-php-v8.1", "openwhisk/action-php-v8.1:nightly"])
def test_a_kind_and_an_image_are_served_by_a_command(with_pool: WithPool, name: str) -> None:
    async def scenario(pool: Pool) -> None:
        assert result(await invoke(pool, php()))["code"] == "<?php"
        box = await invoke(pool, spec("", kind="blackbox", image="someone/box:1", fqn="/guest/box"))
        assert box.status == "action developer error", "it takes the code for granted"

    with_pool(scenario, image_map={name: PROXY, "someone/box:1": PROXY})


FAULTS = {
    "a program that is gone": (("/nowhere/php",), "which cannot be started: No such file or directory."),
    "one that ends": (("/bin/sh", "-c", "echo sorry >&2; exit 7"), "which ended with status 7 before it listened on port "),
    "one that is killed": (("/bin/sh", "-c", "kill -9 $$"), "which was ended by signal 9 (SIGKILL) before it listened on port "),
    "one that never listens": (("sleep", "600"), "within 1 s."),
}


@pytest.mark.parametrize(("argv", "told"), FAULTS.values(), ids=FAULTS)
def test_a_command_that_does_not_serve_says_why(
    with_pool: WithPool, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], told: str
) -> None:
    if argv[0] == "sleep":
        monkeypatch.setattr(command, "_START_S", 1.0)

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, php())
        assert (outcome.status, outcome.result, outcome.init_ms) == ("action developer error", CANNOT_START, None)
        notes = [line for line in texts_of(outcome) if "'php:8.1' is mapped to the command" in line]
        assert len(notes) == 1
        assert told in notes[0]
        assert not any("This engine runs" in line for line in texts_of(outcome)), "it is mapped already"
        if "sorry" in argv[-1]:
            assert "stderr: sorry" in texts_of(outcome)

    with_pool(scenario, image_map={"php:8.1": argv})


def test_an_end_in_a_run_is_the_actions_fault_and_the_next_run_has_a_new_process(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        first = await invoke(pool, php())
        ended = await invoke(pool, php(), b'{"exit":3}')
        assert (ended.status, ended.result) == ("action developer error", {"error": texts.ABNORMAL_RUN})
        assert "stdout: said /guest/pkg/hello" in texts_of(ended)
        late = await invoke(pool, php(timeout_ms=3000), b'{"sleep":600}')
        assert late.result == {"error": texts.time_limit(3000, init=False)}
        large = await invoke(pool, php(memory_mb=128), b'{"grow":300,"sleep":600}')
        assert large.result == {"error": texts.MEMORY_EXHAUSTED}
        again = await invoke(pool, php())
        assert again.status == "success"
        os.kill(result(again)["pid"], signal.SIGKILL)
        wait_until(lambda: not listens(result(again)["port"]), what="the death of an idle process")
        assert (await invoke(pool, php())).status == "success", "one that died idle is replaced"
        assert first.status == "success"

    with_pool(scenario, image_map={"php:8.1": PROXY})


def test_at_the_end_it_is_killed_with_all_that_it_started(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        pids.append(result(await invoke(pool, php(), b'{"start":6001}'))["pid"])

    pids: list[int] = []
    with_pool(scenario, image_map={"php:8.1": PROXY})
    wait_until(lambda: not is_there(pids[0]) and not sleepers(6001), what="the end of its group")


def sleepers(seconds: int) -> bool:
    return subprocess.run(["pgrep", "-f", f"^sleep {seconds}$"], capture_output=True, check=False).returncode == 0


PROGRAM = """
import asyncio, sys
from pathlib import Path
from localwhisk.runtime_api import Outcome
from localwhisk.runtimes import Pool
from tests.support.actions_specs import context, spec

async def main():
    pool = Pool(state=Path(sys.argv[1]), action_python=Path(sys.executable), image_map={"php:8.1": sys.argv[2:]})
    await pool.start()
    await pool.run(spec("x", kind="php:8.1"), context(), b'{"start":6002}')
    print("ready", flush=True)
    await pool.run(spec("x", kind="php:8.1", timeout_ms=60000), context(), b'{"start":6003,"sleep":600}')

asyncio.run(main())
"""


def test_kill_9_of_the_engine_ends_it_with_all_that_it_started(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/scripts:{ROOT}"}
    with ExitStack() as stack:
        engine = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), *PROXY], env=environment, cwd=ROOT)
        )
        stack.callback(engine.kill)
        wait_until(lambda: sleepers(6002) and sleepers(6003), what="two processes of a process")
    wait_until(lambda: not sleepers(6002) and not sleepers(6003), what="the end of all")
