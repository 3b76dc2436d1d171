"""What messages show of values: they are read in logs, answers and activation records."""

import pytest

from hort import models, store
from hort.errors import ConfigError, ModelError, ReportError, shown


@pytest.mark.parametrize(
    "value",
    [
        "redis://user:hunter2@host:6379/0",
        ["https://elastic:hunter2@host:9200", "https://elastic:hunter2@other:9200"],
        {"url": "http://host/a?key=hunter2&sig=hunter2hunter2"},
        "mqtts://:hunter2@[::1]:8883",
    ],
)
def test_no_error_shows_the_secrets_of_an_address(value: object) -> None:
    for error in (ConfigError("some_url", value, "is odd"), ModelError("url", value, "is odd"), ReportError("url", value, "is odd")):
        assert "hunter2" not in str(error)
        assert "host" in str(error) or "::1" in str(error)


def test_an_error_is_short_and_other_values_show_as_they_are() -> None:
    assert len(shown("x" * 10_000)) < 250
    assert shown("a=b?c=d") == "'a=b?c=d'"
    assert str(ConfigError("max_devices", -1, "must be positive")) == "parameter 'max_devices' must be positive, got -1"


def test_a_model_field_that_nobody_knows_does_not_show_its_value() -> None:
    with pytest.raises(ModelError, match="'api_token' is not known") as caught:
        models.parse("m", {"url": "http://a/", "api_token": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://:hunter/2@host", "redis://user:hunter2@host:port", "http://:hunter2@host", "hunter2"])
def test_a_redis_address_that_is_none_does_not_show(url: str) -> None:
    with pytest.raises(ConfigError, match="redis_url") as caught:
        store.client(url)
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None
