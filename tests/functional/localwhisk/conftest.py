from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.localwhisk_app import LocalWhisk


@pytest.fixture
def new_local(tmp_path: Path) -> Iterator[Callable[..., LocalWhisk]]:
    """Make an engine over a folder (the same one each time); closed at the end."""
    made: list[LocalWhisk] = []

    def make(**options: Any) -> LocalWhisk:
        made.append(LocalWhisk(tmp_path / "state", **options))
        return made[-1]

    yield make
    for one in made:
        if not one.loop.is_closed():
            one.close()


@pytest.fixture
def local(new_local: Callable[..., LocalWhisk]) -> LocalWhisk:
    return new_local()
