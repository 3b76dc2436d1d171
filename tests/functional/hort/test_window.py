"""Windows over the in-memory twins."""

from __future__ import annotations

import pytest

from tests.support.window_contract import WindowContract
from tests.support.windows import World


@pytest.fixture
def world() -> World:
    return World.in_memory()


class TestInMemory(WindowContract):
    pass
