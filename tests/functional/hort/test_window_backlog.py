"""Windows while a backlog drains, over the in-memory twins."""

from __future__ import annotations

import pytest

from tests.support.window_backlog_contract import BacklogContract
from tests.support.windows import World


class TestInMemory(BacklogContract):
    @pytest.fixture
    def world(self) -> World:
        return World.in_memory()
