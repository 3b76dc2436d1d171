"""What the zips bring to an OpenWhisk, and what they do not."""

import zipfile
from pathlib import Path

import pytest

from lib.build import bytecode
from lib.build.table import RECIPES

WITH_NUMPY = 15_000_000
OTHERS = 4_500_000


@pytest.mark.skipif(bytecode.python311() is None, reason="no Python 3.11 is on this machine")
@pytest.mark.parametrize("name", RECIPES)
def test_a_zip_is_small_and_needs_no_compiling(zips: Path, name: str) -> None:
    with zipfile.ZipFile(zips / f"{name}.zip") as archive:
        names = set(archive.namelist())
    own = tuple(f"{Path(folder).name}/" for folder in RECIPES[name].packages)
    for module in (found for found in names if found.endswith(".py") and "/" in found):
        assert module.startswith(own), f"{module} brings its source"
        folder, _, file = module.rpartition("/")
        assert f"{folder}/__pycache__/{file[:-3]}.cpython-311.pyc" in names
    assert not any(found.startswith(("numpy/random/", "numpy/fft/")) or "/tests/" in found for found in names)
    assert (zips / f"{name}.zip").stat().st_size < (WITH_NUMPY if "numpy" in RECIPES[name].vendored else OTHERS)
