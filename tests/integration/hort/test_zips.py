"""What the zips bring to an OpenWhisk, and what they do not."""

import subprocess
import tempfile
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


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if "numpy" in recipe.vendored])
def test_a_zip_drops_many_devices_and_counts_none_with_the_numpy_that_it_brings(zips: Path, name: str) -> None:
    python = bytecode.python311()
    if python is None:
        pytest.skip("no Python 3.11 is on this machine")
    code = "import numpy as np; print(np.isin(np.arange(3), list(range(2, 90))).sum(), np.isin(np.arange(0), []).sum(), np.unique([2, 2]))"
    argv = [python, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {code}"]
    with zipfile.ZipFile(zips / f"{name}.zip") as archive, tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder)
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("1 0 [2]\n", "")
