"""The built image as OpenWhisk runs it; `./scripts/images build` makes it, which takes too long to do here."""

import subprocess

import pytest

from lib.images.engines import EngineError, builder, runner
from lib.images.table import FINAL
from tests.support.paths import SCRIPTS


def test_the_image_keeps_its_promises() -> None:
    try:
        runner()
        there = builder().has(FINAL.image)
    except EngineError as error:
        pytest.skip(f"needs a container engine: {error}")
    if not there:
        pytest.skip(f"needs the image {FINAL.image}: ./scripts/images build makes it")
    done = subprocess.run([SCRIPTS / "images", "test"], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
