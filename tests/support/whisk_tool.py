"""The real command line clients, run against an engine in a folder of their own."""

import os
import subprocess
from pathlib import Path

from tests.support.engine import Engine

CLIENT_ERROR = 256  # wsk ends with the HTTP status less this, modulo itself


class Tool:
    """Runs a client's command in a folder; gives the output of both streams, asserts the exit code.

    The words of the first argument are arguments of their own; those that follow are taken as they are.
    """

    def __init__(self, whisk: Engine, binary: Path, folder: Path, *, flags: bool = True) -> None:
        named = ["--apihost", whisk.apihost, "--auth", whisk.auth] if flags else []
        self._command = [str(binary)]
        self._flags = named
        self._folder = folder
        self.properties = folder / "wskprops"

    def __call__(self, command: str, *more: str, code: int = 0, stdin: str = "") -> str:
        arguments = [*command.split(), *more]
        environment = {**os.environ, "WSK_CONFIG_FILE": str(self.properties), "HOME": str(self._folder)}
        done = subprocess.run(
            [*self._command, *self._flags, *arguments],
            cwd=self._folder,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def status(number: int) -> int:
    """Exit code of wsk for an HTTP status."""
    return (number - CLIENT_ERROR) % CLIENT_ERROR
