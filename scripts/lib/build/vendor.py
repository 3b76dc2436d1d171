"""The trees of third-party packages that zips carry: installed for python:3.11 on Linux, stripped, and kept in the cache folder."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path

from lib.build import elf, lock

PYTHON = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none")
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux2014", "manylinux_2_17", "manylinux2010", "manylinux1")
MACHINES = ("x86_64", "aarch64")

STRIPPED_FOLDERS = frozenset({"tests", "test", "testing", "__pycache__", "bin", "f2py", "distutils", "_pyinstaller"})
STRIPPED_PATHS = (  # of numpy, what it imports only when it is asked for it, and no action asks
    *("numpy/random", "numpy/fft", "numpy/polynomial", "numpy/ma/mrecords.py", "numpy/_core/_simd.*", "numpy/_core/_*_tests.*"),
)
STRIPPED_SUFFIXES = (".pyi", ".pyc", ".pxd", ".h", ".c", ".a", ".lib", ".exe")
STRIPPED_DIST_INFO = frozenset({"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json", "top_level.txt", "entry_points.txt"})
RULES_VERSION = "4"  # of the rules above: a new one makes the trees anew


class VendorError(Exception):
    """The package installer failed; the message is the end of its output."""


def tree(names: tuple[str, ...], *, lock_file: Path, cache: Path, machine: str) -> Path | None:
    """Return a folder with the named packages, installed now if it is not in the cache; None for no names."""
    if not names:
        return None
    wanted = lock.subset(lock_file, names)
    key = hashlib.sha256(f"{RULES_VERSION}\n{machine}\n{wanted}".encode()).hexdigest()[:16]
    folder = cache / "vendor" / key
    if (folder / ".complete").is_file():
        (folder / ".complete").touch()  # scripts/setup removes what was not used for long
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder.parent))
    try:
        _install(wanted, into=draft, machine=machine)
        strip(draft)
        (draft / ".complete").touch()
        shutil.rmtree(folder, ignore_errors=True)
        _publish(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def strip(folder: Path) -> None:
    """Remove what an action never imports: tests, type stubs, headers, compiled caches, installer notes, what libraries hold for debuggers."""
    for path in sorted(folder.rglob("*"), reverse=True):
        inside = path.relative_to(folder).as_posix()
        if path.is_dir():
            if path.name in STRIPPED_FOLDERS or _is_stripped(inside):
                shutil.rmtree(path)
        elif path.name.endswith(STRIPPED_SUFFIXES) or _is_note(inside) or _is_stripped(inside):
            path.unlink(missing_ok=True)
        elif ".so" in path.suffixes:
            path.write_bytes(elf.loaded(path.read_bytes()))


def _is_stripped(inside: str) -> bool:
    return any(fnmatch(inside, pattern) for pattern in STRIPPED_PATHS)


def _is_note(inside: str) -> bool:
    return bool(re.match(r"[^/]+\.dist-info/", inside)) and Path(inside).name in STRIPPED_DIST_INFO


def _install(wanted: str, *, into: Path, machine: str) -> None:
    platforms = [option for tag in GLIBC for option in ("--platform", f"{tag}_{machine}")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write(wanted)
        listed.flush()
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]
        argv += ["--require-hashes", "--no-compile", "--only-binary", ":all:", *PYTHON, *platforms, "--target", str(into), "-r", listed.name]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False, env=os.environ | {"PIP_NO_COLOR": "1"})
    if done.returncode:
        raise VendorError(f"pip failed with status {done.returncode}:\n{(done.stderr or done.stdout)[-2000:]}")


def _publish(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError:
        if not (folder / ".complete").is_file():  # else another build was first, with the same content
            raise
