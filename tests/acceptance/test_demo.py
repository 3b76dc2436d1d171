"""The demo as a user runs it, on servers of the test's own so that what it stored can be read afterwards."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.support.oracle import documents, wrong_windows
from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until
from tests.support.processes import pids
from workloads.machine import Machine, services

HOUR_S = 60
CITY_S = 45
DEMO_S = 1_400
MODELS = {"echo", "anomaly"}


@pytest.fixture
def servers() -> Iterator[Machine]:
    """Empty services."""
    with services() as machine:
        yield machine


def _demo(machine: Machine, tmp_path: Path, *options: str) -> dict[str, Any]:
    summary = tmp_path / "summary.json"
    argv = [str(SCRIPTS / "demo"), "--summary", str(summary), "--state", str(tmp_path / "demo"), "--port", "0", "--no-plates", *options]
    with subprocess.Popen(argv, env=machine.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        try:
            said, _ = demo.communicate(timeout=DEMO_S)
        except subprocess.TimeoutExpired:
            demo.terminate()  # it takes its parts down
            said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    found: dict[str, Any] = json.loads(summary.read_text())
    return found


def _check(machine: Machine, summary: dict[str, Any]) -> None:
    with Elasticsearch(machine.elasticsearch_url, request_timeout=60) as search:
        events, analytics = documents(search, "all-events"), documents(search, "analytics")
        results = documents(search, "model-results")

    assert summary["published"] == summary["ingested"] == len(events) > 0
    seen = Counter((row["device_id"], row["data"]["last_reported"], row["received_at"]) for row in events)
    assert max(seen.values()) == 1
    assert summary["documents"]["analytics"] == len(analytics)
    assert summary["windows"] == len({row["window_end"] for row in analytics}) >= 2
    assert wrong_windows(events, analytics) == []
    assert Counter((row["record_id"], row["model"]) for row in results) == Counter(
        (row["record_id"], model) for row in events for model in MODELS
    )
    assert summary["results"] == {"ok": len(results)}
    assert summary["dead_letters"] == 0
    assert summary["fires"] > 0
    assert summary["invocations"] > 0


@pytest.mark.long("the simulated city goes the same way; this one is replayed at sixty times its speed for a minute")
@pytest.mark.timeout(1800)
def test_an_hour_of_the_recorded_day(servers: Machine, tmp_path: Path, shared: Callable[[str], Path]) -> None:
    recording = shared("data/divvy/station_status.jsonl.gz")
    summary = _demo(servers, tmp_path, "--replay", str(recording), "--speed", "60", "--duration", str(HOUR_S))
    assert summary["published"] >= 300 * HOUR_S / 4
    _check(servers, summary)


@pytest.mark.slow(110)
@pytest.mark.timeout(1800)
def test_the_simulated_city(servers: Machine, tmp_path: Path) -> None:
    _check(servers, _demo(servers, tmp_path, "--city", "--duration", str(CITY_S)))


@pytest.mark.slow(45)
@pytest.mark.timeout(1800)
def test_interrupt_leaves_nothing_running(tmp_path: Path) -> None:
    argv = [str(SCRIPTS / "demo"), "--state", str(tmp_path / "demo"), "--port", "0", "--no-plates"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        demo = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    wait_until(lambda: demo.poll() is not None or "records/s | published" in log.read_text(), timeout_s=700, interval_s=0.5, what="records")
    assert demo.poll() is None, log.read_text()
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(300) == 0, log.read_text()
    wait_until(lambda: not _left(tmp_path), timeout_s=20, what=f"the end of {_left(tmp_path)}")


def _left(folder: Path) -> list[bytes]:
    """Command lines that name the folder; of a process that was killed a moment ago there may be one still."""
    return [line for pid in pids() if str(folder).encode() in (line := _read(Path(f"/proc/{pid}/cmdline")))]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
