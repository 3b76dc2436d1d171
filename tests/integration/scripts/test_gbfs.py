"""scripts/gbfs as a process: every version over HTTP, progress, replay of the recorded day, an orderly end."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from hort import gbfs
from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until


@contextmanager
def served(tmp_path: Path, *arguments: str) -> Iterator[str]:
    ready = tmp_path / "gbfs.ready"
    argv = [str(SCRIPTS / "gbfs"), "serve", "--ready-file", str(ready), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(ready.exists, timeout_s=60, what="the ready file")
            yield ready.read_text().strip()
        finally:
            process.terminate()
            output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert output.splitlines()[-1].startswith("served: ")


def fetch(url: str) -> bytes:
    return requests.get(url, timeout=60).content


def get(url: str) -> Any:
    return requests.get(url, timeout=60).json()


@pytest.mark.parametrize("version", ["1.1", "2.3", "3.0"])
def test_the_client_reads_every_version(tmp_path: Path, version: str) -> None:
    with served(tmp_path, "--simulate", "12", "--version", version) as url:
        status = gbfs.Client(url, fetch).status()
        assert status is not None
        assert status.version == version
        assert len(status.stations) == 12
        assert all(row["name"] and row["capacity"] >= row["num_bikes_available"] for row in status.stations)
        assert all(
            type(row["is_renting"]) is int and type(row["last_reported"]) is int for row in status.stations
        )


def test_one_server_has_all_versions_and_its_progress(tmp_path: Path) -> None:
    with served(tmp_path, "--simulate", "5", "--seed", "3", "--ttl", "3600") as url:
        root = url.removesuffix("/gbfs.json")
        rows = []
        for version in ("1.1", "2.3", "3.0"):
            status = gbfs.Client(f"{root}/{version}/gbfs.json", fetch).status()
            assert status is not None
            rows.append(status.stations)
        assert rows[0] == rows[1] == rows[2]
        progress = get(f"{root}/progress")
        assert progress["mode"] == "simulate"
        assert progress["requests"] == 3
        assert requests.get(f"{root}/nothing", timeout=60).status_code == 404
        assert requests.post(url, timeout=60).status_code == 501


def test_two_runs_of_one_recording_are_two_sources(tmp_path: Path) -> None:
    path = tmp_path / "status.jsonl"
    path.write_text(
        json.dumps(
            {
                "last_updated": 9,
                "ttl": 60,
                "data": {"stations": [{"station_id": "1", "num_bikes_available": 1}]},
            }
        )
    )
    identities = set()
    for _ in range(2):
        with served(tmp_path, "--replay", str(path)) as url:
            status = gbfs.Client(url, fetch).status()
            assert status is not None
            identities.add(status.identity)
            assert get(url.replace("gbfs.json", "progress"))["done"]
        (tmp_path / "gbfs.ready").unlink()
    assert len(identities) == 2


def test_the_recorded_day_is_replayed_as_it_was(tmp_path: Path, shared: Callable[[str], Path]) -> None:
    path = shared("data/divvy/station_status.jsonl.gz")
    with served(tmp_path, "--replay", str(path), "--speed", "600") as url:
        source = gbfs.Client(url, fetch)
        seen: list[gbfs.Status] = []

        def several() -> bool:
            status = source.status()
            if status is not None and (not seen or status.identity != seen[-1].identity):
                seen.append(status)
            return len(seen) >= 4

        wait_until(several, what="four documents")
        assert [status.last_updated for status in seen] == sorted(status.last_updated for status in seen)
        assert seen[0].last_updated == 1410479941
        assert len(seen[0].stations) == 300
        first = next(row for row in seen[0].stations if row["station_id"] == "5")
        assert (first["name"], first["capacity"], first["num_bikes_available"]) == (
            "State St & Harrison St",
            19,
            11,
        )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--replay", "none.jsonl"], "none.jsonl"),
        (["--speed", "0"], "--speed"),
        (["--simulate", "0"], "--simulate"),
        (["--simulate", "3", "--replay", "x"], "not allowed with"),
        (["--version", "9"], "--version"),
    ],
)
def test_wrong_arguments_end_at_once_and_say_why(arguments: list[str], says: str) -> None:
    done = subprocess.run(
        [str(SCRIPTS / "gbfs"), "serve", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr
