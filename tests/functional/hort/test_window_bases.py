"""Windows whose panes lose their merged content, over the in-memory twins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.support.window_bases_contract import BasesContract
from tests.support.window_contract import tiny_pieces
from tests.support.windows import World


class TestInMemory(BasesContract):
    @pytest.fixture(params=["whole", "pieces"])
    def world(self, request: pytest.FixtureRequest) -> Iterator[World]:
        with tiny_pieces() if request.param == "pieces" else nullcontext():
            yield World.in_memory()
