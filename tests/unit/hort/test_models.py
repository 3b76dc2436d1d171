from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import models
from hort.errors import ModelError
from hort.models import BreakerRule

URL = "http://model.example/score"


def test_a_url_is_enough() -> None:
    model = models.parse("anomaly", {"url": URL})
    assert model == models.Model(name="anomaly", url=URL)
    assert (model.protocol, model.on_error, model.mode, model.enabled) == ("json", "ignore", "active", True)
    assert (model.device_types, model.events, model.breaker) == (("*",), ("*",), BreakerRule(5, 60, 30))


def test_null_means_the_default() -> None:
    assert models.parse("m", {"url": URL, "retries": None, "breaker": None}) == models.parse(
        "m", {"url": URL}
    )


def test_what_was_read_can_be_written_back() -> None:
    model = models.parse(
        "m", {"url": URL, "device_types": "bike*", "breaker": {"failures": 2}, "weight": 3, "version": 7}
    )
    assert model.device_types == ("bike*",)
    assert model.version == "7"
    assert models.stored(orjson.loads(orjson.dumps(model.as_json()))) == model


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", None),
        ("url", ""),
        ("url", 5),
        ("url", "ftp://x/"),
        ("url", "http://u:p@x/"),
        ("device_types", []),
        ("device_types", [1]),
        ("device_types", [""]),
        ("device_types", {"a": 1}),
        ("device_types", ["x" * 300]),
        ("device_types", ["*a" * 20]),
        ("device_types", ["a"] * 101),
        ("events", 7),
        ("protocol", "grpc"),
        ("protocol", ["json"]),
        ("timeout_ms", 9),
        ("timeout_ms", 30_001),
        ("timeout_ms", 1.5),
        ("timeout_ms", True),
        ("timeout_ms", "1000"),
        ("retries", -1),
        ("retries", 6),
        ("on_error", "explode"),
        ("breaker", 5),
        ("breaker", {"failures": -1}),
        ("breaker", {"within_s": 0}),
        ("breaker", {"open_s": "x"}),
        ("breaker", {"other": 1}),
        ("mode", "ghost"),
        ("group", "a b"),
        ("group", 1),
        ("weight", -1),
        ("weight", 1e300),
        ("enabled", "yes"),
        ("enabled", 1),
        ("concurrency", 0),
        ("max_instances", 0),
        ("max_bytes", -1),
        ("description", "x" * 2001),
        ("description", 1),
        ("version", ""),
        ("version", 1.5),
        ("colour", "red"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(ModelError) as caught:
        models.parse("m", {"url": URL, field: value})
    assert caught.value.field.startswith(field)
    assert caught.value.reason


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "ä", None, 3, ".", "..", "a\n"])
def test_names_are_narrow(name: object) -> None:
    with pytest.raises(ModelError) as caught:
        models.parse(name, {"url": URL})
    assert caught.value.field == "name"


def test_the_name_in_the_body_must_be_that_of_the_path() -> None:
    assert models.parse("m", {"url": URL, "name": "m"}).name == "m"
    with pytest.raises(ModelError, match="as in the path"):
        models.parse("m", {"url": URL, "name": "n"})


@pytest.mark.parametrize(
    ("globs", "device_type", "applies"),
    [
        (["bike*"], "bike-2", True),
        (["bike*"], "Bike", False),
        (["a", "b?"], "bc", True),
        (["*"], "", True),
        (["[ab]x"], "bx", True),
    ],
)
def test_globs_choose_device_types(globs: list[str], device_type: str, applies: bool) -> None:
    model = models.parse("m", {"url": URL, "device_types": globs, "events": ["status"]})
    assert model.applies(device_type, "status") is applies
    assert not model.applies(device_type, "other")


def test_a_web_action_is_called_once_a_batch_unless_told_otherwise() -> None:
    web = "https://whisk.example/api/v1/web/guest/hort/echo-model"
    assert models.parse("m", {"url": web}).protocol == "instances"
    assert models.parse("m", {"url": web, "protocol": None}).protocol == "instances"
    assert models.parse("m", {"url": web, "protocol": "json"}).protocol == "json"
    assert models.stored(models.parse("m", {"url": web, "protocol": "query"}).as_json()).protocol == "query"
    for other in (URL, "https://other.example/score?of=/api/v1/web/guest"):
        assert models.parse("m", {"url": other}).protocol == "json"


def test_a_web_action_is_sent_less_in_one_call() -> None:
    web = "http://127.0.0.1:1/api/v1/web/guest/hort/anomaly-model"
    assert models.parse("m", {"url": web}).request_bytes == 900_000
    assert models.parse("m", {"url": URL}).request_bytes == 8 * 1024 * 1024
    assert models.parse("m", {"url": web, "max_bytes": 5000}).request_bytes == 5000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from([*models.Model.__dataclass_fields__, "state", "other"])


@given(st.dictionaries(FIELDS, JSON, max_size=6), st.booleans())
def test_any_json_is_a_model_or_a_model_error(values: dict[str, Any], with_url: bool) -> None:
    try:
        model = models.parse("m", {**values, **({"url": URL} if with_url else {})})
    except ModelError:
        return
    assert models.stored(orjson.loads(orjson.dumps(model.as_json()))) == model


@pytest.mark.parametrize("value", [{"deep": [[[1]]]}, "x" * 9000, ["y" * 9000]])
def test_an_error_stays_short_whatever_was_sent(value: Any) -> None:
    for field in ("retries", "url", "z" * 9000):
        with pytest.raises(ModelError) as caught:
            models.parse("m", {"url": URL, field: value})
        assert len(str(caught.value)) < 1000


def test_a_value_nested_deeper_than_python_can_print_is_a_model_error() -> None:
    value: Any = 1
    for _ in range(1000):
        value = {"a": value}
    for field in ("retries", "url", "name", "other", "breaker"):
        with pytest.raises(ModelError):
            models.parse("m", {"url": URL, field: value})
