"""What every script finds before it does anything."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.mark.parametrize("said", [{}, {"LC_ALL": "C"}, {"LANG": "xx_XX.UTF-8"}, {"LC_CTYPE": "POSIX"}])
def test_names_of_files_are_utf_8_whatever_the_locale(said: dict[str, str]) -> None:
    """Java, and so Maven and Elasticsearch, could not start in a checkout whose path has an umlaut where LANG was not set, as in a fresh Debian."""
    bare = {name: value for name, value in os.environ.items() if name != "LANG" and not name.startswith("LC_")}
    command = ["bash", "-c", f". '{ROOT}/scripts/lib/common.sh'; locale charmap"]
    assert subprocess.run(command, env={**bare, **said}, capture_output=True, text=True, check=True).stdout == "UTF-8\n"


def test_a_locale_that_has_utf_8_stays() -> None:
    command = ["bash", "-c", f". '{ROOT}/scripts/lib/common.sh'; echo ${{LC_ALL-none}}"]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    assert subprocess.run(command, env={**bare, "LANG": "C.UTF-8"}, capture_output=True, text=True, check=True).stdout == "none\n"


@pytest.mark.parametrize(("arguments", "told"), [(("--port", "99999999"), "--port must be from 0 to 65535, got 99999999"), (("--prot", "1"), "unknown argument: --prot"), (("--host",), "--host needs a value")])
def test_the_reader_of_plates_names_a_bad_option_before_it_installs_anything(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    command = [str(ROOT / "scripts" / "plates-native"), *arguments]
    ended = subprocess.run(command, env={**os.environ, "HORT_CACHE": str(tmp_path)}, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert not list(tmp_path.iterdir())
