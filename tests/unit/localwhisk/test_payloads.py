import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localwhisk import payloads
from localwhisk.errors import ApiError
from localwhisk.payloads import EMPTY, Payload

VALUES = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5)


@given(VALUES, VALUES)
def test_defaults_go_under_the_payload_in_both_forms(
    defaults: dict[str, Any], given_: dict[str, Any]
) -> None:
    payload = payloads.parse(json.dumps(given_).encode())
    merged = payloads.with_defaults(defaults, payload)
    assert merged.value == {**defaults, **given_}
    assert json.loads(merged.raw) == merged.value
    assert b"\n" not in merged.raw


@pytest.mark.parametrize("body", [b' \n{ "a" :\r\n 1 }\n ', b'{"a":1}', b'\t{"a": 1}'])
def test_a_payload_is_one_line(body: bytes) -> None:
    payload = payloads.parse(body)
    assert payload.value == {"a": 1}
    assert b"\n" not in payload.raw
    assert json.loads(payloads.with_defaults({"b": 2}, payload).raw) == {"a": 1, "b": 2}


def test_no_body_is_an_empty_object() -> None:
    assert payloads.parse(b"") is EMPTY


@pytest.mark.parametrize("body", [b"[1]", b'"x"', b"null", b"5"])
def test_only_objects_are_payloads(body: bytes) -> None:
    with pytest.raises(ApiError, match="JSON object expected"):
        payloads.parse(body)


def test_an_array_between_components_takes_no_defaults() -> None:
    array = Payload.of([1, 2])
    assert payloads.with_defaults({"a": 1}, array) is array


def test_init_parameters_go_to_the_environment() -> None:
    parameters = (
        {"key": "a", "value": 1},
        {"key": "b", "value": {"x": 1}, "init": True},
        {"key": "c", "value": "t", "init": True},
    )
    assert payloads.arguments(parameters) == {"a": 1}
    assert payloads.environment(parameters) == {"b": '{"x":1}', "c": "t"}


def test_a_payload_may_replace_what_goes_to_the_environment() -> None:
    parameters = ({"key": "b", "value": 1, "init": True}, {"key": "c", "value": None, "init": True})
    sent = Payload.of({"b": True, "x": 1})
    environment = payloads.environment(parameters, sent)
    assert environment == {"b": "true", "c": ""}
    assert payloads.without(sent, environment).value == {"x": 1}
    assert payloads.without(Payload.of([1]), environment).value == [1]
