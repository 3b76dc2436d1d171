"""Files of NAME=value lines, as shells, docker and our own starters write them."""

from __future__ import annotations

import shlex
from pathlib import Path


def read_env_file(path: Path) -> dict[str, str]:
    """Read NAME=value lines as a shell would; a line of another form raises ValueError with its number."""
    values = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        name, separator, value = words[-1].partition("=")
        if not separator or not name.isidentifier() or words[:-1] not in ([], ["export"]):
            raise ValueError(f"{path}, line {number}: expected NAME=value")
        values[name] = value
    return values
