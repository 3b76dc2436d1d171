"""A state folder in which one program works at a time: a mark says that it is ours, and its lock who has it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

MARK = ".hort-state"
_ONLY_MINE = 0o600


class StateRefused(Exception):
    """A folder is somebody else's, or somebody works in it; the message says whose and what to do."""


@contextlib.contextmanager
def held(folder: Path, *, who: str, ours: bool = False) -> Iterator[None]:
    """Hold a folder while the block runs; StateRefused where it holds foreign files or another program holds it.

    `ours`: it is known by its place, also without a mark. A program that is killed lets go of it.
    """
    if folder.exists() and not folder.is_dir():
        raise StateRefused(f"{folder} is no folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = folder / MARK
    foreign = None if ours or mark.exists() else next(folder.iterdir(), None)
    if foreign is not None:
        raise StateRefused(f"{folder} holds files that are not ours, such as {foreign.name}: name an empty or a new folder")
    folder.chmod(0o700)
    with os.fdopen(os.open(mark, os.O_RDWR | os.O_CREAT, _ONLY_MINE), "r+", encoding="utf-8") as lock:
        _take(lock, folder)
        lock.truncate(0)
        json.dump({"who": who, "pid": os.getpid(), "since": time.strftime("%H:%M:%S")}, lock)
        lock.flush()
        yield


def empty(folder: Path, names: Iterable[str]) -> None:
    """Remove what we made in a folder, by its names; nothing else in it is touched."""
    for name in names:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _take(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            found = json.load(lock)
            holder = f"{found['who']} (process {found['pid']}, since {found['since']})"
        except (ValueError, KeyError, TypeError):
            holder = "another program"
        raise StateRefused(f"{holder} works in {folder}: end it first, or name another folder with --state") from None
