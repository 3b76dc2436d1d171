"""The engine by itself: warm blocking invocations, rule-fired starts, throughput."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

import requests

from demonstrate.options import GUEST_KEY
from workloads.machine import Machine, engine, services
from workloads.usage import Meter

CODE = "def main(args):\n    return {'ok': True}\n"
STARTED = "import time\ndef main(args):\n    return {'started': time.time() * 1000}\n"
RATES = ("--limits", "raised", "--invocations-per-minute", "10000000", "--fires-per-minute", "10000000", "--concurrent", "200")
WARM_UP = 30


def run(*, calls: int) -> dict[str, Any]:
    """Latencies in milliseconds and invocations a second, on an engine of its own."""
    with services() as machine, engine(machine, *RATES):
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
        "reference_standalone": {"blocking_p50_ms": 7.4, "fire_to_running_p50_ms": 7.2, "invocations_per_s": 119},
    }


class Client:
    """Plain REST with keep-alive."""

    def __init__(self, api_host: str) -> None:
        self.base = f"{api_host}/api/v1/namespaces/_"
        self.session = requests.Session()
        user, _, key = GUEST_KEY.partition(":")
        self.session.auth = (user, key)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call; errors raise."""
        answer = self.session.request(method, f"{self.base}/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else None

    def invoke(self, action: str) -> Any:
        """A blocking invocation's result."""
        return self.call("POST", f"actions/{action}?blocking=true&result=true", {})


def _entities(client: Client) -> None:
    for name, code in (("trivial", CODE), ("started", STARTED)):
        client.call("PUT", f"actions/{name}?overwrite=true", {"exec": {"kind": "python:3.11", "code": code}})
    client.call("PUT", "actions/three?overwrite=true", {"exec": {"kind": "sequence", "components": ["/_/trivial"] * 3}})
    client.call("PUT", "triggers/go?overwrite=true", {})
    client.call("PUT", "rules/go-started?overwrite=true", {"trigger": "/_/go", "action": "/_/started"})


def _timed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _fires(client: Client, calls: int) -> tuple[list[float], list[float]]:
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
            return float(record["response"]["result"]["started"])
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


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50_ms": statistics.median(ordered), "p95_ms": ordered[int(len(ordered) * 0.95)], "calls": len(ordered)}
