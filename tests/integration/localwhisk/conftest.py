import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.engine import Engine
from tests.support.whisk_tool import Tool

RATES = ("--invocations-per-minute", "100000", "--fires-per-minute", "100000", "--concurrent", "100")


@pytest.fixture(scope="module")
def busy_whisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine a module, whose budgets no test exhausts."""
    engine = Engine(tmp_path_factory.mktemp("engine"), *RATES)
    yield engine
    engine.stop()


@pytest.fixture
def clean_whisk(busy_whisk: Engine) -> Engine:
    """The module's engine without what earlier tests left."""
    busy_whisk.empty()
    return busy_whisk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.fixture
def wsk(clean_whisk: Engine, folder: Path) -> Tool:
    return Tool(clean_whisk, _tool("wsk"), folder)


@pytest.fixture
def wskdeploy(clean_whisk: Engine, folder: Path) -> Tool:
    return Tool(clean_whisk, _tool("wskdeploy"), folder)


def _tool(name: str) -> Path:
    try:
        return {"wsk": tools.wsk, "wskdeploy": tools.wskdeploy}[name]()
    except subprocess.CalledProcessError:
        pytest.skip(f"{name} cannot be built here: ./scripts/setup tools")
