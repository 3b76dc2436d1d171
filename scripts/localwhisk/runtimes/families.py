"""The languages: how a process of each is started, and how its code is laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localwhisk.runtimes import texts, verdicts
from localwhisk.runtimes.code import CodeError, Layout
from localwhisk.runtimes.verdicts import Verdict

LAUNCHERS = Path(__file__).parent / "launchers"
_PROXY_VERSION = "1.17.1"
_BASE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One language; `proxied` ones sit behind the ActionLoop proxy and have its error texts."""

    name: str
    argv: Sequence[str]
    layout: Layout
    judge: Callable[[bytes, int], Verdict]
    proxied: bool
    environment: Mapping[str, str]
    marks: Mapping[str, str]


def python(interpreter: Path) -> Family:
    """Make the Python family on this interpreter: no user site, no PYTHON* variables, UTF-8 everywhere."""
    return Family(
        name="python",
        argv=[str(interpreter), "-I", "-X", "utf8", str(LAUNCHERS / "launcher.py")],
        layout=_lay_out_python,
        judge=verdicts.of_line,
        proxied=True,
        environment=_BASE,
        marks={
            "__OW_PROXY_VERSION": _PROXY_VERSION,
            "__OW_EXECUTION_ENV": "openwhisk/action-python-v3.11",
            "__OW_WAIT_FOR_ACK": "1",
        },
    )


def node(executable: Path) -> Family:
    """Make the Node.js family; its proxy is one process with the action, so a death has other texts."""
    return Family(
        name="node",
        argv=[str(executable), str(LAUNCHERS / "launcher.js")],
        layout=_lay_out_node,
        judge=_judge_node,
        proxied=False,
        environment=_BASE,
        marks={},
    )


def _lay_out_python(folder: Path, main: str) -> None:
    """Rename as the image's bin/compile does: exec or __main__.py becomes main__.py; add exec__.py."""
    if (folder / "exec").is_file():
        (folder / "exec").rename(folder / "__main__.py")
    if (folder / "__main__.py").is_file():
        (folder / "__main__.py").rename(folder / "main__.py")
    if not (folder / "main__.py").is_file() and not (folder / "main__").is_dir():
        raise CodeError(texts.CANNOT_BUILD, log=f"{texts.NO_MAIN_IN_ZIP}\n")
    template = (LAUNCHERS / "exec__.py.in").read_text("utf-8")
    (folder / "exec__.py").write_text(template.replace("@MAIN@", main), "utf-8")


def _lay_out_node(folder: Path, main: str) -> None:
    """Nothing to arrange: the launcher tells a single file (exec) from a package."""


def _judge_node(line: bytes, length: int) -> Verdict:
    """Judge a line of the Node launcher: the newline is not part of the result, errors come wrapped."""
    if length - 1 > texts.RESULT_LIMIT:
        return verdicts.too_long(line, length - 1)
    raw = line.rstrip(b"\n")
    valid, value = verdicts.parse(raw)
    if not valid:
        return verdicts.developer_error(texts.NODE_NOT_A_DICTIONARY, sized=True)
    if isinstance(value, dict) and set(value) == {"__ow_failure"}:
        return verdicts.developer_error(value["__ow_failure"], sized=True)
    return verdicts.of_value(raw, value)
