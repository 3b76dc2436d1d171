"""Windows over the in-memory twins."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hort import batch
from hort.pane_memory import MemoryPaneStore
from tests.support.fuzz import examples
from tests.support.window_contract import PiecesContract, WindowContract, stream, tiny_pieces
from tests.support.windows import START, World, check_all


@pytest.fixture
def world() -> World:
    return World.in_memory()


class TestInMemory(WindowContract):
    pass


class TestPiecesInMemory(WindowContract, PiecesContract):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        with tiny_pieces():
            yield World.in_memory()

    def test_nothing_but_bases_is_kept(self, world: World) -> None:
        for number in range(3):
            world.send(stream(60, devices=20, seed=number))
            world.tick(61_000 + number * 1000, max_bytes=1)
        assert isinstance(world.panes, MemoryPaneStore)
        assert world.panes.unnamed_parts() == 0


@pytest.mark.slow(35)
@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**32))
def test_windows_are_exact_whatever_is_repeated_delayed_or_lost_on_the_way(seed: int) -> None:
    source = random.Random(seed)
    world, records = World.in_memory(), stream(120, seed=seed, devices=2)
    source.shuffle(records)
    waiting: list[batch.Reference] = []
    for second in range(240):
        world.clock.now = START + second * 1000
        if records and source.random() < 0.3:
            size = source.randrange(1, 20)
            waiting.append(world.put(records[:size], at=120_000))
            del records[:size]
        if waiting and source.random() < 0.6:
            reference = source.choice(waiting)
            world.window(reference)
            if source.random() < 0.5:
                world.journal.ack(reference)
                waiting.remove(reference)
        if source.random() < 0.2:
            with tiny_pieces() if source.random() < 0.5 else nullcontext():
                answer = world.close(
                    max_windows=source.randrange(1, 5), max_bytes=source.choice([1, 5_000, 10**6])
                )
            if source.random() < 0.6:
                world.sink(answer)
    waiting += [world.put(records, at=120_000)] if records else []
    for reference in waiting:
        world.window(reference)
    for _ in range(30):
        world.tick(300_000)
    check_all(world, stream(120, seed=seed, devices=2), until=300_000)
