"""What devices and brokers say reaches logs as one line of JSON each, without a character that a terminal obeys."""

import io
import json
import sys
from pathlib import Path

import pytest

from feeds.provider.log import log
from hort import activation_log

HOSTILE = "a\x1b[2Jb\nforged\r\x9b31m\u202eevil\u2028\ud800"


@pytest.mark.parametrize("write", [lambda: log("refused", error=HOSTILE, topic=HOSTILE), lambda: activation_log.log("ingest.failed", error=HOSTILE, topic=HOSTILE)])
def test_a_log_line_is_one_line_that_does_nothing(write: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(write)
    write()
    (line,) = capsys.readouterr().err.splitlines()

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["topic"] == HOSTILE


def test_a_full_disk_under_the_log_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that fire and journal told of their trouble, died of that, and stayed so when there was room again."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(full, write_through=True))
        log("journal-failed", error=OSError("no room"))
        log("survived")
        monkeypatch.undo()
