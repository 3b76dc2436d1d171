"""What a deployment keeps, place by place, and which settings it refuses before it begins."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from lib.deploy import alarms, checks, environment, manifest
from lib.deploy.manifest import Place
from lib.deploy.namespace import Namespace
from lib.deploy.plan import without_strange_source
from lib.deploy.settled import Settled, Variables, deployment, kept_in_images, settle
from tests.support.paths import ROOT

TRIGGER = Place("trigger", "hort", "device-events", {"url": "$HORT_MQTT_URL", "password": "$HORT_MQTT_PASSWORD", "topics": "$HORT_TOPICS"}, feed="hort/mqtt")
STORES = {"redis_url": "redis://r", "elasticsearch_url": "http://e:9200"}


class Bound(Namespace):
    """A namespace with these entities and this answer of the feed's READ."""

    entities: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]

    def __init__(self, entities: Mapping[str, Mapping[str, Any]], **config: Any) -> None:
        super().__init__(urlsplit("http://127.0.0.1:9"), "uuid:key", False)
        object.__setattr__(self, "entities", entities)
        object.__setattr__(self, "config", config)

    def entity(self, kind: str, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        del namespace
        found = self.entities.get(f"{kind} {name}")
        return None if found is None else dict(found)

    def invoke(self, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        assert (action, params["lifecycleEvent"], params["triggerName"]) == ("hort/mqtt", "READ", "/_/device-events")
        return {"id": "f00d", "config": dict(self.config)} if self.config else {"error": "the provider at http://p does not answer"}


def _bound(**values: Any) -> dict[str, Any]:
    return {"parameters": [{"key": name, "value": value} for name, value in values.items()]}


def test_what_no_exported_variable_names_stays_as_it_is_bound_at_each_place() -> None:
    places = [Place("action", "hort", name, {"redact": "$HORT_REDACT", "days": "$HORT_DAYS", "fixed": 3}) for name in ("sink", "plates")]
    there = Bound({"action hort/sink": _bound(redact="true", days="7", fixed=2, foreign="x"), "action hort/plates": _bound(redact="", days="9")})
    found = [settle(place, there, Variables({"HORT_DAYS": "30"}, {"HORT_REDACT": "local"})) for place in places]
    assert [one.params for one in found] == [{"redact": "true", "days": "30", "fixed": 3}, {"redact": "local", "days": "30", "fixed": 3}]
    file, values = deployment(found, {})
    assert file == {"project": {"packages": {"hort": {"actions": {"sink": {"inputs": {"redact": "$HORT_KEPT_0_REDACT"}}, "plates": {}}}}}}
    assert values == {"HORT_KEPT_0_REDACT": "true"}


def test_what_runs_here_is_used_where_a_variable_is_not_exported() -> None:
    names = ["HORT_REDIS_URL", "HORT_MQTT_URL"]
    found = Variables(environment.resolve(names, environment={"HORT_MQTT_URL": "mqtt://mine"}), local={"HORT_REDIS_URL": "redis://here", "HORT_MQTT_URL": "mqtt://here"})
    assert found.values == {"HORT_REDIS_URL": "redis://here", "HORT_MQTT_URL": "mqtt://mine"}


def test_a_setting_goes_back_to_its_default_only_by_name() -> None:
    place = Place("action", "hort", "sink", {"days": "$HORT_DAYS"})
    there = Bound({"action hort/sink": _bound(days="7")})
    assert settle(place, there, Variables({"HORT_DAYS": ""})).params == {"days": "7"}
    assert settle(place, there, Variables({}, reset=frozenset({"HORT_DAYS"}))).params == {}


def test_a_feed_keeps_all_that_was_set_on_its_trigger_and_its_secrets_unseen() -> None:
    config = {"url": "mqtt://b", "topics": ["a", "b"], "qos": 2, "password": "***", "tls_key": "***", "tls_cert": "pem", "linger_ms": 200, "ack": "sink", "client_id": "hort-f00d-1a"}
    there = Bound({"trigger device-events": {}}, **config)
    found = settle(TRIGGER, there, Variables({"HORT_TOPICS": "c/#"}))
    assert found.params == {"url": "mqtt://b", "topics": "c/#", "qos": 2, "tls_cert": "pem", "password": "***", "tls_key": "***"}
    file, values = deployment([found], {})
    assert values == {"HORT_KEPT_0_URL": "mqtt://b", "HORT_KEPT_1_TLS_CERT": "pem"}
    inputs = {"keep": ["password", "tls_key"], "url": "$HORT_KEPT_0_URL", "qos": 2, "tls_cert": "$HORT_KEPT_1_TLS_CERT"}
    assert file == {"project": {"packages": {"hort": {"triggers": {"device-events": {"inputs": inputs}}}}}}


def test_a_given_password_takes_the_place_of_the_kept_one() -> None:
    there = Bound({"trigger device-events": {}}, url="mqtt://b", password="***")
    found = settle(TRIGGER, there, Variables({"HORT_MQTT_PASSWORD": "new"}))
    assert (found.params["password"], found.secrets) == ("new", ())


def test_a_running_feed_whose_provider_is_away_is_not_touched_unless_it_moves() -> None:
    there = Bound({"trigger device-events": {}})
    with pytest.raises(Exception, match="does not answer"):
        settle(TRIGGER, there, Variables({}))
    assert settle(TRIGGER, there, Variables({"HORT_PROVIDER_URL": "http://new"})).params == {}
    assert settle(TRIGGER, Bound({}), Variables({})).params == {}, "without a trigger there is no feed"


@pytest.mark.parametrize(
    ("exported", "kept"),
    [
        ({"HORT_MQTT_URL": "mqtt://the-users-own"}, None),
        ({"HORT_MQTT_URL": "mqtt://the-users-own", "HORT_GBFS_URL": "http://bikes"}, "http://bikes"),
        ({"HORT_MQTT_URL": "mqtt://ours"}, "http://city"),
        ({}, "http://city"),
    ],
)
def test_an_invented_city_does_not_follow_the_feed_to_another_broker(exported: dict[str, str], kept: str | None) -> None:
    place = Place("action", "hort", "divvy", {"gbfs_url": "$HORT_GBFS_URL", "mqtt_url": "$HORT_MQTT_URL"})
    there = Bound({"action hort/divvy": _bound(gbfs_url="http://city", mqtt_url="mqtt://ours")})
    found = without_strange_source(settle(place, there, Variables(exported)))
    assert found.params.get("gbfs_url") == kept


def test_the_registry_of_an_image_stays_over_a_new_version() -> None:
    place = Place("action", "hort", "plates", image="${HORT_IMAGE_REGISTRY}hort/plates:0.2.0")
    bare = Bound({"action hort/plates": {"exec": {"kind": "blackbox", "image": "hort/plates:0.1.0"}}})
    assert kept_in_images([place], bare, Variables({})) == {}
    there = Bound({"action hort/plates": {"exec": {"kind": "blackbox", "image": "registry.example:5000/hort/plates:0.1.0"}}})
    assert kept_in_images([place], there, Variables({})) == {"HORT_IMAGE_REGISTRY": "registry.example:5000/"}
    assert kept_in_images([place], there, Variables({"HORT_IMAGE_REGISTRY": "other/"})) == {}


def test_all_that_is_missing_is_named_at_once_by_its_variable() -> None:
    places = manifest.places((ROOT / "manifest.yaml").read_text(), {})
    found = [Settled(place, {}) for place in places]
    assert checks.problems(found, {}) == [
        "HORT_REDIS_URL must be given",
        "HORT_ELASTICSEARCH_URL must be given",
        "HORT_PROVIDER_URL must be given",
        "HORT_PROVIDER_SECRET must be given",
        "HORT_MQTT_URL must be given",
    ]


BAD = [
    ("HORT_MAX_FIRES_PER_MINUTE", "4 5", "must be a number from 1 to 100000, got '4 5'"),
    ("HORT_MQTT_URL", "broker:1883", "must be mqtt://, mqtts://, ws:// or wss:// with a host, got 'broker:1883'"),
    ("HORT_MQTT_URL", "mqtt://", "with a host, got 'mqtt://'"),
    ("HORT_MQTT_URL", "mqtt://[::1", "with a host, got 'mqtt://[::1'"),
    ("HORT_MQTT_URL", "mqtt://a b", "with a host, got 'mqtt://a b'"),
    ("HORT_MQTT_URL", "mqtt://b:0", "must have a port from 1 to 65535"),
    ("HORT_MQTT_URL", "http://me:short#word@b:1", "with a host, got 'http://b:1'"),
    ("HORT_TOPICS", "a/#/b", "must be a topic filter"),
    ("HORT_MQTT_TLS_CERT", "-----BEGIN", "must be given together"),
    ("HORT_WINDOW_S", "soon", "must be a number"),
    ("HORT_SILENT_AFTER", "-1", "must be a number"),
    ("HORT_SCORE_BUDGET_MS", "1", "must be a number"),
    ("HORT_SCHEMA", '{"pump": {"p": "Real"}}', "must be one of Numeric, String, Bool"),
    ("HORT_TOPIC_PATTERN", "plant/{device}", "HORT_TOPIC_PATTERN"),
    ("HORT_TIME_UNIT", "hours", "must be one of"),
    ("HORT_RETENTION_DAYS", "0", "must be a number"),
    ("HORT_REDACT", "maybe", "must be true or false"),
    ("HORT_ALLOW_PRIVATE", "10.0.0.0/99", "must hold networks"),
    ("HORT_INDEX_PREFIX", "Big Index", "must begin with a small letter or a digit"),
    ("HORT_INDEX_PREFIX", "plant\n", "such as plant-1-, got 'plant\\n'"),
    ("HORT_PHOTOS_PER_MINUTE", "many", "must be a number"),
    ("HORT_API_INSECURE", "perhaps", "must be true or false"),
    ("HORT_PROVIDER_URL", "provider.example", "must be an http or https address"),
    ("HORT_PROVIDER_URL", "http://[::1", "its host or port is not valid"),
    ("HORT_PROVIDER_URL", "http://p:99999", "its host or port is not valid"),
    ("HORT_PROVIDER_URL", "http://p?x=short", "without a query"),
    ("HORT_PROVIDER_SECRET", "short", "HORT_PROVIDER_SECRET must have at least 16 characters"),
    ("HORT_REDIS_URL", "http://redis", "must be redis://"),
    ("HORT_ELASTICSEARCH_URL", "no address", "must be an http or https address with its port"),
    ("HORT_ELASTICSEARCH_URL", "mqtt://e:9200", "must be an http or https address with its port"),
    ("HORT_ELASTICSEARCH_URL", "https://me:short@e:99x/", "with its port, such as http://127.0.0.1:9200, got 'https://e:99x/'"),
    ("HORT_ELASTICSEARCH_URL", "https://me:sh/short@e:1", "got 'https://e:1'"),
    ("HORT_ELASTICSEARCH_API_KEY", "short\nkey", "must be printable ASCII"),
    ("HORT_REGISTRY_KEY", "short\nkey", "must be printable ASCII"),
    ("HORT_REGISTRY_KEY", " short ", "without blanks at its ends"),
    ("HORT_REGISTRY_URL_KEY", "shört", "must be printable ASCII"),
    ("HORT_PLATES_COUNTRY", "us; eu", "must name countries such as us"),
    ("HORT_IMAGE_REGISTRY", "registry.example", "with a slash at its end, such as registry.example/"),
    ("HORT_IMAGE_REGISTRY", "https://registry.example/", "with a slash at its end"),
    ("HORT_SCHEMA", "x" * 100_000, "must be a JSON object"),
    ("HORT_GBFS_URL", "ftp://bikes", "is no address"),
    ("HORT_READS_PER_MINUTE", "-1", "must be a number"),
    ("HORT_PARTITIONS", "0", "must be a number"),
    ("HORT_ALLOWED_LATENESS_S", "a while", "must be a number"),
    ("HORT_SLIDE_S", "0", "must be a number"),
    ("HORT_LINGER_MS", "1e9", "must be a number"),
    ("HORT_ACK_DEADLINE_S", "0", "must be a number"),
    ("HORT_GRACE_S", "-1", "must be a number"),
    ("HORT_REGISTRY_URL", "registry.example", "is no address"),
    ("HORT_MQTT_TLS_CA", "-----BEGIN nothing", "cannot be used"),
    ("HORT_ELASTICSEARCH_USERNAME", "elastic", "must not be given beside elasticsearch_api_key"),
]
ANY_TEXT = {
    *(f"HORT_{name}" for name in ("DEVICE_TYPE_FIELD", "DEVICE_ID_FIELD", "EVENT_FIELD", "TIME_FIELD", "ID_FIELD")),
    *(f"HORT_{name}" for name in ("MQTT_USERNAME", "MQTT_PASSWORD", "ELASTICSEARCH_PASSWORD")),
    "HORT_REDACT_KEY",  # with HORT_REDACT
    "HORT_MQTT_TLS_KEY",  # with HORT_MQTT_TLS_CERT
}


def test_every_setting_of_the_manifest_is_checked_or_may_be_any_text() -> None:
    names = environment.names_in((ROOT / "manifest.yaml").read_text())
    assert {variable for variable, _, _ in BAD} | ANY_TEXT == set(names)


@pytest.mark.parametrize(("variable", "value", "told"), BAD)
def test_a_bad_value_is_named_with_its_variable_and_no_secret(variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"HORT_REDIS_URL": "redis://r", "HORT_ELASTICSEARCH_URL": "http://e:9200", "HORT_PROVIDER_URL": "http://p", "HORT_PROVIDER_SECRET": "s" * 16, "HORT_MQTT_URL": "mqtts://b", "HORT_ELASTICSEARCH_API_KEY": "key"}
    monkeypatch.delenv(variable, raising=False)
    text = (ROOT / "manifest.yaml").read_text()

    def problems(values: Mapping[str, str]) -> list[str]:
        return checks.problems((settle(place, Bound({}), Variables(values)) for place in manifest.places(text, {})), values)

    assert problems(good) == []
    found = [text for text in problems({**good, variable: value}) if text.startswith(variable)]
    assert [told in text for text in found] == [True], found
    assert "short" not in found[0]
    assert len(found[0]) < 500


@pytest.mark.parametrize(
    ("given", "deployed", "package"),
    [
        ("", "", "/whisk.system/alarms"),
        ("/_/clock", "", "/guest/clock"),
        ("clock", "", "/guest/clock"),
        ("team/clock", "", "/team/clock"),
        ("", "/guest/clock/alarm", "/guest/clock"),
        ("/team/clock", "/guest/clock/alarm", "/team/clock"),
    ],
)
def test_the_alarm_package_is_the_one_named_else_the_one_in_use(given: str, deployed: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bound, "owner", "guest")
    ticking = [Place("trigger", "hort", "window-tick", feed="/whisk.system/alarms/alarm")]
    there = Bound({"trigger window-tick": {"annotations": [{"key": "feed", "value": deployed}]}} if deployed else {})
    found = alarms.chosen(ticking, there, given=given)
    assert str(found) == package
    assert alarms.feeds(ticking, found) == ({} if package == "/whisk.system/alarms" else {"window-tick": f"{package}/alarm"})


def test_a_feed_of_somebody_else_s_manifest_is_checked_too() -> None:
    mine = Place("trigger", "mine", "sensors", {"url": "mqtt://b", "qos": 7}, feed="/_/hort/mqtt")
    assert checks.problems([settle(mine, None, Variables({}))], {}) == ["input 'qos' of trigger sensors must be a number from 0 to 2, got 7"]
