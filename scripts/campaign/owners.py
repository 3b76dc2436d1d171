"""Which processes hold the client's end of a connection on this machine, from /proc (Linux, proc(5) and Documentation/networking/proc_net_tcp)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

_PROC = Path("/proc")
_TABLES = ("net/tcp", "net/tcp6")  # a dual-stack socket on 127.0.0.1 is in the second
_FURTHEST = 64


def owners(client: tuple[str, int], server: tuple[str, int]) -> list[int]:
    """Pids of the processes with the socket that goes from `client` to `server` (both IPv4), lowest first."""
    inode = _inode(_row_address(client), _row_address(server))
    return _holders(f"socket:[{inode}]") if inode else []


def descendant_of(ancestor: int) -> Callable[[int], bool]:
    """A test whether a pid lives below a process (or is it) at the time of asking."""

    def is_below(pid: int) -> bool:
        for _ in range(_FURTHEST):
            if pid == ancestor:
                return True
            pid = _parent(pid)
            if pid <= 1:
                return False
        return False

    return is_below


def _parent(pid: int) -> int:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def _row_address(address: tuple[str, int]) -> str:
    number = bytes(int(part) for part in reversed(address[0].split(".")))
    return f"{number.hex().upper()}:{address[1]:04X}"


def _inode(local: str, remote: str) -> int:
    for table in _TABLES:
        with contextlib.suppress(FileNotFoundError):
            for line in (_PROC / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(local) and fields[2].endswith(remote):
                    return int(fields[9])
    return 0


def _holders(link: str) -> list[int]:
    pids = sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if _holds(pid, link)]


def _holds(pid: int, link: str) -> bool:
    folder = _PROC / str(pid) / "fd"
    try:
        entries = list(folder.iterdir())
    except OSError:
        return False  # it has gone, or is not ours
    for entry in entries:
        with contextlib.suppress(OSError):
            if str(entry.readlink()) == link:
                return True
    return False
