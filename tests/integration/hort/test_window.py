"""Windows over a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import redis

from hort import join
from tests.support.window_contract import PiecesContract, WindowContract, stream, tiny_pieces
from tests.support.windows import Record, World


@pytest.fixture
def world(redis_client: redis.Redis) -> World:
    return World.in_redis(redis_client)


class TestPiecesInRedis(PiecesContract):
    @pytest.fixture
    def world(self, redis_client: redis.Redis) -> Iterator[World]:
        with tiny_pieces():
            yield World.in_redis(redis_client)

    def test_nothing_but_panes_and_their_bases_is_left(self, world: World, redis_client: redis.Redis) -> None:
        for number in range(3):
            world.send(stream(60, devices=20, seed=number))
            world.tick(61_000 + number * 1000)
        panes = [
            key for key in cast("list[bytes]", redis_client.keys("hort:*:pane:*")) if key.count(b":") == 4
        ]
        bases = [
            key + b":" + cast("bytes", redis_client.hget(key.decode(), "=base")).split(b":")[0] for key in panes
        ]
        assert len(panes) == 4
        assert {*panes, *bases} == set(cast("list[bytes]", redis_client.keys("hort:*:pane:*")))
        assert all(redis_client.ttl(key) > 1_000 for key in [*panes, *bases])
        assert not redis_client.keys("hort:{0}:batch:*")
        assert not redis_client.keys("hort:{0}:stage:*")
        world.tick(10_000_000)
        assert not redis_client.keys("hort:*:pane:*")


class TestInRedis(WindowContract):
    def test_the_join_finds_the_last_closed_window(self, world: World, redis_client: redis.Redis) -> None:
        world.send([Record("a", 1000, {"x": 1.0}), Record("b", 1000, {"x": 2.0})])
        world.tick(15_000)
        world.send([Record("a", 16_000, {"x": 3.0})])
        world.tick(30_000)
        devices, types = join.lookup(
            redis_client, 0, [["bike", "a", "status"], ["bike", "c", "status"], ["car", "a", "s"]]
        )
        assert devices[1:] == [None, None]
        assert devices[0] is not None
        assert b'"count":2' in devices[0]
        assert types["car"] is None
        assert b'"count":3' in (types["bike"] or b"")
        assert join.lookup(redis_client, 0, []) == ([], {})

    def test_every_key_expires_or_is_bounded(self, world: World, redis_client: redis.Redis) -> None:
        world.send([Record("a", 1000, {"x": 1.0})])
        world.tick(60_000)
        world.send([Record("a", 2000, {"x": 1.0})])
        world.tick(61_000)
        forever = {
            key.decode().split(":", 2)[2]
            for key in cast("list[bytes]", redis_client.keys("hort:*"))
            if redis_client.ttl(key) == -1
        }
        bounded = {
            "win:state",
            "win:panes",
            "win:journals",
            "win:types",
            "win:active:bike",
            "counters",
            "counted-at",
            "win:touched",
        }
        bounded |= {name for name in forever if name.startswith("journal:")}
        assert forever <= bounded
