"""Code of actions on disk: unpacked once per content, shared by processes, bounded in size."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from localwhisk.runtime_api import ActionSpec
from localwhisk.runtimes import texts

MAX_UNPACKED_BYTES = 1 << 30
MAX_ENTRIES = 50_000
_STRETCH = 1 << 16  # a multiple of 4, so that base64 is decoded in whole groups

Layout = Callable[[Path, str], None]
"""Arranges an unpacked folder for one family; called with the folder and the name of the main function."""


class CodeError(Exception):
    """The code cannot be unpacked or has no entry; `log` is what the activation's stderr shall say."""

    def __init__(self, message: str, *, log: str) -> None:
        super().__init__(message)
        self.log = log


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
        """Make the folder and drop what an interrupted run left half done."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._folder.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for path in sorted(self._folder.iterdir(), key=lambda entry: entry.stat().st_mtime):
            self._sizes[path] = _size_of(path)
        self._shrink()

    async def acquire(self, spec: ActionSpec, *, family: str, layout: Layout) -> Path:
        """Hold the folder of this code, unpacking it if it is not there.

        Raises CodeError when the archive is broken, unsafe, too large or lacks its entry.
        """
        path = self._folder / await asyncio.to_thread(_name, spec, family)
        self._holders[path] = self._holders.get(path, 0) + 1
        try:
            async with self._locks.setdefault(path, asyncio.Lock()):
                if path not in self._sizes or not path.is_dir():
                    self._sizes[path] = await asyncio.to_thread(_unpack, spec, path, layout)
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
    digest = hashlib.sha256(f"{family}\0{spec.main}\0{spec.binary}\0".encode())
    code = spec.code
    for start in range(0, len(code), _STRETCH):
        digest.update(code[start : start + _STRETCH].encode())
    return digest.hexdigest()[:40]


def _unpack(spec: ActionSpec, path: Path, layout: Layout) -> int:
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        write_code(spec, new)
        layout(new, spec.main or "main")
        new.chmod(0o700)
        size = _size_of(new)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return size


def write_code(spec: ActionSpec, folder: Path) -> None:
    """Put source text or archive contents into a folder; a single file becomes `exec`."""
    with tempfile.TemporaryFile(dir=folder) as content:
        _write_decoded(spec, content)
        content.seek(0)
        start = content.read(4)
        content.seek(0)
        if start == b"PK\x03\x04":
            _unzip(content, folder)
        elif start.startswith(b"\x1f\x8b"):
            _untar(content, folder)
        else:
            with (folder / "exec").open("wb") as file:
                shutil.copyfileobj(content, file)
            (folder / "exec").chmod(0o700)


def _write_decoded(spec: ActionSpec, file: IO[bytes]) -> None:
    """Write the code as bytes, a stretch at a time, as an archive may have tens of megabytes."""
    code = spec.code.strip() if spec.binary else spec.code
    for start in range(0, len(code), _STRETCH):
        piece = code[start : start + _STRETCH]
        try:
            file.write(base64.b64decode(piece) if spec.binary else piece.encode())
        except (binascii.Error, ValueError) as error:
            raise _broken(f"cannot decode the request: {error}") from error


def _broken(detail: str) -> CodeError:
    return CodeError(texts.CANNOT_BUILD, log=detail)


def _unzip(content: IO[bytes], folder: Path) -> None:
    try:
        with zipfile.ZipFile(content) as archive:
            entries = archive.infolist()
            _check_bounds(len(entries), sum(entry.file_size for entry in entries))
            for entry in entries:
                _unzip_entry(archive, entry, folder)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise _broken(f"cannot unpack the zip: {error}") from error


def _unzip_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        _link(folder, entry.filename, archive.read(entry).decode())
        return
    target = Path(archive.extract(entry, folder))
    if mode & 0o111 and target.is_file():
        target.chmod(0o700)


def _link(folder: Path, name: str, destination: str) -> None:
    link = (folder / name).parent.resolve() / Path(name).name
    inside = folder.resolve()
    if not link.is_relative_to(inside) or not (link.parent / destination).resolve().is_relative_to(inside):
        raise ValueError(f"link {name!r} leads out of the archive")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(destination)


def _untar(content: IO[bytes], folder: Path) -> None:
    try:
        with tarfile.open(fileobj=content, mode="r:gz") as archive:
            members = archive.getmembers()
            _check_bounds(len(members), sum(member.size for member in members))
            for member in members:
                member.mode &= 0o700
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise _broken(f"cannot unpack the tar.gz: {error}") from error


def _check_bounds(entries: int, size: int) -> None:
    if entries > MAX_ENTRIES:
        raise ValueError(f"{entries} entries, more than {MAX_ENTRIES}")
    if size > MAX_UNPACKED_BYTES:
        raise ValueError(f"{size} bytes unpacked, more than {MAX_UNPACKED_BYTES}")


def _size_of(path: Path) -> int:
    return sum(
        entry.stat().st_size for entry in path.rglob("*") if entry.is_file() and not entry.is_symlink()
    )
