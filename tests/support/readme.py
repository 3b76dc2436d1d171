"""The commands that README.md tells people to type, and which of them run where."""

import re
import subprocess
from collections.abc import Iterator

from tests.support.paths import ROOT

FENCE = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:\./scripts/|wsk )[^`]+)`")
DOCKER = "docker is not where these tests run"
MINUTES = "measures for minutes; what it reckons with is tested in tests/unit/scripts"
ELSEWHERE = {
    "./scripts/demo": "tests/acceptance/test_demo.py::test_interrupt_leaves_nothing_running",
    "./scripts/demo --replay": "tests/acceptance/test_demo.py::test_an_hour_of_the_recorded_day",
    "./scripts/demo --live": "needs the internet; without it, tests/unit/scripts/test_demo_options.py::test_live_without_a_network_is_told",
    "./scripts/test": "it runs these tests",
    "./scripts/plates-native": "tests/integration/plates/test_photos.py",
    "./scripts/whisk serve --map-image": "tests/integration/plates/test_engine.py",
    "./scripts/images build": "tests/integration/plates/test_image.py",
    "./scripts/images pin": "asks an image registry",
    "./scripts/chaos": "tests/acceptance/test_chaos.py",
    "./scripts/bench": MINUTES,
    "wsk action update -p": "a warning, no advice",
    "./scripts/deploy --manifest FILE": "tests/integration/scripts/test_deploy.py",
    "docker ": DOCKER,
}
"""Commands that tests/acceptance/test_readme.py does not run, by their beginning: which test does, or why none."""
COMMENT = re.compile(r"\s{2,}#.*$", re.MULTILINE)


def commands() -> list[str]:
    """Commands in README.md, without their comments, in its order: those of the blocks, then those within sentences."""
    text = (ROOT / "README.md").read_text()
    blocks = [block for block in FENCE.findall(text) if not block.startswith(" ")]  # a drawing begins with a space
    found = [command for block in blocks for command in _whole(COMMENT.sub("", block))]
    inline = [" ".join(command.split()) for command in INLINE.findall(FENCE.sub("", text))]
    return list(dict.fromkeys([*found, *inline]))


def command(start: str) -> str:
    """The one command that is this, or else begins so."""
    every = commands()
    found = [start] if start in every else [text for text in every if text.startswith(start)]
    assert len(found) == 1, f"README.md has {len(found)} commands that begin with {start!r}"
    return found[0]


def _whole(block: str) -> Iterator[str]:
    """The commands of a block: lines belong together until a shell finds them complete."""
    begun = ""
    for line in block.splitlines():
        begun += f"{line}\n"
        if begun.strip() and _complete(begun):
            yield begun.strip()
            begun = ""
    assert not begun.strip(), f"README.md has a command without an end: {begun}"


def _complete(text: str) -> bool:
    if text.rstrip().endswith("\\"):
        return False
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    return done.returncode == 0 and not done.stderr  # of a here-document without an end it only warns
