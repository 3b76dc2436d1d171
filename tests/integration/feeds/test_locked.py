"""Secrets that cannot be opened: another HORT_PROVIDER_KEY, or a byte that changed. The feed is off and says why; others go on."""

import json
from collections.abc import Callable

import pytest
import redis
import requests

from hort import keys
from tests.support.polling import wait_until
from tests.support.provider import AUTH, KEY, SECRET, TRIGGER, Provider

NAME = keys.registration_id(TRIGGER)
HIDDEN = "hidden-password-of-a-broker"


def flip(redis_client: "redis.Redis", part: str) -> None:
    """Changes one byte of what is sealed (its version, its middle, its authentication tag) or of the row around it."""
    raw = redis_client.hget(keys.REGISTRATIONS, NAME)
    value = json.loads(raw)  # type: ignore[arg-type] # bytes
    at = {"version": 0, "middle": len(value["sealed"]) // 2, "tag": len(value["sealed"]) - 6}.get(part)
    if at is None:
        redis_client.hset(keys.REGISTRATIONS, NAME, raw[:-1])  # type: ignore[index] # bytes
        return
    letter = "B" if value["sealed"][at] != "B" else "C"
    value["sealed"] = value["sealed"][:at] + letter + value["sealed"][at + 1 :]
    redis_client.hset(keys.REGISTRATIONS, NAME, json.dumps(value))


def _is_off(provider: Provider) -> dict[str, object]:
    read = provider.read()
    assert read["status"]["active"] is False
    assert read["status"]["reason"]["kind"] == "LOCKED"
    assert read["connected"] is False
    text = json.dumps(read) + provider.log
    for secret in (HIDDEN, AUTH[1], KEY, SECRET):
        assert secret not in text
    return dict(read["status"]["reason"])


def test_a_provider_with_another_key_leaves_the_feed_to_the_one_that_has_it(
    new_provider: Callable[..., Provider], mqtt_url: str, topic_root: str, redis_client: "redis.Redis"
) -> None:
    owner = new_provider()
    owner.create(url=mqtt_url, topics=topic_root, password=HIDDEN)
    sealed = redis_client.hget(keys.REGISTRATIONS, NAME)
    other = new_provider(HORT_PROVIDER_KEY="another-key-of-sixteen")
    assert "HORT_PROVIDER_KEY" in str(_is_off(other)["message"])
    listed = requests.get(f"{other.url}/registrations", headers={"X-HoRT-Secret": SECRET}, timeout=60).json()
    assert [(row["triggerName"], row["status"]["active"]) for row in listed["registrations"]] == [(TRIGGER, False)]
    assert other.healthy()["locked"] == [TRIGGER]
    refused = other.call("PUT", {"params": {"linger_ms": 5}})
    assert (refused.status_code, "HORT_PROVIDER_KEY" in refused.json()["error"]) == (400, True)

    owner.wait_connected()
    assert redis_client.hget(keys.REGISTRATIONS, NAME) == sealed
    wait_until(lambda: "registration-unreadable" in other.log, what="the log line")
    lines = [line for line in other.log.splitlines() if "registration-unreadable" in line]
    assert len(lines) == 1, "once, not at each look"


@pytest.mark.parametrize("part", ["tag", "row"])  # each byte: tests/unit/feeds/test_vault.py
def test_a_changed_byte_switches_the_feed_off_until_it_is_created_again(
    new_provider: Callable[..., Provider], mqtt_url: str, topic_root: str, redis_client: "redis.Redis", part: str
) -> None:
    provider = new_provider()
    provider.create(url=mqtt_url, topics=topic_root, password=HIDDEN)
    flip(redis_client, part)
    _is_off(provider)
    wait_until(lambda: not requests.get(f"{provider.url}/health", timeout=60).json()["serving"], what="its end here")
    provider.create(url=mqtt_url, topics=topic_root, password=HIDDEN)
    assert provider.read()["status"]["active"] is True
