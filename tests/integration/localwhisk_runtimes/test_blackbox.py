"""Blackbox actions: mapped servers, the docker skeleton's contract, containers by a stand-in command."""

import asyncio
import base64
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from localwhisk.runtimes import Pool, native, texts
from tests.support.actions_specs import invoke, spec, texts_of, zipped

WithPool = Callable[..., None]
IMAGE = "someone/server:1.0"


class ActionServer(ThreadingHTTPServer):
    """Implements /init and /run; `answer` decides what a run brings."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.takes_another_init = False
        self.inits: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], tuple[int, bytes]] = lambda value: (
            200,
            json.dumps(value).encode(),
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ActionServer

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/init":
            refused = self.server.inits and not self.server.takes_another_init
            code, answer = (403, b'{"error":"again"}') if refused else (200, b'{"ok":true}')
            self.server.inits.append(body["value"])
        else:
            self.server.runs.append(body)
            code, answer = self.server.answer(body["value"])
        self.send_response(code)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def server() -> Iterator[ActionServer]:
    with ActionServer() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def blackbox(**changed: Any) -> Any:
    return spec(**{"code": "", "kind": "blackbox", "image": IMAGE, **changed})


def test_a_mapped_server_is_initialised_once_a_revision(with_pool: WithPool, server: ActionServer) -> None:
    async def scenario(pool: Pool) -> None:
        first = await invoke(pool, blackbox(), b'{"a":1}')
        second = await invoke(pool, blackbox(), b'{"a":2}')
        assert (first.result, second.result) == ({"a": 1}, {"a": 2})
        assert (first.init_ms is None, second.init_ms is None) == (False, True)
        assert "code" not in server.inits[0]
        assert server.inits[0]["env"]["__OW_ACTION_NAME"] == "/guest/pkg/hello"
        assert server.runs[0]["activation_id"] == "1" * 32
        newer = await invoke(pool, blackbox(revision="2"), b'{"a":3}')
        assert newer.result == {"a": 3}, "a refused second init is fine"
        assert len(server.inits) == 2

    with_pool(scenario, image_map={IMAGE: server.url})


@pytest.mark.parametrize(
    ("answer", "status", "result"),
    [
        ((200, b'{"error":"why"}'), "application error", {"error": "why"}),
        ((502, b'{"error":"why"}'), "action developer error", {"error": "why"}),
        ((200, b"nonsense"), "action developer error", {"error": texts.invalid_run("nonsense")}),
        ((200, b"5"), "action developer error", {"error": texts.invalid_run("5")}),
        ((200, b"[1]"), "success", [1]),
    ],
)
def test_answers_of_a_server(
    with_pool: WithPool, server: ActionServer, answer: tuple[int, bytes], status: str, result: object
) -> None:
    server.answer = lambda _: answer

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, blackbox())
        assert (outcome.status, outcome.result) == (status, result)

    with_pool(scenario, image_map={IMAGE: server.url})


def test_a_result_above_the_limit(with_pool: WithPool, server: ActionServer) -> None:
    server.answer = lambda _: (200, b'{"x":"' + b"y" * 1_100_000 + b'"}')

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, blackbox())
        assert outcome.status == "application error"
        assert outcome.size == 1_100_008

    with_pool(scenario, image_map={IMAGE: server.url})


def test_a_server_that_is_slow_or_away(with_pool: WithPool, server: ActionServer) -> None:
    released = threading.Event()

    def slow(value: dict[str, Any]) -> tuple[int, bytes]:
        released.wait(60)
        return 200, b"{}"

    async def scenario(pool: Pool) -> None:
        await invoke(pool, blackbox())  # so that the limit is not used up by a start
        server.answer = slow
        late = await invoke(pool, blackbox(timeout_ms=3000))
        released.set()
        assert late.timeout
        assert late.result == {"error": texts.time_limit(3000, init=False)}
        away = await invoke(pool, blackbox(image="away", fqn="/guest/away"))
        assert (away.status, away.result) == ("whisk internal error", {"error": texts.NO_RESOURCES})
        assert "where nothing answers" in away.logs[0]
        assert len(server.runs) == 2, "what was given up is not asked again"

    with_pool(scenario, image_map={IMAGE: server.url, "away": "http://127.0.0.1:9"})


def test_an_image_that_cannot_be_had(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, blackbox(image="nosuchuser/nosuchimage"))
        assert outcome.status == "action developer error"
        assert outcome.result == {"error": "Failed to pull container image 'nosuchuser/nosuchimage'."}
        assert (outcome.size, outcome.init_ms) == (None, None)

    with_pool(scenario, containers="")


PHP = "<?php function main() {}"


@pytest.mark.parametrize("name", ["php:8.1", "openwhisk/action-php-v8.1", "openwhisk/action-php-v8.1:nightly"])
def test_a_kind_is_mapped_by_its_name_or_its_image(with_pool: WithPool, server: ActionServer, name: str) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(PHP, kind="php:8.1"), b'{"a":1}')
        assert outcome.result == {"a": 1}
        assert server.inits[0]["code"] == PHP

    with_pool(scenario, image_map={name: server.url})


def test_a_server_with_the_code_of_one_action_does_not_run_another(with_pool: WithPool, server: ActionServer) -> None:
    async def scenario(pool: Pool) -> None:
        await invoke(pool, spec(PHP, kind="php:8.1"))
        refused = await invoke(pool, spec(PHP + "// other", kind="php:8.1", fqn="/guest/other"))
        assert (refused.status, refused.result) == ("action developer error", {"error": "again"})
        server.takes_another_init = True
        for fqn in ("/guest/a", "/guest/b", "/guest/a"):
            assert (await invoke(pool, spec(PHP, kind="php:8.1", fqn=fqn))).status == "success"
        assert [init["env"]["__OW_ACTION_NAME"] for init in server.inits[-3:]] == ["/guest/a", "/guest/b", "/guest/a"]

    with_pool(scenario, image_map={"php:8.1": server.url})


def test_a_kind_that_is_not_here_says_how_it_can_be_had(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, spec(PHP, kind="php:8.1"))
        assert outcome.status == "action developer error"
        assert outcome.result == {"error": "Failed to pull container image 'openwhisk/action-php-v8.1:nightly'."}
        assert texts_of(outcome)[0] == (
            "stderr: This engine runs python, nodejs (with node on this machine) and exec; "
            "php:8.1 needs --map-image php:8.1=URL or php:8.1=COMMAND, or podman or docker."
        )

    with_pool(scenario, containers="")


def skeleton(script: str, **changed: Any) -> Any:
    return blackbox(**{"image": "openwhisk/dockerskeleton", "code": script, **changed})


def test_a_native_executable_gets_its_parameters_twice_and_answers_by_its_last_line(
    with_pool: WithPool,
) -> None:
    script = '#!/bin/bash\nread line\necho "log $1"\necho oops >&2\necho "{\\"in\\": $line, \\"ns\\": \\"$__OW_NAMESPACE\\"}"\n'

    async def scenario(pool: Pool) -> None:
        for cold in (True, False):
            outcome = await invoke(pool, skeleton(script), b'{"a":1}')
            assert outcome.result == {"in": {"a": 1}, "ns": "guest"}
            assert sorted(texts_of(outcome)) == ["stderr: oops", 'stdout: log {"a": 1}']
            assert outcome.size == len('{"in":{"a":1},"ns":"guest"}\n')
            assert (outcome.init_ms is not None) is cold

    with_pool(scenario)


NOT_JSON = texts.NOT_A_DICTIONARY
OUTPUTS = {
    "words": ("printf 'a\\nwords\\n'", NOT_JSON, ["stdout: a", "stdout: words"]),
    "nothing": ("true", NOT_JSON, ["stdout: "]),
    "a blank line at the end": ("printf '{}\\n\\n'", NOT_JSON, ["stdout: {}", "stdout: "]),
    "too deep": ("python3 -c 'print(100000 * chr(91) + 100000 * chr(93))'", NOT_JSON, None),
    "a number": ("echo 5", NOT_JSON, ["stdout: 5"]),
    "no text": ("printf '\\377'", texts.native_internal("'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"), []),
    "no program": ("", NOT_JSON, ["stdout: [Errno 8] Exec format error: '/action/exec'"]),
}


@pytest.mark.parametrize(("script", "message", "logs"), OUTPUTS.values(), ids=OUTPUTS)
def test_what_a_native_executable_must_not_print(with_pool: WithPool, script: str, message: str, logs: list[str] | None) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, skeleton(f"#!/bin/sh\n{script}\n" if script else "no shebang"))
        assert (outcome.status, outcome.result) == ("action developer error", {"error": message})
        assert logs is None or texts_of(outcome)[:-1] == logs

    with_pool(scenario)


def test_parameters_that_python_cannot_write_anew_are_given_as_they_are(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        script = '#!/bin/sh\nlength=$(printf %s "$1" | wc -c)\necho "{\\"n\\": $length}"\n'
        assert (await invoke(pool, skeleton(script), b'{"a":' + b"1" * 5000 + b"}")).result == {"n": 5006}

    with_pool(scenario)


def test_a_flood_of_output_is_not_kept(with_pool: WithPool) -> None:
    flood = "#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' 'x'\n"
    lines = "#!/bin/sh\nyes 0123456789 | head -n 5000000\necho '{\"end\": 1}'\n"

    async def scenario(pool: Pool) -> None:
        one = await invoke(pool, skeleton(flood, logs_mb=1))
        assert (one.status, one.size) == ("application error", 50_000_000)
        many = await invoke(pool, skeleton(lines, logs_mb=1, fqn="/guest/b"))
        assert many.result == {"end": 1}
        assert texts.logs_truncated(texts.MEGABYTE) in many.logs[-1]

    with_pool(scenario)


def test_a_native_zip_and_its_errors(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        files = {"exec": "#!/bin/sh\n./tool || cat data.json\n", "tool": "#!/bin/sh\necho 5\n", "data.json": '{"d": 1}'}
        good = await invoke(pool, skeleton(zipped(**files), binary=True))
        assert good.result == {"d": 1}, "as in the image nothing but exec is executable"
        broken = await invoke(pool, skeleton(base64.b64encode(b"no zip").decode(), binary=True, fqn="/guest/a"))
        assert broken.result == {"error": texts.CANNOT_BUILD}
        assert texts_of(broken)[0].startswith("stdout: err ")
        slow = await invoke(pool, skeleton("#!/bin/sh\nsleep 60\n", fqn="/guest/c", timeout_ms=3000))
        assert slow.result == {"error": texts.time_limit(3000, init=False)}

    with_pool(scenario)


@pytest.mark.parametrize("changed", [{"code": ""}, {"code": zipped(a="x"), "binary": True}], ids=["no code", "no exec"])
def test_without_an_executable_the_skeleton_runs_its_stub(with_pool: WithPool, changed: dict[str, Any]) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, skeleton("", **changed), b'{"a":"b c"}')
        assert outcome.status == "application error"
        assert outcome.result == {"error": "This is a stub action. Replace it with custom logic."}
        assert texts_of(outcome)[-3:] == [
            'stdout: command line argument: {"a": "b c"}',
            "stdout: command line argument length: 12",
            "stdout: stdin input length: 12",
        ]

    with_pool(scenario)


STAND_IN = """#!{python}
import pathlib, subprocess, sys
home = pathlib.Path({home!r})
command, rest = sys.argv[1], sys.argv[2:]
with open(home / "calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if command == "run":
    if rest[-1] == "missing":
        sys.exit(125)
    # as podman's monitor does: stays, with all that it inherited open
    monitor = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    with open(home / "monitors", "a") as monitors:
        monitors.write(f"{{monitor.pid}}\\n")
    print("c0ffee")
elif command == "ps":
    print("dead", "beef")
elif command == "port":
    print({address!r})
elif command == "logs":
    print("hello")
    print("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX")
    print("XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX", file=sys.stderr)
"""


def test_a_container_engine_is_driven_by_its_command(
    with_pool: WithPool, server: ActionServer, tmp_path: Path
) -> None:
    command = tmp_path / "docker"
    address = server.url.removeprefix("http://")
    command.write_text(STAND_IN.format(python=sys.executable, home=str(tmp_path), address=address))
    command.chmod(0o755)

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, blackbox(), b'{"a":1}')
        assert outcome.result == {"a": 1}
        assert texts_of(outcome) == ["stdout: hello"]
        server.takes_another_init = True  # one server stands in for all containers
        php = await invoke(pool, spec(PHP, kind="php:8.1", fqn="/guest/php"), b'{"b":1}')
        assert php.result == {"b": 1}, "a kind runs by its image, too"
        missing = await invoke(pool, blackbox(image="missing", fqn="/guest/m"))
        assert missing.result == {"error": "Failed to pull container image 'missing'."}
        assert missing.init_ms is None
        assert missing.end_ms == missing.start_ms

    began = time.monotonic()
    try:
        with_pool(scenario, containers=str(command))
    finally:
        for monitor in (tmp_path / "monitors").read_text().split():
            os.kill(int(monitor), signal.SIGKILL)
    assert time.monotonic() - began < 500, "what the container's monitor holds open is not waited for"
    calls = (tmp_path / "calls").read_text().splitlines()
    label = calls[0].removeprefix("ps -aq --filter label=")
    assert label.startswith("localwhisk.state=/")
    assert calls[1] == "rm -f dead beef", "what a killed engine left goes before the first start"
    name = calls[2].split()[3]
    assert calls[2].startswith(f"run -d --name {name} --label {label} -p 127.0.0.1::8080 --memory 256m")
    assert f"rm -f {name}" in calls


def test_an_executable_that_ends_before_it_is_given_anything_has_no_error_of_the_engines() -> None:
    class Gone:
        closed = False

        def write(self, _: bytes) -> None:
            message = "unable to perform operation: the handler is closed"
            raise RuntimeError(message)  # as uvloop does

        def close(self) -> None:
            self.closed = True

    gone: Any = Gone()
    asyncio.run(native._give(gone, b"{}"))
    assert gone.closed
