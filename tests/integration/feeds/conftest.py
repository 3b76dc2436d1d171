"""Fixtures: a fake OpenWhisk, a consumer in the place of the suite's sequence, and provider processes that end with their test."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.paths import SCRIPTS
from tests.support.provider import Consumer, FakeWhisk, Provider


@pytest.fixture(scope="session")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the feed actions, built."""
    folder = tmp_path_factory.mktemp("build")
    argv = [str(SCRIPTS / "build"), "--into", str(folder), "mqtt-feed", "alarms-feed"]
    subprocess.run(argv, check=True, capture_output=True, timeout=600)
    return folder


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
        provider.kill()


@pytest.fixture
def provider(new_provider: Callable[..., Provider]) -> Provider:
    return new_provider()
