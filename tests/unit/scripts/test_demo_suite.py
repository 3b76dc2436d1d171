"""What the demo takes back when it ends."""

import time
from pathlib import Path

import pytest

from demonstrate.options import parse
from demonstrate.suite import SERVICES, Suite
from demonstrate.view import PlainView


@pytest.mark.parametrize(
    ("given", "removed"),
    [
        ({}, False),
        ({"HORT_ELASTICSEARCH_URL": "http://127.0.0.1:9"}, False),
        ({"HORT_MQTT_URL": "mqtt://127.0.0.1:9"}, True),
        ({"HORT_REDIS_URL": "redis://127.0.0.1:9"}, True),
    ],
)
def test_servers_of_the_user_s_keep_no_feed_of_the_demo(
    given: dict[str, str], removed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SERVICES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    suite = Suite(parse(["--state", str(tmp_path)]), PlainView())
    suite.env |= {name: f"ours://127.0.0.1:{number}" for number, name in enumerate(SERVICES) if name not in given}
    suite._deployed = True
    calls: list[tuple[str, ...]] = []

    def quietly(*arguments: str, **_options: object) -> bool:
        calls.append(arguments)
        return True

    monkeypatch.setattr(suite, "_quietly", quietly)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)

    suite.stop()

    assert [call[:2] for call in calls] == ([("deploy", "--undeploy")] if removed else [])
