"""The properties file of wsk and wskdeploy."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT = Path("~/.wskprops")
_MODE = 0o600


def text(address: str, auth: str, *, namespace: str = "_", others: str = "") -> str:
    """The file's text; lines of `others` (an earlier text) with other names are kept."""
    ours = {"APIHOST": address, "AUTH": auth, "NAMESPACE": namespace}
    kept = [line for line in others.splitlines() if line.partition("=")[0].strip() not in ours]
    return "\n".join([*(f"{name}={value}" for name, value in ours.items()), *kept]) + "\n"


def write(path: Path, address: str, auth: str) -> None:
    """Write it for its owner's eyes only, in one step; raises OSError."""
    path = path.expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    others = path.read_text("utf-8") if path.exists() else ""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "w") as file:
            file.write(text(address, auth, others=others))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
