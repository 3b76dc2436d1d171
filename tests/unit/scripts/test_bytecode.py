"""Bytecode in zips: what is compiled, what is replaced, and that it runs as it is."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.build import archive, bytecode

pytestmark = pytest.mark.skipif(bytecode.python311() is None, reason="no Python 3.11 is on this machine")
SOURCES = {
    "__main__.py": "import hort, pkg\nprint(hort.NAME, hort.where(), pkg.f.__doc__)\n",
    "hort/__init__.py": "NAME = 'hort'\ndef where():\n    return where.__code__.co_filename\n",
    "pkg/__init__.py": "def f():\n    '''A docstring.'''\n",
    "pkg/data.txt": "x",
}


def written(folder: Path) -> dict[str, Path]:
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return archive.files_of(folder)


def test_the_suites_modules_keep_their_sources_and_packages_are_bytecode_alone(tmp_path: Path) -> None:
    files = written(tmp_path / "src")
    made = bytecode.compiled(files, packages={"pkg/__init__.py", "pkg/data.txt"}, cache=tmp_path)
    assert sorted(made) == [
        *("__main__.py", "hort/__init__.py", "hort/__pycache__/__init__.cpython-311.pyc"),
        *("pkg/__init__.pyc", "pkg/data.txt"),
    ]
    for name, path in made.items():
        (tmp_path / "zip" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "zip" / name)
    (tmp_path / "zip/hort/__init__.py").write_text("raise SystemExit('compiled again')")
    command = [bytecode.python311() or sys.executable, "__main__.py"]
    done = subprocess.run(command, cwd=tmp_path / "zip", capture_output=True, text=True, check=True)
    assert done.stdout == f"hort {tmp_path}/zip/hort/__init__.py None\n"


def test_the_same_source_gives_the_same_bytes_and_is_compiled_once(tmp_path: Path) -> None:
    files = written(tmp_path / "src")
    first = bytecode.compiled(files, packages=(), cache=tmp_path / "a")
    one = {"hort/__init__.py": files["hort/__init__.py"]}
    second = bytecode.compiled(one, packages=(), cache=tmp_path / "b")
    name = "hort/__pycache__/__init__.cpython-311.pyc"
    assert first[name].read_bytes() == second[name].read_bytes()
    first[name].write_bytes(b"kept")
    assert bytecode.compiled(files, packages=(), cache=tmp_path / "a")[name].read_bytes() == b"kept"


def test_a_source_that_is_no_python_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("10 PRINT")
    with pytest.raises(bytecode.CompileError, match=r"bad\.py"):
        bytecode.compiled({"pkg/bad.py": tmp_path / "bad.py"}, packages=(), cache=tmp_path)


def test_without_a_python_311_zips_hold_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytecode, "python311", lambda: None)
    files = written(tmp_path / "src")
    assert bytecode.compiled(files, packages=files, cache=tmp_path) == files
