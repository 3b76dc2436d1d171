"""Builds the environment python actions run in: the packages of the python:3.11 image, nothing else.

`python -m localwhisk.runtimes.environment --path DIR` builds it unless DIR holds this lock's packages already; a build that
fails leaves nothing behind. The last line printed is the interpreter's path. The base is a Python 3.11: `--python`, else
LOCALWHISK_PYTHON311, else the interpreter that runs this.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

LOCK = Path(__file__).with_name("python311.txt")
_MARK = "lock.sha256"


class BuildFailed(Exception):
    """The environment could not be made; the message says which step failed and how."""


def interpreter(path: Path) -> Path:
    """Name the interpreter of an environment."""
    return path / "bin" / "python"


def lock_digest() -> str:
    """Identify the lock an environment was made from."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def is_built(path: Path) -> bool:
    """Tell whether the folder holds this lock's environment."""
    try:
        return (path / _MARK).read_text("utf-8") == lock_digest() and interpreter(path).exists()
    except OSError:
        return False


def build(path: Path, *, base: str = sys.executable, quiet: bool = False) -> Path:
    """Make the environment if it is missing or of another lock; gives its interpreter, raises BuildFailed."""
    path = path.absolute()
    if is_built(path):
        return interpreter(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.with_name(f".{path.name}.old-{os.getpid()}")
    if path.exists():
        path.rename(old)
    try:
        _say("making the environment of python actions", quiet=quiet)
        subprocess.run([base, "-I", "-m", "venv", str(path)], check=True, stdout=subprocess.DEVNULL)
        _install(path, quiet=quiet)
        (path / _MARK).write_text(lock_digest(), "utf-8")
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(path, ignore_errors=True)
        raise BuildFailed(f"environment {path} cannot be made: {error}") from error
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
    return interpreter(path)


def _install(path: Path, *, quiet: bool) -> None:
    """Install the lock by the environment's own pip, wheels where there are some."""
    names = [line.split("==")[0] for line in LOCK.read_text("utf-8").splitlines() if "==" in line]
    _say(f"installing {len(names)} packages of the python:3.11 image", quiet=quiet)
    begun = time.monotonic()
    command = [
        str(interpreter(path)),
        "-I",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ]
    process = subprocess.Popen(
        [*command, "--no-deps", "--require-hashes", "--requirement", str(LOCK)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    tail: list[str] = []
    for line in process.stdout or ():
        tail = [*tail[-20:], line.rstrip()]
        if line.startswith(("Collecting ", "Installing ")):
            _say(f"  {line.split(' (from')[0].strip()[:100]}", quiet=quiet)
    if process.wait() != 0:
        raise BuildFailed("pip failed:\n" + "\n".join(tail))
    _say(f"installed in {time.monotonic() - begun:.0f} s", quiet=quiet)


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m localwhisk.runtimes.environment", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder of the environment")
    base = os.environ.get("LOCALWHISK_PYTHON311") or sys.executable
    parser.add_argument("--python", default=base, help="Python 3.11 to build on (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="print nothing but the interpreter's path")
    options = parser.parse_args()
    try:
        print(build(options.path, base=options.python, quiet=options.quiet))
    except BuildFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
