"""Read the entries of a hashed requirements file, so that a zip can take some of them."""

import re
from pathlib import Path

ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==[^\s\\]+.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


class NotLocked(LookupError):
    """A package that a recipe names is not in the lock."""


def entries(lock: Path) -> dict[str, str]:
    """Return each package's lines (version and hashes, comments left out) by normalised name (PEP 503)."""
    found = {}
    for match in ENTRY.finditer(lock.read_text(encoding="utf-8")):
        lines = [line for line in match.group().splitlines() if not line.lstrip().startswith("#")]
        found[normalised(match["name"])] = "\n".join(lines).rstrip(" \\\n") + "\n"
    return found


def subset(lock: Path, names: tuple[str, ...]) -> str:
    """Return the lines of the named packages in a fixed order; one that is not locked raises NotLocked."""
    known = entries(lock)
    missing = sorted(name for name in names if normalised(name) not in known)
    if missing:
        raise NotLocked(f"{lock.name} does not hold {', '.join(missing)}; add it to {lock.stem}.in and lock again")
    return "".join(known[normalised(name)] for name in sorted(set(names)))


def normalised(name: str) -> str:
    """Return the name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
