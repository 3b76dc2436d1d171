"""Bytecode in zips: without it each cold start compiles every module it imports, which is most of its time and a fifth of its memory.

It is made by a Python 3.11, as the image runs no other, kept in the cache by content, and marked never to be compared with its source.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Container, Mapping
from pathlib import Path, PurePosixPath

PYTHON = (3, 11)
TAG = "cpython-311"
_COMPILE = """
import json, py_compile, sys
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, name, target, optimize in json.load(sys.stdin):
    py_compile.compile(source, target, name, doraise=True, optimize=optimize, invalidation_mode=unchecked)
"""


class CompileError(Exception):
    """A source is no Python 3.11; the message is the end of the compiler's output."""


def python311() -> str | None:
    """Find a Python 3.11: this one, that of the actions' environment, or the system's."""
    actions = os.environ.get("HORT_ACTIONS_ENV", "")
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    return shutil.which("python", path=f"{actions}/bin") if actions else shutil.which("python3.11")


def compiled(files: Mapping[str, Path], *, packages: Container[str], cache: Path) -> dict[str, Path]:
    """Return what is to be in the zip: bytecode beside the suite's sources, and in the place of those named in `packages`.

    Packages do without their docstrings, too. An action's __main__.py stays as it is, since the image gives it another name, and
    so does everything where there is no Python 3.11.
    """
    python = python311()
    if python is None:
        return dict(files)
    jobs = [_Job(name, path, package=name in packages, cache=cache) for name, path in files.items() if _is_module(name)]
    _compile(python, [job for job in jobs if not job.made.exists()])
    for job in jobs:
        job.made.touch()  # scripts/setup removes what was not used for long
    replaced = {job.name for job in jobs if job.package}
    return {name: path for name, path in files.items() if name not in replaced} | {job.name_in_zip: job.made for job in jobs}


class _Job:
    """One module: its source, and where its bytecode is kept by content."""

    def __init__(self, name: str, source: Path, *, package: bool, cache: Path) -> None:
        path = PurePosixPath(name)
        self.name, self.source, self.package = name, source, package
        self.optimize = 2 if package else 0
        self.name_in_zip = str(path.with_suffix(".pyc") if package else path.parent / "__pycache__" / f"{path.stem}.{TAG}.pyc")
        digest = hashlib.sha256(f"{TAG}\0{self.optimize}\0{name}\0".encode() + source.read_bytes()).hexdigest()
        self.made = cache / "bytecode" / f"{digest[:32]}.pyc"


def _is_module(name: str) -> bool:
    return name.endswith(".py") and name != "__main__.py"


def _compile(python: str, jobs: list[_Job]) -> None:
    if not jobs:
        return
    jobs[0].made.parent.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps([[str(job.source), job.name, str(job.made), job.optimize] for job in jobs])
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # the order of sets is part of bytecode
    done = subprocess.run(
        [python, "-c", _COMPILE], input=wanted, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise CompileError(done.stderr[-2000:])
