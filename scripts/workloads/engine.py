"""The engine by itself: start-up, warm blocking invocations, rule-fired starts, throughput, a long list of activations."""

from __future__ import annotations

import base64
import http.client
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demonstrate import processes
from demonstrate.options import ROOT
from lib.local import GUEST_KEY
from workloads.machine import Machine, engine
from workloads.usage import Meter

CODE = "def main(args):\n    return {'ok': True}\n"
STARTED = "import time\ndef main(args):\n    return {'started': time.time() * 1000}\n"
RATES = ("--limits", "raised", "--invocations-per-minute", "10000000", "--fires-per-minute", "10000000", "--concurrent", "200")
KEPT = 100_000
STARTS = 5
READS = 200
WARM_UP = 30
_INSERT = (
    'INSERT INTO activations (id, namespace, filter, name, subject, version, start, "end", duration, code, bytes, annotations, logs, response)'
    " VALUES (?, 'guest', ?, ?, 'guest', '0.0.1', ?, ?, 1, 0, 10, '[]', '[]', '{\"result\":{}}')"
)


def run(*, calls: int) -> dict[str, Any]:
    """Latencies in milliseconds and invocations a second, on an engine of its own."""
    with _machine() as machine:
        with engine(machine, *RATES):
            figures = _running(machine, calls)
        _keep_records(machine.state / "engine" / "localwhisk.sqlite", KEPT)
        with engine(machine, *RATES):
            figures[f"with_{KEPT}_activations"] = _lists(Client(machine.whisk.api_host))
        figures["start_up_s"] = {
            "empty_p50": statistics.median(_start_up(machine, f"empty-{number}") for number in range(STARTS)),
            f"with_{KEPT}_activations_p50": statistics.median(_start_up(machine, "engine") for _ in range(STARTS)),
        }
    figures["reference_standalone"] = {"blocking_p50_ms": 7.4, "fire_to_running_p50_ms": 7.2, "invocations_per_s": 119}
    return figures


class Client:
    """Plain REST over one connection that is kept; as lean as can be, as its own time counts in every figure."""

    def __init__(self, api_host: str) -> None:
        found = urlsplit(api_host)
        self._connection = http.client.HTTPConnection(found.hostname or "", found.port, timeout=60)
        basic = base64.b64encode(GUEST_KEY.encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call; errors raise."""
        raw = None if body is None else json.dumps(body)
        self._connection.request(method, f"/api/v1/namespaces/_/{path}", raw, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:300]!r}")
        return json.loads(text) if text.startswith((b"{", b"[")) else None

    def invoke(self, action: str) -> Any:
        """A blocking invocation's result."""
        return self.call("POST", f"actions/{action}?blocking=true&result=true", {})


@contextmanager
def _machine() -> Iterator[Machine]:
    """No services: nothing else is to use the processors."""
    with tempfile.TemporaryDirectory(prefix="hort-bench-", ignore_cleanup_errors=True) as folder:
        path = os.pathsep.join(str(ROOT / part) for part in (".", "actions", "scripts"))
        yield Machine({**os.environ, "HORT_STATE": folder, "HORT_PYTHON": sys.executable, "PYTHONPATH": path}, Path(folder))


def _running(machine: Machine, calls: int) -> dict[str, Any]:
    client = Client(machine.whisk.api_host)
    _entities(client)
    for _ in range(WARM_UP):
        client.invoke("trivial")
    meter = Meter({"engine": machine.pids["engine"]})
    meter.start()
    blocking = [_timed(lambda: client.invoke("trivial")) for _ in range(calls)]
    sequence = [_timed(lambda: client.invoke("three")) for _ in range(calls // 3)]
    fired, answered = _fires(client, calls // 3)
    rate = _throughput(machine, clients=4, calls=calls)
    usage = meter.stop()
    return {
        "blocking_invoke": _percentiles(blocking),
        "sequence_of_three": _percentiles(sequence),
        "fire_answered": _percentiles(answered),
        "fire_to_running": _percentiles(fired),
        "invocations_per_s_4_clients": rate,
        "memory_mb": {part: used.peak_mb for part, used in usage.items()},
    }


def _entities(client: Client) -> None:
    for name, code in (("trivial", CODE), ("started", STARTED)):
        client.call("PUT", f"actions/{name}?overwrite=true", {"exec": {"kind": "python:3.11", "code": code}})
    client.call("PUT", "actions/three?overwrite=true", {"exec": {"kind": "sequence", "components": ["/_/trivial"] * 3}})
    client.call("PUT", "triggers/go?overwrite=true", {})
    client.call("PUT", "rules/go-started?overwrite=true", {"trigger": "/_/go", "action": "/_/started"})


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _fires(client: Client, calls: int) -> tuple[list[float], list[float]]:
    """From before the request to the first line of the action, and until the 202."""
    running, answered = [], []
    for _ in range(calls):
        sent = time.time() * 1000
        answered.append(_timed(lambda: client.call("POST", "triggers/go", {})))
        running.append(_started_after(client, sent) - sent)
    return running[WARM_UP // 3 :], answered[WARM_UP // 3 :]


def _started_after(client: Client, sent: float) -> float:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for record in client.call("GET", f"activations?name=started&docs=true&limit=1&since={int(sent)}"):
            started = float(record["response"]["result"]["started"])
            if started >= sent:
                return started
        time.sleep(0.002)
    raise TimeoutError("a fired action did not start within 10 s")


def _throughput(machine: Machine, *, clients: int, calls: int) -> float:
    def work() -> None:
        client = Client(machine.whisk.api_host)
        for _ in range(calls):
            client.invoke("trivial")

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients * calls / (time.monotonic() - began)


def _keep_records(database: Path, count: int) -> None:
    """Put records into a stopped engine's database, a millisecond apart, of twenty actions."""
    first = int(time.time() * 1000) - count
    with sqlite3.connect(database) as connection:
        connection.executemany(
            _INSERT,
            ((f"{n:032x}", f"kept{n % 20}", f"kept{n % 20}", first + n, first + n + 1) for n in range(count)),
        )


def _lists(client: Client) -> dict[str, Any]:
    found = client.call("GET", "activations?limit=1&skip=5000")
    paths = {
        "list_30": "activations",
        "list_200": "activations?limit=200",
        "list_200_of_one_action": "activations?name=kept7&limit=200",
        "list_200_of_full_records": "activations?limit=200&docs=true",
        "list_deep": "activations?limit=30&skip=50000",
        "get": f"activations/{found[0]['activationId']}",
        "count": "activations?count=true",
    }
    return {name: _percentiles([_timed(lambda path=path: client.call("GET", path)) for _ in range(READS)]) for name, path in paths.items()}  # type: ignore[misc]


def _start_up(machine: Machine, folder: str) -> float:
    """Seconds from the command to the first answered request."""
    ready = machine.state / "ready"
    ready.unlink(missing_ok=True)
    argv = [str(ROOT / "scripts" / "whisk"), "serve", "--port", "0", "--quiet", "--state", str(machine.state / folder)]
    began = time.monotonic()
    with subprocess.Popen([*argv, "--ready-file", str(ready)], stdout=subprocess.DEVNULL, env=machine.env) as process:
        try:
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > began + 60:
                    raise processes.StartFailed(f"the engine ended at its start with {process.poll()}")
                time.sleep(0.005)
            Client(ready.read_text().strip()).call("GET", "actions")
            return time.monotonic() - began
        finally:
            process.terminate()


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50_ms": statistics.median(ordered), "p95_ms": ordered[int(len(ordered) * 0.95)], "calls": len(ordered)}
