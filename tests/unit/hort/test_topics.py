"""Topic patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort.errors import ConfigError
from hort.topics import DEFAULT_PATTERN, compile_pattern

LEVEL = st.text(st.characters(exclude_characters="/+#\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
BIKE = {"device_type": "bike", "device_id": "7", "event": "status", "format": "json"}


@pytest.mark.parametrize("pattern", [DEFAULT_PATTERN, "iot-2/type/+/id/+/evt/+/fmt/+"])
def test_both_forms_of_the_default_name_the_same_levels(pattern: str) -> None:
    assert compile_pattern(pattern).match("iot-2/type/bike/id/7/evt/status/fmt/json") == BIKE


@given(LEVEL, LEVEL, LEVEL, LEVEL)
def test_any_level_comes_through_unchanged(device_type: str, device_id: str, event: str, fmt: str) -> None:
    topic = f"iot-2/type/{device_type}/id/{device_id}/evt/{event}/fmt/{fmt}"

    found = compile_pattern(DEFAULT_PATTERN).match(topic)

    assert found == {"device_type": device_type, "device_id": device_id, "event": event, "format": fmt}


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "iot-2",
        "iot-2/type/bike/id/7/evt/status",
        "iot-2/type/bike/id/7/evt/status/fmt/json/more",
        "iot-2/type//id/7/evt/status/fmt/json",
        "iot-3/type/bike/id/7/evt/status/fmt/json",
        "/iot-2/type/bike/id/7/evt/status/fmt/json",
    ],
)
def test_topic_that_does_not_fit(topic: str) -> None:
    assert compile_pattern(DEFAULT_PATTERN).match(topic) is None


@pytest.mark.parametrize(
    ("pattern", "topic", "found"),
    [
        ("sensors/+/data", "sensors/7/data", {"device_id": "7"}),
        ("+/+", "bike/7", {"device_type": "bike", "device_id": "7"}),
        ("+/+/+", "bike/7/up", {"device_type": "bike", "device_id": "7", "event": "up"}),
        ("zigbee2mqtt/{device_id}", "zigbee2mqtt/lamp", {"device_id": "lamp"}),
        ("+/{device_type}/+/{device_id}/#", "a/bike/b/7/x/y", {"device_type": "bike", "device_id": "7"}),
        ("{device_id}/#", "7", {"device_id": "7"}),
        ("#", "any/thing", {}),
    ],
)
def test_other_patterns(pattern: str, topic: str, found: dict[str, str]) -> None:
    assert compile_pattern(pattern).match(topic) == found


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a/{device}/b", "not 'device'"),
        ("a/{device_id}/{device_id}", "twice"),
        ("a/#/{device_id}", "neither text"),
        ("a/x{device_id}", "neither text"),
        ("a/b+/c", "neither text"),
        ("+/+/+/+/+", "at most four"),
    ],
)
def test_pattern_that_is_none(pattern: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        compile_pattern(pattern)
