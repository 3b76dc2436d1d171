"""Run servers as an unprivileged user when we are root: Elasticsearch refuses root, and the others need no such rights either."""

import os
import shutil
from pathlib import Path

from lib.stack.errors import StackError

NOBODY = 65534
READ_SEARCH, OVERRIDE = "dac_read_search", "dac_override"
CAPABILITY_BITS = {READ_SEARCH: 2, OVERRIDE: 1}  # linux/capability.h


def unprivileged(argv: list[str], *, folders: list[Path]) -> list[str]:
    """Wrap a command so that it runs as user nobody when we are root; the folders are what it must be able to reach.

    Where a folder lies under one that others may not enter (a root's home), the command keeps the single right to pass through folders.
    """
    if os.geteuid() != 0:
        return argv
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("setpriv (package util-linux) is missing; it is needed to start servers as root")
    wrapped = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    if not all(_open_to_others(folder) for folder in folders):
        right = _available_right()
        # Without the secure bit access(2), which Java asks first, would leave the right out of account.
        wrapped += [
            "--securebits=+no_setuid_fixup",
            f"--inh-caps=-all,+{right}",
            f"--ambient-caps=-all,+{right}",
        ]
    return [*wrapped, *argv]


def hand_over(folder: Path) -> None:
    """Give a folder and what is in it to the unprivileged user when we are root."""
    if os.geteuid() != 0:
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _open_to_others(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in [folder, *folder.parents])


def _available_right() -> str:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    bounding = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:")), 16)
    for right, bit in CAPABILITY_BITS.items():
        if bounding >> bit & 1:
            return right
    raise StackError(
        "the cache and state folders must be readable by other users here: name others with HORT_CACHE and HORT_STATE"
    )
