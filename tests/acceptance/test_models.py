"""Models that come, fail and go while the stream runs."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from tests.acceptance.conftest import Device, under_way
from tests.support.polling import wait_until
from workloads.machine import Machine

HANG_S = 25
POLL_AND_BATCH_S = 120
TIMEOUT_MS = {"good": 30_000, "hang": 1_000, "broken": 30_000}
EACH_ONCE = [("broken", "error"), ("good", "ok"), ("hang", "timeout")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hanging = threading.Event()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/hang":
            self.hanging.wait(HANG_S)
        answer = json.dumps({"predictions": [{"seen": row["device_data"]} for row in body.get("instances", [])]})
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    _Handler.hanging.set()
    running.shutdown()


def test_models_come_fail_and_go(
    machine: Machine, device: Device, server: str, stored: Callable[[str, str], list[dict[str, Any]]]
) -> None:
    def results() -> Counter[tuple[str, str]]:
        return Counter((row["model"], row["status"]) for row in stored("model-results", device.device_type))

    def records() -> int:
        return len(stored("all-events", device.device_type))

    def waiting() -> bool:
        """Whether a batch of the records is still under way."""
        return not under_way(machine).isdisjoint(row["batch_id"] for row in stored("all-events", device.device_type))

    def complete() -> bool:
        """Whether every record has a result of each model, from the first one on that had: until then not all models may have been known."""
        found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in stored("model-results", device.device_type):
            found[row["record_id"]].append((row["model"], row["status"]))
        sent_in_turn = sorted(stored("all-events", device.device_type), key=lambda row: int(row["data"]["bikes"]))
        scored = [sorted(found[row["_id"]]) for row in sent_in_turn]
        return EACH_ONCE in scored and set(map(tuple, scored[scored.index(EACH_ONCE) :])) == {tuple(EACH_ONCE)}

    for name, timeout_ms in TIMEOUT_MS.items():
        model = {"url": f"{server}/{name}", "protocol": "instances", "device_types": [device.device_type], "timeout_ms": timeout_ms}
        model["breaker"] = {"failures": 0, "within_s": 60, "open_s": 5}
        machine.whisk.put_model(name, model)
    sent = 0

    def publish_until_scored() -> bool:
        nonlocal sent
        device.publish({"bikes": sent})
        sent += 1
        device.published()
        wait_until(lambda: records() == sent, timeout_s=180, what="the record's arrival")
        found = results()
        return all(found[pair] for pair in (("good", "ok"), ("hang", "timeout"), ("broken", "error")))

    wait_until(publish_until_scored, timeout_s=POLL_AND_BATCH_S, interval_s=1, what="results of each model")
    wait_until(complete, interval_s=0.5, what="one result of each model for each record")
    assert set(results()) == set(EACH_ONCE)

    for name in TIMEOUT_MS:
        assert requests.delete(f"{machine.whisk.web('models')}/{name}", timeout=30).status_code == 401
        machine.whisk.delete_model(name)
    machine.whisk.invoke("hort/poll-models")
    before = results().total()
    device.publish({"bikes": -1})
    device.published()
    wait_until(lambda: records() == sent + 1, timeout_s=180, what="the last record's arrival")
    wait_until(lambda: not waiting(), timeout_s=180, what="the end of its batch: results are stored after records")
    assert results().total() == before
