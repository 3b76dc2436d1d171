import os
import time
import zipfile
from pathlib import Path

import pytest

from lib.build import archive


def source(folder: Path, *, reverse: bool = False) -> Path:
    """Make the same little action, its files written in one order or the other."""
    files = {
        "__main__.py": "def main(args):\n    return args\n",
        "page.html": "<p>",
        "inner/__init__.py": "",
        "inner/a.py": "A = 1\n",
    }
    for name, text in sorted(files.items(), reverse=reverse):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_same_sources_give_the_same_bytes_whatever_the_time_umask_and_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    archive.write(first, archive.files_of(source(tmp_path / "a")))
    before = os.umask(0o077)
    try:
        later = source(tmp_path / "b", reverse=True)
        for path in later.rglob("*.py"):
            path.chmod(0o700)
            os.utime(path, (time.time() + 86_400, time.time() + 86_400))
        archive.write(second, archive.files_of(later))
    finally:
        os.umask(before)
    assert first.read_bytes() == second.read_bytes()


def test_one_changed_byte_changes_the_digest_and_the_zip(tmp_path: Path) -> None:
    folder = source(tmp_path / "a")
    digest = archive.content_digest(archive.files_of(folder))
    (folder / "inner/a.py").write_text("A = 2\n")
    assert archive.content_digest(archive.files_of(folder)) != digest


def test_a_renamed_file_changes_the_digest(tmp_path: Path) -> None:
    folder = source(tmp_path / "a")
    digest = archive.content_digest(archive.files_of(folder))
    (folder / "inner/a.py").rename(folder / "inner/b.py")
    assert archive.content_digest(archive.files_of(folder)) != digest


def test_entries_have_the_fixed_time_mode_and_order_and_empty_files_stay(tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    archive.write(target, archive.files_of(source(tmp_path / "a")))
    with zipfile.ZipFile(target) as made:
        entries = made.infolist()
    assert [entry.filename for entry in entries] == [
        "__main__.py",
        "inner/__init__.py",
        "inner/a.py",
        "page.html",
    ]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


@pytest.mark.parametrize(
    "name", ["__pycache__/m.cpython-311.pyc", "tests/test_x.py", "README.md", ".hidden", "old.py~"]
)
def test_what_no_action_needs_is_left_out(tmp_path: Path, name: str) -> None:
    folder = source(tmp_path / "a")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    assert name not in archive.files_of(folder)


def test_two_parts_with_one_name_are_refused(tmp_path: Path) -> None:
    files = archive.files_of(source(tmp_path / "a"))
    with pytest.raises(archive.Conflict, match=r"__main__\.py comes from"):
        archive.merged(files, {"__main__.py": tmp_path / "other"})


def test_a_failed_write_leaves_the_earlier_zip(tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    archive.write(target, archive.files_of(source(tmp_path / "a")))
    before = target.read_bytes()
    with pytest.raises(FileNotFoundError):
        archive.write(target, {"a": tmp_path / "missing"})
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.glob("*.zip*")] == ["x.zip"]
    assert not list(tmp_path.glob(".x.zip*"))
