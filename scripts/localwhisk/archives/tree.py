"""What an archive would put into a folder, and the rules it has to keep."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Source = TypeVar("Source")
Parts = tuple[str, ...]

MAX_NAME_BYTES: Final = 1024
MAX_PART_BYTES: Final = 255
MAX_DEPTH: Final = 64
MAX_LINK_BYTES: Final = 1 << 20
"""Of all links together."""
MAX_LINKS_IN_A_ROW: Final = 40
_QUOTED_LENGTH: Final = 120
_DRIVE = re.compile(r"[A-Za-z]:")


class Refused(ValueError):
    """The archive is broken, too large, or leads out of its folder; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an archive may bring: files, folders (those that names imply, too) and links; bytes unpacked.

    A folder that is named again counts again: its header has to be read.
    """

    entries: int = 50_000
    size: int = 1 << 30


DEFAULT_BOUNDS: Final = Bounds()


@dataclass(frozen=True, slots=True)
class File(Generic[Source]):
    """A regular file; `source` is where the archive's reader finds its bytes."""

    source: Source
    size: int
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder, named or implied."""


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


Node = File[Source] | Folder | Link


class Tree(Generic[Source]):
    """Nodes by their parts, each after the folder it lies in; what breaks a rule raises Refused."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._named = 0
        self._size = 0
        self._link_bytes = 0
        self._destinations: dict[Parts, Parts] = {}
        self.nodes: dict[Parts, Node[Source]] = {}

    def add(self, name: str, node: Node[Source]) -> None:
        """Add what the archive calls by this name, with the folders that the name implies."""
        self._named += 1
        if self._named > self._bounds.entries:
            raise self._too_many()
        parts = _parts(name)
        if not parts and not isinstance(node, Folder):
            raise Refused(f"{quoted(name)} names no file")
        for depth in range(1, len(parts)):
            self._place(parts[:depth], Folder())
        if parts:
            self._place(parts, node)

    def _place(self, parts: Parts, node: Node[Source]) -> None:
        known = self.nodes.get(parts)
        if known is None:
            self._count(node)
            self.nodes[parts] = node
        elif not (isinstance(known, Folder) and isinstance(node, Folder)):
            raise Refused(f"{quoted('/'.join(parts))} occurs twice, or lies in what is no folder")

    def _count(self, node: Node[Source]) -> None:
        if len(self.nodes) >= self._bounds.entries:
            raise self._too_many()
        if isinstance(node, File):
            if node.size < 0:
                raise Refused("a file of negative size")
            self._size += node.size
            if self._size > self._bounds.size:
                raise Refused(f"more than {self._bounds.size} bytes unpacked")
        elif isinstance(node, Link):
            self._link_bytes += len(_checked(node.target))
            if self._link_bytes > MAX_LINK_BYTES:
                raise Refused(f"links of more than {MAX_LINK_BYTES} bytes")

    def _too_many(self) -> Refused:
        return Refused(f"more than {self._bounds.entries} files, folders and links")

    def check_links(self) -> None:
        """Follow every link, through other links, too, and refuse the archive when one leads out of it."""
        for parts, node in self.nodes.items():
            if isinstance(node, Link):
                self._follow(parts, node, in_a_row=1)

    def _follow(self, parts: Parts, link: Link, *, in_a_row: int) -> Parts:
        """Return where a link ends, as the kernel would walk it once all is unpacked."""
        if parts in self._destinations:
            return self._destinations[parts]
        if in_a_row > MAX_LINKS_IN_A_ROW:
            raise Refused(f"link {quoted('/'.join(parts))} leads through too many links")
        if link.target.startswith("/") or _DRIVE.match(link.target):
            raise _leads_out(parts)
        here = parts[:-1]
        for step in link.target.split("/"):
            here = self._step(parts, here, step, in_a_row=in_a_row)
        self._destinations[parts] = here
        return here

    def _step(self, parts: Parts, here: Parts, step: str, *, in_a_row: int) -> Parts:
        if step in ("", "."):
            return here
        if step == "..":
            if not here:
                raise _leads_out(parts)
            return here[:-1]
        here = (*here, step)
        if len(here) > MAX_DEPTH:
            raise Refused(f"link {quoted('/'.join(parts))} leads deeper than {MAX_DEPTH} folders")
        node = self.nodes.get(here)
        return self._follow(here, node, in_a_row=in_a_row + 1) if isinstance(node, Link) else here


def quoted(text: str) -> str:
    """Write a name of a stranger for a log: in quotes, short, without control characters."""
    return ascii(text if len(text) <= _QUOTED_LENGTH else text[:_QUOTED_LENGTH] + "…")


def _leads_out(parts: Parts) -> Refused:
    return Refused(f"link {quoted('/'.join(parts))} leads out of the archive")


def _parts(name: str) -> Parts:
    _checked(name)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or (parts and _DRIVE.fullmatch(parts[0])):
        raise Refused(f"name {quoted(name)} leads out of the archive")
    if len(parts) > MAX_DEPTH:
        raise Refused(f"name {quoted(name)} is deeper than {MAX_DEPTH} folders")
    return parts


def _checked(name: str) -> bytes:
    """Return the bytes of a name or of a link's target that a file system can hold on every platform."""
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise Refused(f"name {quoted(name)} is not UTF-8") from None
    if not raw or len(raw) > MAX_NAME_BYTES or max(map(len, raw.split(b"/"))) > MAX_PART_BYTES:
        raise Refused(f"name {quoted(name)} has {len(raw)} bytes; 1 to {MAX_NAME_BYTES} are fine, {MAX_PART_BYTES} a part")
    if b"\0" in raw or b"\\" in raw:
        raise Refused(f"name {quoted(name)} has a backslash or a zero byte; separators are forward slashes")
    return raw
