"""An action in a process of its own that stops dead at one place, to be killed there by a test.

`python -m tests.support.stopped_action ACTION MODULE:CLASS.METHOD before|after ARGS`: the process says `there` on standard output once it
is about to call the method, or has called it, and then does nothing more; where it never comes there it ends.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from typing import Any, NoReturn

from tests.support.actions import load_main
from tests.support.paths import ROOT
from tests.support.services import environment

THERE = "there"


def killed(action: str, where: str, *, when: str, args: dict[str, Any]) -> None:
    """Runs an action until it is there, then kills it as kill -9 does."""
    argv = [sys.executable, "-m", "tests.support.stopped_action", action, where, when, json.dumps(args)]
    path = ":".join(str(ROOT / part) for part in (".", "actions", "scripts"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment(PYTHONPATH=path), cwd=ROOT) as process:
        assert process.stdout is not None
        assert THERE in map(str.strip, process.stdout), f"{action} never came to {where}"
        process.kill()
        assert process.wait() == -9


def main() -> None:
    """The process."""
    action, where, when, args = sys.argv[1:]
    module, _, path = where.partition(":")
    owner, _, method = path.partition(".")
    stop_at(getattr(importlib.import_module(module), owner), method, before=when == "before")
    print(json.dumps(load_main(action)(json.loads(args))), flush=True)


def stop_at(owner: type, method: str, *, before: bool) -> None:
    """Replaces a method by one that never comes back."""
    real = getattr(owner, method)

    def stopped(*args: Any, **options: Any) -> NoReturn:
        if not before:
            real(*args, **options)
        print(THERE, flush=True)
        while True:
            time.sleep(60)

    setattr(owner, method, stopped)


if __name__ == "__main__":
    main()
