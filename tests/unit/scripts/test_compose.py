"""docker/compose.yaml keeps what the services of scripts/stack keep, and opens nothing without an address and a password."""

import re
from typing import Any

import pytest
import yaml

from lib.stack.services import MOSQUITTO_CONFIG, REDIS_CONFIG
from tests.support.paths import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
SERVICES = COMPOSE["services"]
PLACE = {"listener", "persistence_location", "allow_anonymous", "bind", "port", "protected-mode", "daemonize", "dir", "maxmemory"}
"""Where a server listens and keeps its files, who may come in, and what is a setting of the user's."""


def settings(text: str) -> set[str]:
    lines = {line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")}
    return {line for line in lines if line.split()[0] not in PLACE}


@pytest.mark.parametrize(("name", "ours"), [("mosquitto", MOSQUITTO_CONFIG), ("redis", REDIS_CONFIG)])
def test_a_server_keeps_its_data_as_that_of_the_stack_does(name: str, ours: str) -> None:
    assert settings(ours) <= settings(COMPOSE["configs"][name]["content"])


def test_nobody_comes_in_without_a_password() -> None:
    assert "password_file" in COMPOSE["configs"]["mosquitto"]["content"]
    assert "requirepass ${HORT_REDIS_PASSWORD:?" in COMPOSE["configs"]["redis"]["content"]
    assert SERVICES["elasticsearch"]["environment"]["xpack.security.enabled"] == "true"


def test_no_password_is_on_a_command_line() -> None:
    texts = [str(text) for service in SERVICES.values() for text in (service.get("command"), service.get("healthcheck", {}).get("test"))]
    assert [text for text in texts if re.search(r"(curl|redis-\w+|mosquitto_passwd)[^|]*PASSWORD", text)] == [], "anybody may read one"


def test_secrets_are_given_and_never_have_a_default() -> None:
    text = (ROOT / "docker/compose.yaml").read_text()
    secret = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEY))(:?[^}]?)", text)
    assert {name for name, _ in secret} >= {"HORT_MQTT_PASSWORD", "HORT_REDIS_PASSWORD", "HORT_PROVIDER_KEY", "HORT_PROVIDER_SECRET"}
    assert {rest for _, rest in secret} == {":?"}


def test_ports_are_opened_on_the_given_address_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service["ports"]]
    assert len(ports) == 4
    assert all(port.startswith("${HORT_ADDRESS:-127.0.0.1}:") for port in ports)


def test_images_are_pinned_and_of_no_named_registry() -> None:
    foreign = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert all(re.fullmatch(r"[a-z-]+:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", image) for image in foreign), foreign


def test_the_provider_is_built_from_its_dockerfile() -> None:
    build = SERVICES["provider"]["build"]
    assert (ROOT / "docker" / build["context"] / build["dockerfile"]).is_file()
