"""Runs inside an action's process (standard library only): waits for the code, then hands over to it.

Started ahead of time, so that the interpreter is up when an action comes. The first line on stdin is
{"dir": folder, "env": {name: text}}; the folder holds main__.py and the generated exec__.py, which serves from then on.
"""

# Nothing but what the process needs is imported, so no pathlib; whatever the code raises ends it.
# ruff: noqa: PTH110, PTH118, PTH112, S102, BLE001
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


def activate_virtualenv(folder: str) -> None:
    """Run the activate_this.py of a virtualenv that came with the code, or was made of its requirements.txt."""
    root = os.path.join(folder, "virtualenv")
    if not os.path.isdir(root):
        return
    for place in ("bin", "Scripts"):
        script = os.path.join(root, place, "activate_this.py")
        if os.path.exists(script):
            with open(script, encoding="utf-8") as file:
                exec(compile(file.read(), script, "exec"), {"__file__": script})
            return
    sys.stderr.write("Invalid virtualenv. Zip file does not include 'activate_this.py'.\n")
    sys.exit(1)


def serve(requests: BinaryIO) -> None:
    """Load the code and let it serve; a virtualenv or a main file that is no Python is told apart."""
    line = requests.readline()
    if not line:
        return
    order = json.loads(line)
    folder = order["dir"]
    os.chdir(folder)
    os.environ.update(order["env"])
    sys.argv[:] = [os.path.join(folder, "exec__.py")]
    sys.path.insert(0, folder)
    try:
        activate_virtualenv(folder)
    except Exception as error:
        refuse("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    with open(sys.argv[0], encoding="utf-8") as file:
        source = file.read()
    try:
        code = compile(source, sys.argv[0], "exec")
        exec(code, {"__name__": "__main__", "__builtins__": __builtins__, "requests": requests})
    except SyntaxError as error:
        if error.filename != os.path.join(folder, "main__.py"):
            raise_without_launcher(error)
        refuse(error.msg)
    except Exception as error:
        raise_without_launcher(error)


def refuse(reason: str) -> NoReturn:
    """Answer that the code cannot be built and end the process."""
    os.write(3, json.dumps({"ok": False, "error": reason}).encode() + b"\n")
    sys.exit(1)


def raise_without_launcher(error: Exception) -> NoReturn:
    """Print a traceback that begins in the action's folder and end the process."""
    trace = error.__traceback__
    traceback.print_exception(type(error), error, trace.tb_next if trace else None)
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(1)


serve(take_descriptors(int(sys.argv[1])))
