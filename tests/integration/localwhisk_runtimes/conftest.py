import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from localwhisk.runtimes import Pool
from tests.support.actions_specs import processes_in
from tests.support.polling import wait_until

Scenario = Callable[[Pool], Awaitable[None]]


@pytest.fixture(scope="session")
def action_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with no packages at all."""
    folder = tmp_path_factory.mktemp("action-python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_runner(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return asyncio.run if request.param == "asyncio" else uvloop.run


@pytest.fixture
def with_pool(tmp_path: Path, action_python: Path) -> Callable[..., None]:
    """Run a scenario with a pool that is closed after it, and see that no process is left."""

    def run(scenario: Scenario, *, runner: Callable[[Any], Any] = asyncio.run, **options: Any) -> None:
        async def whole() -> None:
            pool = Pool(**{"state": tmp_path / "state", "action_python": action_python, **options})
            await pool.start()
            try:
                await asyncio.wait_for(scenario(pool), 120)
            finally:
                await pool.close()
            # what a killed action started was killed with it, and is gone when the system comes to it
            wait_until(lambda: processes_in(tmp_path / "state") == [], what="the end of all processes")

        runner(whole())

    return run
