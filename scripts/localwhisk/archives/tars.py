"""Tars (POSIX pax, GNU) compressed by gzip."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from localwhisk.archives.reading import Guarded, pieces, reading
from localwhisk.archives.tree import DEFAULT_BOUNDS, Bounds, File, Folder, Link, Node, Refused, Tree, quoted
from localwhisk.archives.writing import write

_HEADER_BYTES: Final = 1 << 16
_WHAT: Final = "tar.gz"


def untar(content: IO[bytes], folder: Path, *, bounds: Bounds = DEFAULT_BOUNDS) -> int:
    """Unpack into an empty folder; returns the number of files, raises Refused before anything is written."""
    inflated = cast("IO[bytes]", gzip.GzipFile(fileobj=content))
    guarded = Guarded(inflated, at_once=_HEADER_BYTES)
    tree: Tree[int] = Tree(bounds)
    for member in _members(guarded):
        tree.add(member.name, _node(member, tree))
    tree.check_links()
    return write(tree, folder, lambda file: _content(guarded, file))


def _members(guarded: Guarded) -> Iterator[tarfile.TarInfo]:
    """Yield the headers one by one, none of which is kept: each may have as much as the allowance.

    What follows a header is inflated when the next one is asked for: by then its size was looked at.
    """
    guarded.allowance = _HEADER_BYTES
    with reading(_WHAT):
        archive = tarfile.open(fileobj=cast("IO[bytes]", guarded), mode="r:")  # noqa: SIM115  # the file is the caller's
    while True:
        guarded.allowance = _HEADER_BYTES
        with reading(_WHAT):
            member = archive.next()
        if member is None:
            break
        archive.members = []  # type: ignore[attr-defined]  # public, but without a type
        archive.pax_headers = {}
        yield member
    guarded.allowance = None


def _node(member: tarfile.TarInfo, tree: Tree[int]) -> Node[int]:
    if member.isdir():
        return Folder()
    if member.issym():
        return Link(member.linkname)
    if member.islnk():
        return _twin(member, tree)
    if not member.isreg() or member.issparse():
        raise Refused(f"{quoted(member.name)} is neither a file nor a folder nor a link")
    return File(member.offset_data, member.size, executable=bool(member.mode & 0o111))


def _twin(member: tarfile.TarInfo, tree: Tree[int]) -> File[int]:
    """Make a hard link a copy of the file it names, which must have come before it."""
    first = tree.nodes.get(tuple(part for part in member.linkname.split("/") if part not in ("", ".")))
    if not isinstance(first, File):
        raise Refused(f"hard link {quoted(member.name)} names no file that came before it")
    return first


def _content(guarded: Guarded, file: File[int]) -> Iterator[bytes]:
    with reading(_WHAT):
        guarded.seek(file.source)
    yield from pieces(guarded, file.size, what=_WHAT)
