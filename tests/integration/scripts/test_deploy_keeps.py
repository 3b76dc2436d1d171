"""A deployment changes what it was told to change: on the engine, with the provider and the real wskdeploy."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from feeds.provider.registrations import RedisRegistrations
from feeds.provider.vault import Vault
from hort import keys, store
from tests.support.engine import GUEST_KEY, Engine
from tests.support.paths import ROOT, SCRIPTS
from tests.support.provider import KEY, SECRET, Provider
from tests.support.services import environment

TRIGGER = "device-events"
REGISTRATION = keys.registration_id(f"/guest/{TRIGGER}")


def _part(folder: Path) -> Path:
    """The manifest with a few of its actions and triggers, which takes a third of the time."""
    whole = yaml.safe_load((ROOT / "manifest.yaml").read_text())["packages"]["hort"]
    kept = {"actions": ("sink", "window", "divvy", "mqtt"), "triggers": (TRIGGER, "window-tick")}
    parts = {kind: {name: whole[kind][name] for name in names} for kind, names in kept.items()}
    (folder / "build").symlink_to(ROOT / "build")
    path = folder / "manifest.yaml"
    path.write_text(yaml.safe_dump({"packages": {"hort": {"inputs": whole["inputs"], **parts}}}))
    return path


class Suite:
    """A provider and an engine to deploy to; `deploy` answers its exit status and all it says."""

    def __init__(self, whisk: Engine, provider: Provider, redis_url: str, mqtt_url: str, folder: Path) -> None:
        self.whisk = whisk
        self.redis_url = redis_url
        self.folder = folder
        self.manifest = _part(folder)
        self.settings = {
            "HORT_REDIS_URL": redis_url,
            "HORT_ELASTICSEARCH_URL": "http://127.0.0.1:9200",
            "HORT_PROVIDER_URL": provider.url,
            "HORT_PROVIDER_SECRET": SECRET,
            "HORT_MQTT_URL": mqtt_url,
            "HORT_MQTT_USERNAME": "me",
            "HORT_MQTT_PASSWORD": "first-password",
            "HORT_TOPICS": "plant/#",
            "HORT_RETENTION_DAYS": "7",
        }

    def deploy(self, *arguments: str, **exported: str) -> tuple[int, str]:
        argv = [str(SCRIPTS / "deploy"), "--apihost", self.whisk.apihost, "--state", str(self.folder), "--manifest", str(self.manifest), *arguments]
        env = environment(**dict.fromkeys(self.settings, ""), HORT_ALARMS_PACKAGE="", HORT_AUTH="") | exported
        done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=600, check=False)
        return done.returncode, done.stdout + done.stderr

    def feed(self, event: str, **params: Any) -> Any:
        body = {"lifecycleEvent": event, "triggerName": f"/_/{TRIGGER}", "authKey": GUEST_KEY, **params}
        status, answer = self.whisk.call("POST", "actions/hort/mqtt?blocking=true&result=true", body)
        assert status == 200, answer
        return answer

    def bound(self, path: str) -> dict[str, Any]:
        status, found = self.whisk.call("GET", path)
        assert status == 200, found
        return {row["key"]: row["value"] for row in found["parameters"]}

    def registration(self) -> Any:
        client = store.client(self.redis_url)
        return RedisRegistrations(client, Vault(KEY)).get(REGISTRATION)


@pytest.fixture
def start(tmp_path: Path, redis_url: str, redis_client: "redis.Redis", mqtt_url: str) -> Iterator[Callable[[Engine], Suite]]:
    del redis_client  # an empty Redis
    started: list[Provider] = []

    def suite(whisk: Engine) -> Suite:
        started.append(Provider(tmp_path, redis_url=redis_url, api_host=whisk.apihost))
        return Suite(whisk, started[-1], redis_url, mqtt_url, tmp_path)

    yield suite
    for provider in started:
        provider.close()


@pytest.mark.slow(25)
def test_a_second_deployment_keeps_what_it_does_not_name(whisk: Engine, start: Callable[[Engine], Suite]) -> None:
    suite = start(whisk)
    status, said = suite.deploy(**suite.settings)
    assert status == 0, said
    suite.feed("UPDATE", password="second-password", qos=2, keepalive_s=30)

    status, said = suite.deploy(HORT_TOPICS="other/#")
    assert status == 0, said
    assert "HORT_MQTT_PASSWORD" in said
    assert "second-password" not in said
    assert suite.bound("packages/hort")["redis_url"] == suite.redis_url
    assert suite.bound("actions/hort/sink")["retention_days"] == "7"
    found = suite.registration().config
    assert (found.username, found.password, found.topics, found.qos, found.keepalive_s) == ("me", "second-password", ("other/#",), 2, 30)
    assert suite.bound("actions/hort/divvy")["mqtt_password"] == "first-password", "each place keeps its own"

    before = suite.registration().generation
    status, said = suite.deploy(HORT_MAX_FIRES_PER_MINUTE="4 5", HORT_WINDOW_S="soon")
    assert status == 1
    assert "HORT_MAX_FIRES_PER_MINUTE must be a number from 1 to 100000, got '4 5'" in said
    assert "HORT_WINDOW_S must be a number" in said
    assert suite.registration().generation == before, "a bad value is refused before a running feed is removed"

    assert suite.deploy("--default", "HORT_RETENTION_DAYS", "--default", "HORT_MQTT_PASSWORD")[0] == 0
    assert suite.bound("actions/hort/sink")["retention_days"] == ""
    assert suite.registration().config.password == ""


def test_what_is_missing_is_named_before_anything_is_there(whisk: Engine, start: Callable[[Engine], Suite]) -> None:
    suite = start(whisk)
    status, said = suite.deploy(HORT_MQTT_URL="mqtt://broker.example")
    assert status == 1
    missing = ("HORT_REDIS_URL", "HORT_ELASTICSEARCH_URL", "HORT_PROVIDER_URL", "HORT_PROVIDER_SECRET")
    assert [name for name in missing if f"{name} must be given" in said] == list(missing)
    assert suite.whisk.call("GET", "packages") == (200, [])


@pytest.mark.slow(25)
def test_without_the_alarm_package_the_remedy_is_named_and_works(new_whisk: Callable[..., Engine], start: Callable[[Engine], Suite]) -> None:
    suite = start(new_whisk("--no-alarms"))
    status, said = suite.deploy(**suite.settings)
    assert (status, "export HORT_ALARMS_PACKAGE=/guest/alarms" in said) == (1, True), said
    assert suite.whisk.call("GET", "packages") == (200, []), "it is looked for before anything is deployed"

    status, said = suite.deploy(**suite.settings, HORT_ALARMS_PACKAGE="/_/clock")
    assert status == 0, said
    assert suite.deploy()[0] == 0, "it stays where it is"
    trigger = suite.whisk.call("GET", "triggers/window-tick")[1]
    assert {"key": "feed", "value": "/guest/clock/alarm"} in trigger["annotations"]
    ask = {"lifecycleEvent": "READ", "triggerName": "/_/window-tick", "authKey": GUEST_KEY}
    assert suite.whisk.call("POST", "actions/clock/alarm?blocking=true&result=true", ask)[1]["config"]["cron"] == "2,17,32,47 * * * * *"

    assert suite.deploy("--undeploy")[0] == 0
    status, answer = suite.whisk.call("POST", "actions/clock/alarm?blocking=true&result=true", ask)
    assert (status, "error" in answer) == (502, True), "the feed went with its trigger"
