"""The real clients of OpenWhisk, installed by scripts/setup when a test first asks for them."""

import functools
import shlex
import subprocess
from pathlib import Path

from tests.support.paths import SCRIPTS
from tests.support.services import environment


@functools.cache
def wsk() -> Path:
    """Return the wsk command."""
    return _paths("tools")["HORT_TOOLS"] / "wsk"


@functools.cache
def wskdeploy() -> Path:
    """Return the wskdeploy command."""
    return _paths("tools")["HORT_TOOLS"] / "wskdeploy"


@functools.cache
def node_modules() -> Path:
    """Return the folder for NODE_PATH in which `require("openwhisk")` finds the npm client."""
    return _paths("node")["HORT_NODE"] / "node_modules"


def _paths(part: str) -> dict[str, Path]:
    subprocess.run([str(SCRIPTS / "setup"), part], env=environment(), check=True, timeout=900)
    listed = subprocess.run(
        [str(SCRIPTS / "setup"), "--paths"], env=environment(), check=True, capture_output=True, text=True
    )
    pairs = (shlex.split(line)[0].partition("=") for line in listed.stdout.splitlines())
    return {name: Path(value) for name, _, value in pairs}
