"""The demo's plates: beside the stream, never in its way."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from demonstrate import plates, processes
from demonstrate.plates import Plates, told
from demonstrate.whisk import Whisk
from tests.support.polling import wait_until

ANSWER = {
    "plate": "S168319",
    "confidence": 89.24,
    "processing_time_ms": 41.7,
    "results": [{"candidates": [{"plate": "S168319"}, {"plate": "SI68319"}, {"plate": "5168319"}, {"plate": "S166319"}]}],
}


def test_a_read_photo_is_told_in_a_line() -> None:
    assert told("a.jpg", ANSWER) == "a.jpg shows S168319 (89.2 % sure, or SI68319 or 5168319), read in 42 ms"
    assert told("a.jpg", {**ANSWER, "results": [{}]}) == "a.jpg shows S168319 (89.2 % sure), read in 42 ms"
    assert told("a.jpg", {"plate": None, "results": []}) == "no plate found in a.jpg"


def test_there_is_a_picture_where_the_photo_is_not() -> None:
    assert plates.DRAWN.read_bytes()[:3] == b"\xff\xd8\xff"


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts a reader that is a script of the test's; what it told, and the object."""
    made: list[Plates] = []

    def start(script: str) -> tuple[Plates, list[str]]:
        lines: list[str] = []
        real = processes.start

        def other(name: str, argv: list[str], **options: Any) -> processes.Process:
            return real(name, [sys.executable, "-c", script, *argv[4:]], **options)

        monkeypatch.setattr(processes, "start", other)
        one = Plates(logs=tmp_path, env={"PATH": "/usr/bin:/bin"}, tell=lines.append)
        made.append(one)
        one.start(Whisk("http://127.0.0.1:9", "uuid:key"))
        return one, lines

    yield start
    for one in made:
        one.stop()


def test_a_build_that_fails_is_told_once(started: Any, tmp_path: Path) -> None:
    one, lines = started("raise SystemExit(1)")
    wait_until(lambda: lines, what="the failure being told")
    assert lines == [f"plates: no plates are read: the reader did not come up, see {tmp_path / 'plates.log'}; everything else runs"]
    assert one.state in lines[0]


def test_the_photo_is_read_once_the_reader_is_there(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def invoke(_self: Whisk, action: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        asked.append({"action": action, **(params or {})})
        return ANSWER

    monkeypatch.setattr(Whisk, "invoke", invoke)
    _, lines = started("import sys, pathlib, time; pathlib.Path(sys.argv[-1]).write_text('x'); time.sleep(60)")
    wait_until(lambda: lines, what="the photo being read")
    assert asked[0]["action"] == "hort/plates"
    assert "S168319" in lines[0]


def test_an_engine_that_refuses_is_told(started: Any) -> None:
    _, lines = started("import sys, pathlib, time; pathlib.Path(sys.argv[-1]).write_text('x'); time.sleep(60)")
    wait_until(lambda: lines, what="the failure being told")
    assert "could not be read" in lines[0]


def test_stopping_ends_a_build_with_its_children(started: Any, tmp_path: Path) -> None:
    pid = tmp_path / "child"
    script = f"import subprocess; one = subprocess.Popen(['sleep', '600']); open({str(pid)!r}, 'w').write(str(one.pid)); one.wait()"
    one, lines = started(script)
    wait_until(lambda: pid.exists() and pid.read_text(), what="the child")
    assert one.state == plates.BUILDING
    one.stop()
    assert lines == []
    wait_until(lambda: _ended(Path(f"/proc/{pid.read_text()}/stat")), what="the child's end")
    assert not [thread for thread in threading.enumerate() if thread is one._thread]


def _ended(status: Path) -> bool:
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
