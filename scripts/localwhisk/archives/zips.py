"""Zips (PKWARE APPNOTE 6.3.10), stored or deflated, as the proxies of OpenWhisk's images read them."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from localwhisk.archives.reading import Guarded, pieces, reading
from localwhisk.archives.tree import (
    DEFAULT_BOUNDS,
    MAX_NAME_BYTES,
    Bounds,
    File,
    Folder,
    Link,
    Node,
    Refused,
    Tree,
    quoted,
)
from localwhisk.archives.writing import write

_TABLE_BYTES: Final = 8 << 20
_UNIX: Final = (3, 19)  # made on Unix or macOS: the upper half of the attributes is a mode
_ENCRYPTED: Final = 1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_WHAT: Final = "zip"


def unzip(content: IO[bytes], folder: Path, *, bounds: Bounds = DEFAULT_BOUNDS) -> int:
    """Unpack into an empty folder; returns the number of files, raises Refused before anything is written."""
    guarded = cast("IO[bytes]", Guarded(content, at_once=_TABLE_BYTES))
    with reading(_WHAT):
        archive = zipfile.ZipFile(guarded)
    with archive:
        tree: Tree[zipfile.ZipInfo] = Tree(bounds)
        for entry in archive.infolist():
            tree.add(entry.orig_filename, _node(archive, entry))
        tree.check_links()
        return write(tree, folder, lambda file: _content(archive, file.source))


def _node(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Node[zipfile.ZipInfo]:
    name = quoted(entry.orig_filename)
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise Refused(f"{name} is encrypted, or compressed by another method than deflate")
    mode = entry.external_attr >> 16 if entry.create_system in _UNIX else 0
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        return Link(_target(archive, entry))
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"{name} is neither a file nor a folder nor a link")
    if kind == stat.S_IFDIR or entry.orig_filename.endswith("/"):
        return Folder()
    return File(entry, entry.file_size, executable=bool(mode & 0o111))


def _target(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    if entry.file_size > MAX_NAME_BYTES:
        raise Refused(f"link {quoted(entry.orig_filename)} has {entry.file_size} bytes, more than {MAX_NAME_BYTES}")
    with reading(_WHAT):
        return b"".join(_content(archive, entry)).decode()


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield an entry's bytes: never read() it whole, which inflates all of it, whatever size it claims."""
    with reading(_WHAT):
        file = archive.open(entry)
    with file:
        yield from pieces(file, entry.file_size, what=_WHAT)
