"""Runs inside an action's process (standard library only): waits for the code, then hands over to it.

Started ahead of time, so that the interpreter is up when an action comes. The first line on stdin is
{"dir": folder, "env": {name: text}}; the folder holds main__.py and the generated exec__.py, which serves from then on.
"""

# Nothing but what the process needs is imported, so no pathlib; whatever the code raises ends it.
# ruff: noqa: PTH118, PTH208, PTH112, S102, BLE001
from __future__ import annotations

import json
import os
import sys
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:  # the action's process shall not pay for the module typing
    from typing import BinaryIO, NoReturn


def take_descriptors(results: int) -> BinaryIO:
    """Put results on descriptor 3, and keep the action and what it starts from reading the requests."""
    if results != 3:
        os.dup2(results, 3)
        os.close(results)
    os.set_inheritable(3, False)
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests


def use_virtualenv(folder: str) -> None:
    """Put a virtualenv that came in the zip before the image's packages."""
    for library in ("lib", "lib64"):
        root = os.path.join(folder, "virtualenv", library)
        for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
            packages = os.path.join(root, name, "site-packages")
            if os.path.isdir(packages) and os.path.realpath(packages) not in map(os.path.realpath, sys.path):
                sys.path.insert(1, packages)


def serve(requests: BinaryIO) -> None:
    """Load the code and let it serve; a syntax error in the action's main file is told apart."""
    line = requests.readline()
    if not line:
        return
    order = json.loads(line)
    folder = order["dir"]
    os.chdir(folder)
    os.environ.update(order["env"])
    sys.argv[:] = [os.path.join(folder, "exec__.py")]
    sys.path.insert(0, folder)
    use_virtualenv(folder)
    with open(sys.argv[0], encoding="utf-8") as file:
        code = compile(file.read(), sys.argv[0], "exec")
    try:
        exec(code, {"__name__": "__main__", "__builtins__": __builtins__, "requests": requests})
    except SyntaxError as error:
        if error.filename != os.path.join(folder, "main__.py"):
            raise_without_launcher(error)
        os.write(3, json.dumps({"ok": False, "error": error.msg}).encode() + b"\n")
        sys.exit(1)
    except Exception as error:
        raise_without_launcher(error)


def raise_without_launcher(error: Exception) -> NoReturn:
    """Print a traceback that begins in the action's folder and end the process."""
    trace = error.__traceback__
    traceback.print_exception(type(error), error, trace.tb_next if trace else None)
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(1)


serve(take_descriptors(int(sys.argv[1])))
