import os
from pathlib import Path

from tests.support.logs import CHARACTERS, FILES, LINES, sections


def test_what_was_written_since_the_test_began_is_shown_and_kept_whole(tmp_path: Path) -> None:
    old, new = tmp_path / "run" / "old.log", tmp_path / "run" / "redis" / "redis.log"
    new.parent.mkdir(parents=True)
    old.write_text("of another test")
    os.utime(old, (100, 100))
    new.write_text("".join(f"line {number}\n" for number in range(1_000)))
    os.utime(new, (300, 300))

    found = dict(sections(tmp_path / "run", 200.0, tmp_path / "kept"))

    assert list(found) == ["log redis/redis.log", "whole logs"]
    assert found["log redis/redis.log"].splitlines() == [f"line {number}" for number in range(1_000 - LINES, 1_000)]
    assert found["whole logs"] == str(tmp_path / "kept")
    assert (tmp_path / "kept" / "redis-redis.log").read_text() == new.read_text()


def test_much_is_cut_and_the_rest_is_named(tmp_path: Path) -> None:
    for number in range(FILES + 2):
        (tmp_path / f"{number}.log").write_bytes(b"\xff" * 100_000)

    found = sections(tmp_path, 0.0, tmp_path / "kept")

    assert len(found) == FILES + 2
    assert len(found[0][1]) <= CHARACTERS
    assert len(found[-2][1].splitlines()) == 2


def test_without_logs_nothing_is_said(tmp_path: Path) -> None:
    assert sections(tmp_path, 0.0, tmp_path / "kept") == []
