"""The provider's image holds what the provider imports."""

import re
import subprocess
import sys

from tests.support.paths import ROOT

_PROGRAM = """
import importlib.metadata, sys
given = set(sys.argv[1:])
found = importlib.metadata.packages_distributions()
class Only:
    def find_spec(self, name, path=None, target=None):
        owners = {re_name(owner) for owner in found.get(name.partition(".")[0], [])}
        if owners and not owners & given:
            raise ModuleNotFoundError(f"{name} is of {owners}, which the image does not have", name=name)
def re_name(name):
    return name.lower().replace("_", "-").replace(".", "-")
sys.meta_path.insert(0, Only())
import feeds.provider.__main__, feeds.provider.healthy
"""


def test_the_image_has_what_the_provider_imports() -> None:
    """orjson was missing once: the image would not have started."""
    text = (ROOT / "requirements" / "provider.txt").read_text(encoding="utf-8")
    given = [name.replace("_", "-") for name in re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)]
    assert "redis" in given
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'actions'}:{ROOT / 'scripts'}"}
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *given], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
