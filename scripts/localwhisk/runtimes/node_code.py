"""What a Node.js action's code may be: source text, or a zip or tar.gz of a package."""

from __future__ import annotations

from pathlib import Path

from localwhisk.runtime_api import ActionSpec
from localwhisk.runtimes import texts
from localwhisk.runtimes.code import CodeError, Format, Packing


def _refuse(found: Format | None, detail: str) -> CodeError:
    reason = texts.NODE_UNPACKING[found]
    return CodeError(texts.node_init_failed(reason), log=f"{texts.NODE_INIT_LOG} {reason}\n{detail}")


def _lay_out(folder: Path, spec: ActionSpec) -> None:
    """Nothing to arrange: the launcher tells a single file (exec) from a package."""


PACKING = Packing(
    family="node", formats=("zip", "tar.gz"), text_archives=False, single_binary=False, refuse=_refuse, lay_out=_lay_out
)
