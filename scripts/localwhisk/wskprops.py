"""The properties file of wsk and wskdeploy."""

from __future__ import annotations

from pathlib import Path

from localwhisk import private

DEFAULT = Path("~/.wskprops")


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
    private.write(path, text(address, auth, others=others))
