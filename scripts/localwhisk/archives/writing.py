"""Writing a checked tree into a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from localwhisk.archives.reading import CHUNK
from localwhisk.archives.tree import File, Link, Source, Tree


def write(tree: Tree[Source], folder: Path, content: Callable[[File[Source]], Iterable[bytes]]) -> int:
    """Make folders and files, then links; returns how many files there are.

    Nothing that is there already is written to: a name that the file system takes for another one raises FileExistsError.
    """
    files, links = 0, []
    written: dict[Source, Path] = {}
    for parts, node in tree.nodes.items():
        path = folder.joinpath(*parts)
        if isinstance(node, Link):
            links.append((path, node.target))
        elif isinstance(node, File):
            twin = written.setdefault(node.source, path)
            _write_file(path, node, content(node) if twin is path else _copied(twin))
            files += 1
        else:
            path.mkdir()
    for path, target in links:
        path.symlink_to(target)
    return files


def _copied(path: Path) -> Iterator[bytes]:
    """Yield what was written already: going back in a tar.gz inflates it again from its start, once for each hard link."""
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _write_file(path: Path, file: File[Source], content: Iterable[bytes]) -> None:
    mode = 0o777 if file.executable else 0o666  # less the process's umask
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as out:
        out.writelines(content)
