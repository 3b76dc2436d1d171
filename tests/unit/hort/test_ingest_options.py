"""Options of the way in."""

from typing import Any

import pytest

from hort.errors import ConfigError
from hort.ingest_options import IngestOptions, from_params


def test_nothing_given_gives_the_defaults() -> None:
    assert from_params({}) == IngestOptions()


def test_empty_values_count_as_not_given() -> None:
    assert (
        from_params({"topic_pattern": "", "time_field": "", "schema": "", "max_depth": ""}) == IngestOptions()
    )


def test_environment_comes_after_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORT_MAX_DEPTH", "3")
    monkeypatch.setenv("HORT_TIME_FIELD", "t")

    options = from_params({"time_field": "u"})

    assert (options.caps.depth, options.time_field) == (3, "u")


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"topic_pattern": "a/{device_type}"}, "topic_pattern"),
        ({"topic_pattern": "a/{x}"}, "topic_pattern"),
        ({"time_unit": "minutes"}, "time_unit"),
        ({"max_depth": 0}, "max_depth"),
        ({"max_fields": "many"}, "max_fields"),
        ({"dedupe_s": 0}, "dedupe_s"),
        ({"schema": {"a": {"b": "c"}}}, "schema.a.b"),
    ],
)
def test_value_that_cannot_be_used_is_named(params: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'"):
        from_params(params)


def test_topic_without_a_device_needs_a_field() -> None:
    assert from_params({"topic_pattern": "a/{device_type}", "device_id_field": "id"}).device_id_field == "id"
