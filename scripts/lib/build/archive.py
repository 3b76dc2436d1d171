"""Write zips whose bytes depend on nothing but names and contents: fixed order, time, modes and compression."""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
REGULAR_FILE_0644 = 0o100644 << 16
UNIX = 3
LEVEL = 6

IGNORED_FOLDERS = frozenset({"__pycache__", "tests", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
IGNORED_SUFFIXES = (".pyc", ".pyo", ".swp", "~", ".md")


class Conflict(Exception):
    """Two parts of a zip bring a file of the same name."""


def files_of(folder: Path, *, under: str = "") -> dict[str, Path]:
    """List a folder's files by their name in the zip, without caches, tests, notes and hidden files."""
    found = {}
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS and not name.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or name.endswith(IGNORED_SUFFIXES):
                continue
            path = Path(directory) / name
            found[under + path.relative_to(folder).as_posix()] = path
    return found


def merged(*parts: Mapping[str, Path]) -> dict[str, Path]:
    """Put the parts of a zip together; one name from two parts raises Conflict."""
    whole: dict[str, Path] = {}
    for part in parts:
        doubled = sorted(whole.keys() & part.keys())
        if doubled:
            raise Conflict(f"{doubled[0]} comes from {whole[doubled[0]]} and from {part[doubled[0]]}")
        whole.update(part)
    return whole


def content_digest(files: Mapping[str, Path]) -> str:
    """Return the SHA-256 over names and contents, which is all a zip depends on."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(name.encode() + b"\0" + hashlib.sha256(files[name].read_bytes()).digest())
    return total.hexdigest()


def write(target: Path, files: Mapping[str, Path]) -> None:
    """Write the zip beside its place and move it there, so that nobody reads half of it."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(draft, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as out:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, date_time=EPOCH)
                entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, UNIX, REGULAR_FILE_0644
                out.writestr(entry, files[name].read_bytes(), compresslevel=LEVEL)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
