"""A recording played back by an injected clock."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gbfs_server.recording import RecordingError
from gbfs_server.replay import Replay

TIMES = [100, 160, 160, 281, 340]


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def document(time: int, bikes: int) -> dict[str, Any]:
    row = {"station_id": "5", "num_bikes_available": bikes, "last_reported": time}
    return {"last_updated": time, "ttl": 60, "data": {"stations": [row]}}


@pytest.fixture(params=["plain", "gzip"])
def recording(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    raw = "".join(json.dumps(document(time, number)) + "\n" for number, time in enumerate(TIMES)).encode()
    path = tmp_path / "status.jsonl"
    path.write_bytes(gzip.compress(raw) if request.param == "gzip" else raw)
    return path


def bikes(replay: Replay) -> int:
    return int(replay.status().stations[0]["num_bikes_available"])


def test_each_document_is_due_at_its_recorded_distance_over_the_speed(recording: Path) -> None:
    clock = Clock()
    replay = Replay(recording, 60.0, clock)
    found = []
    for seconds in (0.0, 0.99, 1.0, 3.0, 3.02, 4.0, 400.0):
        clock.now = 50.0 + seconds
        found.append(bikes(replay))
    assert found == [0, 0, 2, 2, 3, 4, 4]


def test_time_starts_with_the_first_look(recording: Path) -> None:
    clock = Clock()
    replay = Replay(recording, 1.0, clock)
    clock.now = 10_000.0
    assert bikes(replay) == 0


def test_recorded_times_stay_and_the_ttl_is_scaled(recording: Path) -> None:
    snapshot = Replay(recording, 60.0, Clock()).status()
    assert (snapshot.last_updated, snapshot.stations[0]["last_reported"], snapshot.ttl) == (100, 100, 1)
    assert Replay(recording, 1.0, Clock()).status().ttl == 60


def test_progress_tells_when_it_is_done(recording: Path) -> None:
    clock = Clock()
    replay = Replay(recording, 60.0, clock)
    assert replay.progress() == {
        "mode": "replay",
        "position": 0,
        "total": 5,
        "served": 0,
        "done": False,
        "rounds": 0,
    }
    replay.status()
    clock.now += 100
    assert replay.progress()["position"] == 5
    assert not replay.progress()["done"]
    replay.status()
    assert replay.progress()["done"]


def test_a_loop_goes_on_with_times_that_go_on(recording: Path) -> None:
    clock = Clock()
    replay = Replay(recording, 60.0, clock, loop=True)
    replay.status()
    seen = []
    for _ in range(12):
        snapshot = replay.status()
        seen.append((snapshot.number, snapshot.last_updated, snapshot.stations[0]["last_reported"]))
        clock.now += 1.0
    assert seen == sorted(seen)
    assert seen[5] == (6, 400, 400)
    assert not replay.progress()["done"]


def test_station_information_lies_beside_the_recording(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "station_information.json"
    path.write_text(json.dumps({"last_updated": 1, "data": {"stations": [{"station_id": "5", "name": "x"}]}}))
    assert Replay(recording, 1, Clock(), information_path=path).information().stations[0]["name"] == "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no documents"),
        ("\n\n", "no documents"),
        ("{", "line 1: not JSON"),
        ('{"last_updated": "x"}', "line 1: 'last_updated'"),
        ('{"last_updated": 1}', "line 1: 'data.stations'"),
        (
            json.dumps(document(9, 1)) + "\n" + json.dumps(document(8, 1)),
            "line 2: 'last_updated' goes back from 9 to 8",
        ),
    ],
)
def test_a_recording_that_cannot_be_used_names_the_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(RecordingError, match=says.replace("(", r"\(")):
        Replay(path, 1, Clock())


def test_a_missing_or_broken_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"none\.jsonl"):
        Replay(tmp_path / "none.jsonl", 1, Clock())
    broken = tmp_path / "cut.gz"
    broken.write_bytes(gzip.compress(b"x" * 1000)[:20])
    with pytest.raises(RecordingError, match=r"cut\.gz"):
        Replay(broken, 1, Clock())
