"""The languages: how a process of each is started, how its code is packed, how its answers are judged."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localwhisk.runtimes import node_code, python_code, texts, verdicts
from localwhisk.runtimes.code import Packing
from localwhisk.runtimes.guard import Guard
from localwhisk.runtimes.verdicts import Verdict

LAUNCHERS = Path(__file__).parent / "launchers"
_FAILED = b"!"
_PROXY_VERSION = "1.17.1"
_NEWER_NODE = ("--no-experimental-require-module", "--no-experimental-detect-module")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One language; `proxied` ones sit behind the ActionLoop proxy and have its error texts."""

    argv: Sequence[str]
    packing: Packing
    judge: Callable[[bytes, int], Verdict]
    proxied: bool
    environment: Mapping[str, str]
    marks: Mapping[str, str]

    @property
    def name(self) -> str:
        """Tell the families apart."""
        return self.packing.family


def python(interpreter: Path, *, guard: Guard) -> Family:
    """Make the Python family on this interpreter: no user site, no PYTHON* variables, UTF-8 everywhere."""
    return Family(
        argv=[str(interpreter), "-I", "-X", "utf8", str(LAUNCHERS / "launcher.py")],
        packing=python_code.packing(interpreter, guard=guard),
        judge=verdicts.of_line,
        proxied=True,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        marks={
            "__OW_PROXY_VERSION": _PROXY_VERSION,
            "__OW_EXECUTION_ENV": python_code.EXECUTION_ENVIRONMENT,
            "__OW_WAIT_FOR_ACK": "1",
        },
    )


def node(executable: Path, *, code: Path, modules: Path | None, home: Path) -> Family:
    """Make the Node.js family; its proxy is one process with the action, so a death has other texts.

    Asks the executable which flags it knows, which takes a moment. Actions find the modules in their own folder under `code` and those in `modules`, the image's, and no others.
    """
    roots = [str(code), *([str(modules)] if modules else [])]
    return Family(
        argv=[str(executable), "--expose-gc", *_older_node(executable), str(LAUNCHERS / "launcher.js"), *roots],
        packing=node_code.PACKING,
        judge=_judge_node,
        proxied=False,
        environment={"PATH": _PATH, "HOME": str(home)},
        marks={},
    )


def _older_node(executable: Path) -> list[str]:
    """Return the flags that take from a newer Node.js what the image's 20.17 does not do: require() of ECMAScript modules."""
    known = f"{list(_NEWER_NODE)}.filter((flag) => process.allowedNodeEnvironmentFlags.has(flag)).join(' ')"
    done = subprocess.run([executable, "-p", known], capture_output=True, text=True, check=False, env={})
    return done.stdout.split()


def _judge_node(line: bytes, length: int) -> Verdict:
    """Judge a line of the Node launcher: its first byte tells the proxy's own failures apart, and no newline is part of the result."""
    mark, length = line[:1], length - 2
    if length > texts.RESULT_LIMIT:
        return verdicts.too_long(line[1:], length)
    raw = line[1:].rstrip(b"\n")
    valid, value = verdicts.parse(raw)
    if not valid:
        return verdicts.developer_error(texts.NODE_NOT_A_DICTIONARY, sized=True)
    if mark == _FAILED:
        return verdicts.developer_error(value, sized=True)
    return verdicts.of_value(raw, value)
