"""Fixtures: a fake OpenWhisk, a consumer in the place of the suite's sequence, and provider processes that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.provider import Consumer, FakeWhisk, Provider


@pytest.fixture
def openwhisk() -> Iterator[FakeWhisk]:
    server = FakeWhisk()
    yield server
    server.close()


@pytest.fixture
def consumer(redis_client: "redis.Redis", openwhisk: FakeWhisk) -> Consumer:
    consumer = Consumer(redis_client)
    openwhisk.on_fire = consumer
    return consumer


@pytest.fixture
def new_provider(
    tmp_path: Path, redis_client: "redis.Redis", redis_url: str, openwhisk: FakeWhisk
) -> Iterator[Callable[..., Provider]]:
    started: list[Provider] = []

    def start(**env: str) -> Provider:
        name = f"provider-{len(started)}"
        started.append(Provider(tmp_path, redis_url=redis_url, api_host=openwhisk.url, name=name, **env))
        return started[-1]

    yield start
    for provider in started:
        provider.close()


@pytest.fixture
def provider(new_provider: Callable[..., Provider]) -> Provider:
    return new_provider()
