"""A service that is gone for twenty seconds in mid-stream: the stream goes on by itself and the counts are exact."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from elasticsearch import ApiError, TransportError

from tests.acceptance.conftest import Device
from tests.support.oracle import wrong_windows
from tests.support.polling import wait_until
from workloads.machine import Machine

OUTAGE_S = 20
RATE = 40
BEFORE_AND_AFTER_S = 10


@pytest.mark.slow(75)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", ["mosquitto", "redis", "elasticsearch"])
def test_outage(
    service: str,
    machine: Machine,
    device: Device,
    stored: Callable[[str, str], list[dict[str, Any]]],
) -> None:
    stop = threading.Event()
    published = threading.Thread(target=_publish_steadily, args=(device, stop))
    published.start()
    try:
        time.sleep(BEFORE_AND_AFTER_S)
        machine.stack("stop", service)
        try:
            time.sleep(OUTAGE_S)
        finally:
            machine.stack("start", service)
        time.sleep(BEFORE_AND_AFTER_S)
    finally:
        stop.set()
        published.join()
    count = device.published(timeout_s=120)

    def there(look: Callable[[], bool]) -> bool:
        """Whether it is; an Elasticsearch that has just come back may not be able to say so yet."""
        try:
            return look()
        except (ApiError, TransportError):
            return False

    def complete() -> bool:
        return len(stored("all-events", device.device_type)) >= count

    wait_until(lambda: there(complete), timeout_s=180, interval_s=0.5, what=f"arrival of {count} records")
    rows = stored("all-events", device.device_type)
    assert sorted(row["data"]["seq"] for row in rows) == list(range(count))

    def windows_are_right() -> bool:
        mine = stored("analytics", device.device_type)
        ends = {row["window_end"] for row in mine}
        return len(ends) >= 5 and not wrong_windows(rows, mine)

    wait_until(lambda: there(windows_are_right), timeout_s=120, interval_s=2, what="every window equal to numpy's")
    assert not stored("dead-letters", device.device_type)


def _publish_steadily(device: Device, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(1 / RATE):
        device.publish({"seq": number, "value": (number * 7919) % 101 - 50.5}, device=f"d{number % 7}")
        number += 1
