from typing import Any

import pytest

from localwhisk import limit_puts
from localwhisk.errors import ApiError
from localwhisk.limits import STOCK


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"timeout": 99}, "duration 99 milliseconds below allowed threshold of 100 milliseconds"),
        ({"timeout": 300001}, "duration 300001 milliseconds exceeds allowed threshold of 300000 milliseconds"),
        ({"memory": 127}, "memory size 127 MB below allowed threshold of 128 MB"),
        ({"memory": 513}, "memory size 513 MB exceeds allowed threshold of 512 MB"),
        ({"logs": 11}, "log size 11 MB exceeds allowed threshold of 10 MB"),
        ({"concurrency": 2}, "concurrency 2 exceeds allowed threshold of 1"),
        ({"concurrency": 0}, "concurrency 0 below allowed threshold of 1"),
        ({"timeout": -1}, "duration -1 milliseconds below allowed threshold of 100 milliseconds"),
        ({"timeout": 2**31}, "duration -2147483648 milliseconds below allowed threshold of 100 milliseconds"),
        ({"timeout": 1, "memory": 1}, "memory size 1 MB below allowed threshold of 128 MB"),
    ],
)
def test_limits_out_of_range(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as caught:
        limit_puts.check(limit_puts.read(given), STOCK)
    assert (caught.value.status, caught.value.text) == (400, f"requirement failed: {text}")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "Object expected in field 'timeout'"),
        ({"timeout": "60000"}, "time limit malformed"),
        ({"timeout": True}, "time limit malformed"),
        ({"timeout": 1.5}, "requirement failed: time limit must be whole number"),
        ({"memory": {}}, "memory limit malformed"),
        ({"memory": 128.5}, "requirement failed: memory limit must be whole number"),
        ({"memory": -1}, "requirement failed: a negative size of an object is not allowed."),
        ({"logs": "1"}, "log limit malformed"),
        ({"logs": -1}, "requirement failed: a negative size of an object is not allowed."),
        ({"logs": 0.5}, "requirement failed: log limit must be whole number"),
        ({"concurrency": "1"}, "concurrency limit malformed"),
        ({"concurrency": 1.5}, "requirement failed: intra concurrency limit must be whole number"),
        ({"instances": "1"}, "instance concurrency limit malformed"),
        ({"instances": 1.5}, "requirement failed: instance concurrency limit must be whole number"),
        (
            {"instances": -1},
            "requirement failed: Action container concurrency must be greater than or equal to 0.",
        ),
    ],
)
def test_limits_of_another_form(given: Any, text: str) -> None:
    with pytest.raises(ApiError) as caught:
        limit_puts.read(given)
    assert (caught.value.status, caught.value.text) == (400, f"The request content was malformed:\n{text}")


def test_whole_numbers_may_be_written_with_a_fraction() -> None:
    assert limit_puts.read({"timeout": 60000.0, "memory": 2.56e2, "logs": None}) == {
        "timeout": 60000,
        "memory": 256,
    }


def test_given_limits_replace_only_themselves() -> None:
    current = {"timeout": 5000, "memory": 128, "logs": 1, "concurrency": 1, "instances": 3}
    assert limit_puts.chosen({"memory": 256}, current, STOCK) == {**current, "memory": 256}
    assert limit_puts.chosen({"logs": 0}, None, STOCK) == {
        "timeout": 60000,
        "memory": 256,
        "logs": 0,
        "concurrency": 1,
    }
