"""Files for their owner's eyes only."""

from __future__ import annotations

import os
from pathlib import Path

_FILE, _FOLDER = 0o600, 0o700
_OTHERS = 0o077


def write(path: Path, text: str) -> None:
    """Write a file in one step; raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.unlink(missing_ok=True)  # of a process that crashed
    try:
        create(partial, text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def create(path: Path, text: str) -> None:
    """Write a file that is not there yet; raises FileExistsError or another OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE), "w", encoding="utf-8") as file:
        file.write(text)


def from_now_on() -> None:
    """Keep every file and folder that this process and those it starts will make from all others."""
    os.umask(_OTHERS)


def close(path: Path) -> None:
    """Take from others what they may do with a file or folder of an earlier run; raises OSError."""
    if path.exists():
        path.chmod(_FOLDER if path.is_dir() else _FILE)
