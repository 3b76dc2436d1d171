from typing import Any

import pytest

from hort import feed_options
from hort.errors import ConfigError
from hort.feed_options import INLINE_LIMIT, OPTIONS, Address

GOOD = {"url": "mqtt://broker", "topics": "a/#"}


def test_defaults() -> None:
    config = feed_options.parse(GOOD)
    assert (config.qos, config.delivery, config.ack, config.max_bytes) == (1, "reference", "sink", 8_000_000)
    assert config.max_fires_per_minute == 45, "leaves room for the suite's alarms in a stock namespace"


def test_every_option_has_a_text_and_a_default_in_its_range() -> None:
    for option in OPTIONS:
        assert option.text
        if option.kind in ("integer", "number"):
            assert option.minimum <= option.default <= option.maximum


def test_inline_has_its_own_limits() -> None:
    config = feed_options.parse({**GOOD, "delivery": "inline"})
    assert (config.max_bytes, config.ack) == (INLINE_LIMIT, "started")


def test_text_counts_as_numbers_and_lists() -> None:
    config = feed_options.parse({**GOOD, "topics": "a, b/+ ,a", "qos": "2", "tls_insecure": "true", "ack_deadline_s": "1.5"})
    assert (config.topics, config.qos, config.tls_insecure, config.ack_deadline_s) == (("a", "b/+"), 2, True, 1.5)


def test_a_configuration_survives_its_own_parameters() -> None:
    config = feed_options.parse({**GOOD, "password": "p", "qos": 2, "topics": ["a", "b"]})
    assert feed_options.parse(config.as_params()) == config


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"url": ""}, "url"),
        ({"url": "broker:1883"}, "url"),
        ({"url": "mqtt://"}, "url"),
        ({"url": "mqtt://broker:99999"}, "url"),
        ({"url": "mqtt://me:hidden@broker"}, "url"),
        ({"url": "tcp://me:hidden@broker"}, "url"),
        ({"url": "mqtt://me:hidden@broker:99999"}, "url"),
        ({"url": "mqtt://me:[hidden@broker"}, "url"),
        ({"delivery": "reference", "ack": "started"}, "ack"),
        ({"url": 7}, "url"),
        ({"topics": []}, "topics"),
        ({"topics": [1]}, "topics"),
        ({"topics": "a/#/b"}, "topics"),
        ({"topics": "a+/b"}, "topics"),
        ({"topics": "$share/group"}, "topics"),
        ({"topics": "$share/g+/a"}, "topics"),
        ({"qos": 1.5}, "qos"),
        ({"qos": True}, "qos"),
        ({"linger_ms": -1}, "linger_ms"),
        ({"delivery": "pigeon"}, "delivery"),
        ({"tls_insecure": "perhaps"}, "tls_insecure"),
        ({"tls_cert": "pem"}, "tls_cert"),
        ({"username": "a\x00"}, "username"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        feed_options.parse({**GOOD, **changes})
    assert caught.value.name == name
    assert "hidden" not in str(caught.value)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        feed_options.parse({**GOOD, "password": ["hidden"]})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("item", ["a", "+", "#", "a/+/b/#", "/", "$share/g/a/#", "$SYS/#", "ä/ö"])
def test_topic_filters(item: str) -> None:
    assert feed_options.parse({**GOOD, "topics": [item]}).topics == (item,)


def test_known_takes_the_feed_s_own_and_helps_with_near_misses() -> None:
    assert feed_options.known({"topic": "a", "redis_url": "x", "password": "", "lifecycleEvent": "CREATE"}) == {"topics": "a"}
    with pytest.raises(ConfigError, match="did you mean 'topics'"):
        feed_options.known({"topcis": "a"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://h", Address("h", 1883, "tcp", False, "")),
        ("mqtts://h", Address("h", 8883, "tcp", True, "")),
        ("ws://h:81", Address("h", 81, "websockets", False, "/mqtt")),
        ("wss://[::1]/path", Address("::1", 443, "websockets", True, "/path")),
    ],
)
def test_addresses(url: str, expected: Address) -> None:
    assert feed_options.address(url) == expected


def test_public_shows_no_secret() -> None:
    config = feed_options.parse({**GOOD, "password": "hidden", "tls_cert": "c", "tls_key": "hidden"})
    assert "hidden" not in repr(config) + str(config.public())
    assert config.public()["password"] == "***"


def test_a_create_may_keep_secrets_and_nothing_else() -> None:
    assert feed_options.kept({}) == feed_options.kept({"keep": ""}) == ()
    assert feed_options.kept({"keep": ["password"]}) == ("password",)
    assert feed_options.kept({"keep": "password,tls_key"}) == ("password", "tls_key")
    with pytest.raises(ConfigError, match="must name secrets"):
        feed_options.kept({"keep": ["url"]})
