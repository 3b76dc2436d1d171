"""Code of actions on disk: unpacked once per content, shared by processes, bounded in size."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from localwhisk.archives import Refused, untar, unzip
from localwhisk.runtime_api import ActionSpec
from localwhisk.runtimes.logs import Stream

_LAYOUT_VERSION = 2
"""A new one unpacks anew what an older engine left in a state folder."""
_STRETCH = 1 << 16  # a multiple of 4, so that base64 is decoded in whole groups

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
"""Faults of the machine; any other one over code is the archive's, as a folder where a file should be."""

Format = Literal["zip", "tar.gz"]
_MAGIC: Mapping[bytes, Format] = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"PK\x07\x08": "zip",
    b"\x1f\x8b\x08": "tar.gz",
}


class CodeError(Exception):
    """The code cannot be unpacked or has no entry: the result's text, and what the activation's log shall say."""

    def __init__(self, message: str, *, log: str, stream: Stream = "stderr", timeout: bool = False) -> None:
        super().__init__(message)
        self.log = log
        self.stream = stream
        self.timeout = timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How one family's proxy takes code: the archives it knows, and what it makes of a folder.

    `text_archives`: an archive is known by its first bytes even where the code came as text. `single_binary`: binary code
    that is no archive is a single file. `refuse` words the error over an archive that cannot be unpacked, or over binary code
    that is none (format None). `lay_out` arranges the folder; it raises CodeError when something is missing. `stop` ends what
    `lay_out` is waiting for, from another thread, for good.
    """

    family: str
    formats: Container[Format]
    text_archives: bool
    single_binary: bool
    refuse: Callable[[Format | None, str], CodeError]
    lay_out: Callable[[Path, ActionSpec], None]
    stop: Callable[[], None] = lambda: None


class CodeCache:
    """Folders named by content, the least recently used of them removed beyond `max_bytes`.

    A folder that is held by a process is never removed: `acquire` and `release` count holders.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._holders: dict[Path, int] = {}
        self._sizes: dict[Path, int] = {}
        self._locks: dict[Path, asyncio.Lock] = {}

    def start(self) -> None:
        """Make the folder and drop what an interrupted run left half done.

        Node looks for the package.json that a file belongs to in all folders above it: the one made here ends the search.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "package.json").write_text("{}\n", "utf-8")
        for leftover in self._folder.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folders = [path for path in self._folder.iterdir() if path.is_dir()]
        for path in sorted(folders, key=lambda entry: entry.stat().st_mtime):
            self._sizes[path] = _size_of(path)
        self._shrink()

    async def acquire(self, spec: ActionSpec, packing: Packing) -> Path:
        """Hold the folder of this code, unpacking it if it is not there.

        Raises CodeError when the archive is broken, unsafe, too large or lacks its entry.
        """
        path = self._folder / await asyncio.to_thread(_name, spec, packing.family)
        self._holders[path] = self._holders.get(path, 0) + 1
        try:
            async with self._locks.setdefault(path, asyncio.Lock()):
                if path not in self._sizes or not path.is_dir():
                    self._sizes[path] = await asyncio.to_thread(_unpack, spec, path, packing)
        except BaseException:
            self.release(path)
            raise
        self._sizes[path] = self._sizes.pop(path)
        with contextlib.suppress(OSError):
            os.utime(path)
        self._shrink()
        return path

    def release(self, path: Path) -> None:
        """Give a folder back."""
        left = self._holders.get(path, 0) - 1
        if left > 0:
            self._holders[path] = left
            return
        self._holders.pop(path, None)
        self._locks.pop(path, None)
        self._shrink()

    def _shrink(self) -> None:
        total = sum(self._sizes.values())
        for path in [path for path in self._sizes if path not in self._holders]:
            if total <= self._max_bytes:
                return
            total -= self._sizes.pop(path)
            shutil.rmtree(path, ignore_errors=True)


def _name(spec: ActionSpec, family: str) -> str:
    digest = hashlib.sha256(f"{_LAYOUT_VERSION}\0{family}\0{spec.main}\0{spec.binary}\0".encode("utf-8", "replace"))
    code = spec.code
    for start in range(0, len(code), _STRETCH):
        digest.update(code[start : start + _STRETCH].encode("utf-8", "replace"))
    return digest.hexdigest()[:40]


def _unpack(spec: ActionSpec, path: Path, packing: Packing) -> int:
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        _lay_out(spec, new, packing)
        new.chmod(0o700)
        size = _size_of(new)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return size


def _lay_out(spec: ActionSpec, folder: Path, packing: Packing) -> None:
    try:
        _write_code(spec, folder, packing)
        packing.lay_out(folder, spec)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
        raise packing.refuse(None, f"{Path(str(error.filename)).name}: {error.strerror}") from error


def start_of(file: Path, *, most: int) -> bytes:
    """Read a file that a stranger's archive brought: never more than a byte beyond `most`, as an archive unpacks to a gigabyte."""
    with file.open("rb") as content:
        return content.read(most + 1)


def _write_code(spec: ActionSpec, folder: Path, packing: Packing) -> None:
    """Put source text or archive contents into a folder; a single file becomes `exec`."""
    with tempfile.TemporaryFile(dir=folder) as content:
        _write_decoded(spec, content)
        content.seek(0)
        found = _format(content, packing) if spec.binary or packing.text_archives else None
        if found is not None:
            try:
                (unzip if found == "zip" else untar)(content, folder)
            except Refused as error:
                raise packing.refuse(found, str(error)) from error
        elif spec.binary and not packing.single_binary:
            raise packing.refuse(None, "the code is base64, but of no archive that this kind reads")
        else:
            with (folder / "exec").open("wb") as file:
                shutil.copyfileobj(content, file)
            (folder / "exec").chmod(0o700)


def _format(content: IO[bytes], packing: Packing) -> Format | None:
    start = content.read(max(map(len, _MAGIC)))
    content.seek(0)
    found = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    return found if found is not None and found in packing.formats else None


def _write_decoded(spec: ActionSpec, file: IO[bytes]) -> None:
    """Write the code as bytes, a stretch at a time, as an archive may have tens of megabytes."""
    code = spec.code.strip() if spec.binary else spec.code
    for start in range(0, len(code), _STRETCH):
        piece = code[start : start + _STRETCH]
        file.write(base64.b64decode(piece) if spec.binary else piece.encode("utf-8", "replace"))


def _size_of(path: Path) -> int:
    return sum(
        entry.stat().st_size for entry in path.rglob("*") if entry.is_file() and not entry.is_symlink()
    )
