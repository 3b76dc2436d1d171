"""Python actions in real processes: the contract of openwhisk-runtime-python behind the ActionLoop proxy."""

import asyncio
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from localwhisk.runtime_api import Outcome
from localwhisk.runtimes import Pool, texts
from tests.support.actions_specs import invoke, processes_in, spec, texts_of, zipped
from tests.support.polling import wait_until

WithPool = Callable[..., None]

COUNTER = "n = 0\ndef main(a):\n    global n\n    n += 1\n    return {'n': n}\n"
LOGGER = """
import sys
def main(a):
    print('one')
    print('two', file=sys.stderr)
    print('multi\\nline')
    print('')
    print('café')
    sys.stdout.write('no newline')
    return {'ok': 1}
"""


def test_globals_survive_warm_calls_and_cold_is_marked(with_pool: WithPool, loop_runner: Any) -> None:
    async def scenario(pool: Pool) -> None:
        first, second = [await invoke(pool, spec(COUNTER)) for _ in range(2)]
        assert (first.result, second.result) == ({"n": 1}, {"n": 2})
        assert first.init_ms is not None
        assert second.init_ms is None
        assert second.result_json == b'{"n": 2}'
        assert second.size == 9
        assert first.end_ms >= first.start_ms

    with_pool(scenario, runner=loop_runner)


def test_logs_are_exact_and_never_leak_into_the_next_activation(
    with_pool: WithPool, loop_runner: Any
) -> None:
    async def scenario(pool: Pool) -> None:
        for _ in range(3):
            outcome = await invoke(pool, spec(LOGGER))
            out = [line for line in texts_of(outcome) if line.startswith("stdout")]
            assert out == [
                "stdout: one",
                "stdout: multi",
                "stdout: line",
                "stdout: ",
                "stdout: café",
                "stdout: no newline",
            ]
            assert [line for line in texts_of(outcome) if line.startswith("stderr")] == ["stderr: two"]

    with_pool(scenario, runner=loop_runner)


def test_output_between_activations_belongs_to_none(with_pool: WithPool, tmp_path: Path) -> None:
    code = """
import threading, time
late = threading.Event()
def talk():
    late.wait()
    print('late', flush=True)
    done.set()
    open(mark[0], 'w').close()
done, mark = threading.Event(), []
threading.Thread(target=talk, daemon=True).start()
def main(a):
    if 'mark' in a:
        mark.append(a['mark'])
        threading.Timer(0.05, late.set).start()
        return {}
    return {'done': done.is_set()}
"""

    async def scenario(pool: Pool) -> None:
        mark = tmp_path / "said"
        await invoke(pool, spec(code), orjson.dumps({"mark": str(mark)}))
        for _ in range(3_000):
            if mark.exists():
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        outcome = await invoke(pool, spec(code))
        assert outcome.result == {"done": True}
        assert outcome.logs == []

    with_pool(scenario)


def test_a_childs_output_is_the_activations(with_pool: WithPool) -> None:
    code = "import subprocess\ndef main(a):\n    subprocess.run(['echo', 'child'])\n    return {}\n"

    async def scenario(pool: Pool) -> None:
        for _ in range(2):
            assert texts_of(await invoke(pool, spec(code))) == ["stdout: child"]

    with_pool(scenario)


ENVIRONMENT = (
    "import os, sys\ndef main(a):\n    return {'env': dict(os.environ), 'path': sys.path, 'name': __name__}\n"
)


def test_the_environment_is_the_documented_one(with_pool: WithPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_SECRET", "s3cret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")

    async def scenario(pool: Pool) -> None:
        wanted = spec(ENVIRONMENT, init_env={"ini": "envval"})
        outcome = await invoke(pool, wanted, activation_id="a" * 32)
        result: Any = outcome.result
        environment = result["env"]
        assert environment["__OW_ACTION_NAME"] == "/guest/pkg/hello"
        assert environment["__OW_ACTIVATION_ID"] == "a" * 32
        assert int(environment["__OW_DEADLINE"]) > outcome.start_ms
        assert set(environment) == {
            *("PATH", "LANG", "ini", "__OW_ACTION_NAME", "__OW_ACTION_VERSION", "__OW_ACTIVATION_ID"),
            *("__OW_API_HOST", "__OW_DEADLINE", "__OW_EXECUTION_ENV", "__OW_NAMESPACE", "__OW_PROXY_VERSION"),
            *("__OW_TRANSACTION_ID", "__OW_WAIT_FOR_ACK", "LOCALWHISK_PROCESS"),
        }
        assert "/somewhere" not in result["path"]
        assert result["name"] == "main__"
        again: Any = (await invoke(pool, wanted, activation_id="b" * 32, api_key="uuid:key")).result
        assert again["env"]["__OW_ACTIVATION_ID"] == "b" * 32
        assert again["env"]["__OW_API_KEY"] == "uuid:key"

    with_pool(scenario)


def test_the_developers_packages_are_not_seen(with_pool: WithPool) -> None:
    code = "def main(a):\n    import orjson\n    return {}\n"

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(code))
        assert outcome.status == "application error"
        assert outcome.result == {"error": "No module named 'orjson'"}

    with_pool(scenario)


ACTIVATE = """
import os, site, sys
here = os.path.dirname(os.path.abspath(__file__))
before = len(sys.path)
site.addsitedir(os.path.join(here, "..", "lib", "python3.11", "site-packages"))
sys.path[:] = sys.path[before:] + sys.path[:before]
os.environ["VIRTUAL_ENV"] = os.path.dirname(here)
"""
MAIN = (
    "import os, helper, vendored, shadowed\n"
    "def niam(a):\n    return {'a': helper.A, 'v': vendored.V, 's': shadowed.S, 'e': 'VIRTUAL_ENV' in os.environ}\n"
)


@pytest.mark.parametrize("place", ["bin", "Scripts"])
def test_zip_modules_main_name_and_virtualenv(with_pool: WithPool, place: str) -> None:
    files = {
        "__main__.py": MAIN,
        "helper.py": "A = 1\n",
        "shadowed.py": "S = 'own'\n",
        f"virtualenv/{place}/activate_this.py": ACTIVATE,
        "virtualenv/lib/python3.11/site-packages/vendored.py": "V = 2\n",
        "virtualenv/lib/python3.11/site-packages/shadowed.py": "S = 'virtualenv'\n",
    }

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(zipped(**files), binary=True, main="niam"))
        assert outcome.result == {"a": 1, "v": 2, "s": "virtualenv", "e": True}

    with_pool(scenario)


@pytest.mark.parametrize(
    ("files", "error", "log"),
    [
        ({"virtualenv/lib/a.py": ""}, texts.CANNOT_BUILD, "Invalid virtualenv. Zip file does not include 'activate_this.py'."),
        ({"virtualenv/bin/activate_this.py": "1 / 0"}, texts.CANNOT_BUILD, "ZeroDivisionError: division by zero"),
        ({"virtualenv/bin/activate_this.py": "10 PRINT"}, texts.CANNOT_BUILD, "SyntaxError: invalid syntax"),
        ({"virtualenv/bin/activate_this.py": ""}, texts.CANNOT_START, "ModuleNotFoundError: No module named 'vendored'"),
    ],
)
def test_virtualenvs_that_do_not_work(with_pool: WithPool, files: dict[str, str], error: str, log: str) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(zipped(**{"__main__.py": "import vendored\ndef main(a): ...\n", **files}), binary=True))
        assert (outcome.status, outcome.result) == ("action developer error", {"error": error})
        assert f"stderr: {log}" in texts_of(outcome)

    with_pool(scenario)


@pytest.fixture
def image_python() -> Path:
    """The interpreter with the packages of the python:3.11 image, virtualenv among them."""
    folder = Path(os.environ.get("HORT_ACTIONS_ENV", "/none"))
    if not (folder / ".complete").exists():
        pytest.skip("the environment of python actions is not installed")
    return folder / "bin" / "python"


def wheel(folder: Path) -> Path:
    """A package that no index has."""
    path = folder / "listed-1.0-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: listed\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("listed.py", "L = 'installed'\n")
        archive.writestr("listed-1.0.dist-info/METADATA", about)
        archive.writestr("listed-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("listed-1.0.dist-info/RECORD", "")
    return path


def test_what_requirements_txt_lists_is_installed_once(with_pool: WithPool, tmp_path: Path, image_python: Path) -> None:
    code = "import listed\ndef main(a):\n    return {'l': listed.L, 'from': listed.__file__}\n"
    packed = zipped(**{"__main__.py": code, "requirements.txt": f"listed @ {wheel(tmp_path).as_uri()}\n"})

    async def scenario(pool: Pool) -> None:
        outcome: Any = (await invoke(pool, spec(packed, binary=True))).result
        assert outcome["l"] == "installed"
        assert "/virtualenv/lib/python3.11/site-packages/" in outcome["from"]
        (tmp_path / "listed-1.0-py3-none-any.whl").unlink()
        again = await invoke(pool, spec(packed, binary=True, fqn="/guest/again"))
        assert again.status == "success", "the same code is laid out once"

    with_pool(scenario, action_python=image_python)


def test_requirements_that_cannot_be_had(with_pool: WithPool, tmp_path: Path, image_python: Path) -> None:
    files = {"__main__.py": "def main(a): ...\n", "requirements.txt": f"none @ {(tmp_path / 'none-1.0-py3-none-any.whl').as_uri()}\n"}

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(zipped(**files), binary=True))
        assert (outcome.status, outcome.result) == ("action developer error", {"error": texts.CANNOT_BUILD})
        assert any("No such file or directory" in line for line in texts_of(outcome))
        late = await invoke(pool, spec(zipped(**files), binary=True, fqn="/guest/late", timeout_ms=100))
        assert late.result == {"error": texts.time_limit(100, init=True)}
        assert late.timeout
        assert texts_of(late)[-1] == f"stderr: {texts.LOGS_MIGHT_MISS}"

    with_pool(scenario, action_python=image_python)


LOUD = """
import os, sys
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(30)
    os._exit(0)
for _ in range(300):
    print("x" * 100_000)
print("the reason")
sys.exit(5)
"""


def test_of_what_an_installation_prints_only_the_end_is_kept(with_pool: WithPool, action_python: Path, tmp_path: Path) -> None:
    loud = tmp_path / "python"
    loud.write_text(f"#!/bin/sh\ncase $* in *launcher.py*) exec {action_python} \"$@\";; esac\nexec {action_python} -c '{LOUD}'\n")
    loud.chmod(0o755)
    packed = zipped(**{"__main__.py": "def main(a): ...\n", "requirements.txt": "x\n"})

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(packed, binary=True))
        lines = texts_of(outcome)
        assert outcome.result == {"error": texts.CANNOT_BUILD}
        assert lines[-2] == "stderr: the reason"
        assert sum(map(len, lines)) < 100_000

    with_pool(scenario, action_python=loud)


def test_an_installation_does_not_outlast_the_pool(with_pool: WithPool, action_python: Path, tmp_path: Path) -> None:
    slow, begun = tmp_path / "python", tmp_path / "begun"
    slow.write_text(f'#!/bin/sh\ncase $* in *launcher.py*) exec {action_python} "$@";; esac\necho $$ >{begun}; exec sleep 600\n')
    slow.chmod(0o755)
    packed = zipped(**{"__main__.py": "def main(a): ...\n", "requirements.txt": "x\n"})
    asked: list[asyncio.Task[Outcome]] = []

    async def scenario(pool: Pool) -> None:
        asked.append(asyncio.create_task(invoke(pool, spec(packed, binary=True, timeout_ms=300_000))))
        await asyncio.to_thread(wait_until, lambda: begun.exists() and begun.read_text(), what="the beginning of an installation")

    with_pool(scenario, action_python=slow)
    assert asked[0].result().result == {"error": texts.ENGINE_STOPPED}
    assert not Path(f"/proc/{begun.read_text().strip()}").exists()


def test_an_exception_is_an_application_error_with_the_traceback_in_stderr(with_pool: WithPool) -> None:
    code = "def main(a):\n    raise ValueError('boom')\n"

    async def scenario(pool: Pool) -> None:
        for cold in (True, False):
            outcome = await invoke(pool, spec(code))
            assert (outcome.status, outcome.result, outcome.size) == (
                "application error",
                {"error": "boom"},
                18,
            )
            assert (outcome.init_ms is not None) is cold
            lines = texts_of(outcome)
            assert len(lines) == 8
            assert lines[0] == "stderr: Traceback (most recent call last):"
            assert lines[1].endswith("in <module>")
            assert lines[2] == "stderr:     res = main(payload)"
            assert lines[6:] == ["stderr: ValueError: boom", "stderr: "]

    with_pool(scenario)


BROKEN = [
    pytest.param(
        "import sys\ndef main(a):\n    print('bye')\n    sys.exit(3)\n", texts.COMMAND_EXITED, 27, id="exit"
    ),
    pytest.param("import os\ndef main(a):\n    os._exit(0)\n", texts.COMMAND_EXITED, 27, id="os-exit"),
    pytest.param("import os\ndef main(a):\n    os.abort()\n", texts.COMMAND_EXITED, 27, id="abort"),
    pytest.param(
        "import os\ndef main(a):\n    os.write(3, b'x\\n')\n", texts.NOT_A_DICTIONARY, 61, id="garbage"
    ),
    pytest.param("def main(a):\n    return {1, 2}\n", texts.COMMAND_EXITED, 27, id="not-serialisable"),
    pytest.param("def main(a):\n    return 'text'\n", texts.NOT_A_DICTIONARY, 61, id="text"),
    pytest.param("def main(a):\n    return 5\n", texts.NOT_A_DICTIONARY, 61, id="number"),
    pytest.param("def main(a):\n    return {'n': float('nan')}\n", texts.NOT_A_DICTIONARY, 61, id="nan"),
    pytest.param("def main(a):\n    pass\n", texts.invalid_run("null\n"), 5, id="none"),
    pytest.param("raise RuntimeError('at import')\n", texts.CANNOT_START, 57, id="import"),
    pytest.param("import not_there\n", texts.CANNOT_START, 57, id="no-module"),
    pytest.param("import sys\nsys.exit(0)\n", texts.CANNOT_START, 57, id="exit-at-import"),
    pytest.param("def other(a):\n    return {}\n", texts.CANNOT_START, 57, id="no-main"),
    pytest.param("def main(a)\n    return {}\n", texts.CANNOT_BUILD, 84, id="syntax"),
    pytest.param("", texts.NO_CODE, 45, id="empty"),
    pytest.param("#!/usr/bin/env python\ndef main(a): ...\n", texts.CANNOT_START, 57, id="shebang"),
]


@pytest.mark.parametrize(("code", "message", "size"), BROKEN)
def test_developer_errors_have_the_real_texts_and_the_next_start_is_cold(
    with_pool: WithPool, code: str, message: str, size: int
) -> None:
    async def scenario(pool: Pool) -> None:
        for _ in range(2):
            outcome = await invoke(pool, spec(code))
            assert outcome.status == "action developer error"
            assert outcome.result == {"error": message}
            assert outcome.size == size
            assert outcome.init_ms is not None
            assert texts_of(outcome)[-1] == f"stderr: {texts.LOGS_MIGHT_MISS}"

    with_pool(scenario)


def test_logs_of_failed_starts(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        at_import = texts_of(await invoke(pool, spec("raise RuntimeError('at import')\n", fqn="/guest/a")))
        assert at_import[0] == "stderr: Traceback (most recent call last):"
        assert at_import[2] == "stderr:     from main__ import main as main"
        assert at_import[5:7] == ["stderr: RuntimeError: at import", f"stderr: {texts.ABRUPT_EXIT}"]
        assert len(at_import) == 8
        syntax = texts_of(await invoke(pool, spec("def main(a)\n    return {}\n", fqn="/guest/b")))
        assert syntax == ["stderr: expected ':'", f"stderr: {texts.LOGS_MIGHT_MISS}"]
        no_main = texts_of(await invoke(pool, spec(zipped(**{"a.py": ""}), binary=True, fqn="/guest/c")))
        assert no_main[0] == "stderr: Zip file does not include main__"
        exited = texts_of(
            await invoke(pool, spec("import sys\ndef main(a):\n    print('bye')\n    sys.exit(1)\n"))
        )
        assert exited == ["stdout: bye", f"stderr: {texts.LOGS_MIGHT_MISS}"]

    with_pool(scenario)


def test_the_time_limit_kills_the_run_with_its_children(with_pool: WithPool, tmp_path: Path) -> None:
    code = "import subprocess\ndef main(a):\n    if a:\n        print('start', flush=True)\n        subprocess.run(['sleep', '60'])\n    return {}\n"

    async def scenario(pool: Pool) -> None:
        assert (await invoke(pool, spec(code))).result == {}  # so that the limit is not used up by a start
        outcome = await invoke(pool, spec(code, timeout_ms=7000), b'{"endless":true}')
        assert outcome.status == "action developer error"
        assert outcome.result == {"error": "The action exceeded its time limits of 7000 milliseconds."}
        assert outcome.timeout
        assert outcome.size is None
        assert texts_of(outcome) == ["stdout: start", f"stderr: {texts.LOGS_MIGHT_MISS}"]
        wait_until(lambda: processes_in(tmp_path / "state" / "code") == [])

    with_pool(scenario)


def test_init_and_run_have_the_whole_limit_each(with_pool: WithPool) -> None:
    slow = "import time\ntime.sleep(12)\ndef main(a):\n    time.sleep(12)\n    return {'ok': 1}\n"

    async def scenario(pool: Pool) -> None:
        assert (await invoke(pool, spec(slow, timeout_ms=23_000))).result == {"ok": 1}
        outcome = await invoke(pool, spec(slow, timeout_ms=500, fqn="/guest/late"))
        assert outcome.result == {"error": texts.time_limit(500, init=True)}
        assert outcome.timeout

    with_pool(scenario)


def test_memory_above_the_limit_ends_the_action(with_pool: WithPool) -> None:
    code = "import time\ndef main(a):\n    hoard = bytearray(b'1') * (300 << 20)\n    time.sleep(60)\n"

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(code, memory_mb=128, timeout_ms=30_000))
        assert outcome.status == "action developer error"
        assert outcome.result == {"error": texts.MEMORY_EXHAUSTED}
        assert not outcome.timeout

    with_pool(scenario)


def test_a_result_above_the_limit_is_truncated_and_the_process_stays(with_pool: WithPool) -> None:
    code = "def main(a):\n    return {'x': 'y' * a['n']}\n"

    async def scenario(pool: Pool) -> None:
        fits = await invoke(pool, spec(code), b'{"n":1048566}')
        assert fits.status == "success"
        assert fits.size == 1_048_576
        over = await invoke(pool, spec(code), b'{"n":1048567}')
        assert over.status == "application error"
        assert over.size == 1_048_577
        assert "exceeded the allowed length: 1048577 > 1048576 bytes." in str(over.result)
        assert (await invoke(pool, spec(code), b'{"n":1}')).init_ms is None

    with_pool(scenario)


def test_megabytes_in_and_out_with_chatter_do_not_block(with_pool: WithPool, loop_runner: Any) -> None:
    code = "def main(a):\n    print('x' * 300_000)\n    return {'n': len(a['x']), 'x': a['x'][:900_000]}\n"

    async def scenario(pool: Pool) -> None:
        payload = orjson.dumps({"x": "é" * 2_000_000})
        outcomes = await asyncio.gather(*(invoke(pool, spec(code), payload) for _ in range(3)))
        for outcome in outcomes:
            assert outcome.status == "application error"
            assert outcome.size == 1_800_024

    with_pool(scenario, runner=loop_runner)


def test_logs_above_the_limit_end_with_the_real_text(with_pool: WithPool) -> None:
    code = "def main(a):\n    for i in range(1500): print('%07d ' % i + 'x' * 1000)\n    return {'ok': 1}\n"

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(code, logs_mb=1))
        *kept, note = outcome.logs
        assert note.endswith(f"stderr: {texts.logs_truncated(1_048_576)}")
        # A stamp ends in zeros now and then, which are left out and count for nothing: so there may be a line or two more.
        spent = sum(1_049 + len(line[:30].rstrip()) for line in kept)
        assert spent <= 1_048_576 < spent + 1_049 + 30
        assert [line[31:47] for line in kept] == [f"stdout: {number:07d} " for number in range(len(kept))]
        assert (await invoke(pool, spec(code, logs_mb=0, fqn="/guest/silent"))).logs == []

    with_pool(scenario)


def test_concurrent_runs_have_processes_of_their_own(with_pool: WithPool) -> None:
    code = (
        "import os, time\ndef main(a):\n    time.sleep(0.3)\n    return {'pid': os.getpid(), 'i': a['i']}\n"
    )

    async def scenario(pool: Pool) -> None:
        runs = [invoke(pool, spec(code), b'{"i":%d}' % i) for i in range(4)]
        results: list[Any] = [outcome.result for outcome in await asyncio.gather(*runs)]
        assert [result["i"] for result in results] == [0, 1, 2, 3]
        assert len({result["pid"] for result in results}) == 4

    with_pool(scenario)


def test_without_memory_left_runs_wait_and_too_many_are_refused(with_pool: WithPool) -> None:
    code = "import time\ndef main(a):\n    time.sleep(0.2)\n    return {}\n"

    async def scenario(pool: Pool) -> None:
        runs = [invoke(pool, spec(code, fqn=f"/guest/a{i}")) for i in range(4)]
        outcomes = await asyncio.gather(*runs)
        assert [outcome.status for outcome in outcomes].count("success") == 3
        refused = next(outcome for outcome in outcomes if outcome.status != "success")
        assert refused.status == "whisk internal error"
        assert refused.result == {"error": texts.NO_RESOURCES}
        assert max(outcome.wait_ms for outcome in outcomes) >= 200

    with_pool(scenario, memory_mb=256, max_waiting=2)


PID = "import os\ndef main(a):\n    return {'pid': os.getpid()}\n"


def state_of(pid: int) -> str:
    """Read the state letter of a process, "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_process_that_died_between_activations_fails_nobody(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        first: Any = (await invoke(pool, spec(PID))).result
        os.kill(first["pid"], signal.SIGKILL)
        wait_until(lambda: state_of(first["pid"]) in ("Z", ""))
        second = await invoke(pool, spec(PID))
        assert second.status == "success"
        assert second.init_ms is not None

    with_pool(scenario)


def test_a_request_that_a_dying_process_never_read_goes_to_another(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        first: Any = (await invoke(pool, spec(PID))).result
        os.kill(first["pid"], signal.SIGSTOP)
        wait_until(lambda: state_of(first["pid"]) == "T")
        second = asyncio.create_task(invoke(pool, spec(PID)))
        await asyncio.sleep(0.1)
        os.kill(first["pid"], signal.SIGKILL)
        outcome = await second
        assert outcome.status == "success"
        assert outcome.init_ms is not None

    with_pool(scenario)


def test_a_request_that_was_read_is_never_run_again(with_pool: WithPool, tmp_path: Path) -> None:
    code = "import os\ndef main(a):\n    open(a['path'], 'a').write('x')\n    os.kill(os.getpid(), 9)\n"

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(code), orjson.dumps({"path": str(tmp_path / "ran")}))
        assert outcome.result == {"error": texts.COMMAND_EXITED}
        assert (tmp_path / "ran").read_text() == "x"

    with_pool(scenario)


def test_a_new_revision_gets_new_processes(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        await invoke(pool, spec(COUNTER))
        again = await invoke(pool, spec(COUNTER, revision="2"))
        assert again.result == {"n": 1}
        assert again.init_ms is not None

    with_pool(scenario)


def test_idle_processes_are_reaped(with_pool: WithPool, tmp_path: Path) -> None:
    async def scenario(pool: Pool) -> None:
        await invoke(pool, spec())
        assert processes_in(tmp_path / "state" / "code")
        for _ in range(600):
            if not processes_in(tmp_path / "state" / "code"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("an idle process stays")

    with_pool(scenario, idle_s=0.1)


def test_drain_waits_and_close_ends_what_runs(with_pool: WithPool) -> None:
    code = "import time\ndef main(a):\n    time.sleep(a['s'])\n    return {}\n"

    async def scenario(pool: Pool) -> None:
        short = asyncio.create_task(invoke(pool, spec(code), b'{"s":0.3}'))
        await asyncio.sleep(0)
        await pool.drain(60)
        assert short.done()
        long = asyncio.create_task(invoke(pool, spec(code, timeout_ms=60_000), b'{"s":60}'))
        await asyncio.sleep(0.2)
        await pool.drain(0.1)
        assert not long.done()
        await pool.close()
        outcome = await asyncio.wait_for(long, 60)
        assert outcome.status == "whisk internal error"
        assert outcome.result == {"error": texts.ENGINE_STOPPED}
        assert (await invoke(pool, spec())).result == {"error": texts.ENGINE_STOPPED}

    with_pool(scenario)


def test_the_action_cannot_swallow_the_next_request_from_stdin(with_pool: WithPool) -> None:
    code = "import sys, subprocess\ndef main(a):\n    subprocess.run(['cat'])\n    return {'in': sys.stdin.read()}\n"

    async def scenario(pool: Pool) -> None:
        for _ in range(2):
            assert (await invoke(pool, spec(code))).result == {"in": ""}

    with_pool(scenario)


def test_a_payload_with_line_breaks_is_one_request(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec("def main(a):\n    return a\n"), b'{\r\n  "a": "x\\ny"\n}')
        assert outcome.result == {"a": "x\ny"}

    with_pool(scenario)


def test_who_prints_without_end_does_not_keep_the_engine(with_pool: WithPool, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import subprocess\ndef main(a):\n    subprocess.Popen('yes & yes', shell=True)\n    return {}\n"
    read = os.read

    def outpaced(fd: int, most: int) -> bytes:
        """A pipe in which there is always more: its writer is faster than the engine."""
        return read(fd, most) or b"" if fd not in pipes else b"y\n" * 1000

    pipes: set[int] = set()

    async def scenario(pool: Pool) -> None:
        assert (await invoke(pool, spec(code, logs_mb=1))).status == "success"
        worker: Any = next(iter(pool._slots._idle)).worker
        pipes.update(fd for fd, stream in worker._child._open.items() if stream)
        monkeypatch.setattr(os, "read", outpaced)
        assert (await invoke(pool, spec(code, logs_mb=1))).status == "success"
        monkeypatch.undo()

    with_pool(scenario)
