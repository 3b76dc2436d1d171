"""`whisk stop` and `whisk reset`: end the engine of a state folder; empty the folder."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from argparse import Namespace
from pathlib import Path

from localwhisk import instance
from localwhisk.cli.status import NOT_RUNNING
from localwhisk.store import FILE_NAME

_PATIENCE_S = 40.0  # longer than the engine gives what runs
_POLL_S = 0.05


def run(options: Namespace) -> int:
    """Stop; 0 when it is gone, 3 when none ran."""
    found = instance.running(options.state)
    if found is None:
        sys.stdout.write(f"no engine runs over {options.state}\n")
        return NOT_RUNNING
    if not _stop(options.state, found):
        sys.stderr.write(f"whisk: process {found.pid} did not end within {_PATIENCE_S:.0f} s\n")
        return 1
    sys.stdout.write(f"stopped (process {found.pid})\n")
    return 0


def reset(options: Namespace) -> int:
    """Delete all entities and activations of a folder; 1 when it is in use or nobody agrees."""
    state: Path = options.state
    found = instance.running(state)
    if found is not None and not options.stop:
        sys.stderr.write(f"whisk: process {found.pid} runs over {state}: stop it first, or say --stop\n")
        return 1
    if not (state / FILE_NAME).exists():
        sys.stdout.write(f"nothing to delete in {state}\n")
        return 0
    if not options.yes and not _agreed(state):
        sys.stderr.write("whisk: nothing was deleted (--yes answers the question)\n")
        return 1
    if found is not None and not _stop(state, found):
        sys.stderr.write(f"whisk: process {found.pid} did not end within {_PATIENCE_S:.0f} s\n")
        return 1
    _empty(state)
    sys.stdout.write(f"{state} is empty\n")
    return 0


def _stop(state: Path, found: instance.Instance) -> bool:
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if instance.running(state) is None:
            return True
        time.sleep(_POLL_S)
    return False


def _agreed(state: Path) -> bool:
    if not sys.stdin.isatty():
        return False
    answer = input(f"Delete all entities and activations in {state}? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


def _empty(state: Path) -> None:
    """Delete what an engine made; other files in the folder stay."""
    for path in (state / name for name in instance.OURS):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
