import base64
from typing import Any

import pytest

from localwhisk import puts
from localwhisk.errors import ApiError
from localwhisk.limits import STOCK


@pytest.mark.parametrize(
    ("given", "read"), [("1.0", "1.0.0"), ("1", "1.0.0"), ("2.3.4", "2.3.4"), (None, None)]
)
def test_versions(given: object, read: str | None) -> None:
    assert puts.version(given) == read


@pytest.mark.parametrize("given", ["x.y", "", "1.2.3.4", 1, "1.", "-1"])
def test_other_versions_are_malformed(given: object) -> None:
    with pytest.raises(ApiError, match="semantic version malformed"):
        puts.version(given)


def test_an_update_raises_the_patch_part() -> None:
    assert puts.next_version("9.0.9") == "9.0.10"


def test_a_key_given_twice_counts_once_with_its_last_value() -> None:
    pairs = puts.key_values(
        [{"key": "i", "value": 1}, {"key": "s", "value": None}, {"key": "i", "value": "dup"}]
    )
    assert {pair["key"]: pair["value"] for pair in pairs or ()} == {"i": "dup", "s": None}


@pytest.mark.parametrize(
    "given", [{"a": 1}, [{"key": "k"}], [{"value": 1}], ["x"], [{"key": 1, "value": 1}], "x"]
)
def test_other_parameters_are_malformed(given: object) -> None:
    with pytest.raises(ApiError, match="parameters malformed!"):
        puts.key_values(given)


@pytest.mark.parametrize(
    ("code", "binary"),
    [
        (base64.b64encode(b"PK\x03\x04 zip").decode(), True),
        (base64.b64encode(b"PK\x03\x04 zipp").decode(), True),
        (base64.b64encode(b"PK\x03\x04 zippy").decode() + "\n", True),
        ("def main(args):\n    return args\n", False),
        ("", False),
        ("abc", False),
        ("=abc", False),
        ("ab=c", False),
    ],
)
def test_archives_are_known_by_their_base64(code: str, binary: bool) -> None:
    assert puts.is_base64(code) is binary


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"timeout": 99},
            "requirement failed: duration 99 milliseconds below allowed threshold of 100 milliseconds",
        ),
        (
            {"timeout": 300001},
            "requirement failed: duration 300001 milliseconds exceeds allowed threshold of 300000 milliseconds",
        ),
        ({"memory": 127}, "requirement failed: memory size 127 MB below allowed threshold of 128 MB"),
        ({"memory": 513}, "requirement failed: memory size 513 MB exceeds allowed threshold of 512 MB"),
        ({"logs": 11}, "requirement failed: log size 11 MB exceeds allowed threshold of 10 MB"),
        ({"concurrency": 2}, "requirement failed: concurrency 2 exceeds allowed threshold of 1"),
        ({"timeout": "60000"}, "time limit malformed"),
    ],
)
def test_limits_out_of_range(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as caught:
        puts.action_limits({"limits": given}, None, STOCK)
    assert caught.value.status == 400
    assert text in caught.value.text


def test_given_limits_replace_only_themselves() -> None:
    current = {"timeout": 5000, "memory": 128, "logs": 1, "concurrency": 1}
    assert puts.action_limits({"limits": {"memory": 256}}, current, STOCK) == {**current, "memory": 256}


def test_default_kind_of_a_family() -> None:
    put = puts.action_exec({"exec": {"kind": "python:default", "code": "x"}}, "guest", STOCK)
    assert put is not None
    assert put.kind == "python:3.10"


@pytest.mark.parametrize(
    ("exec_", "text"),
    [
        ({"code": "x"}, "'kind' must be a string defined in 'exec'"),
        ({"kind": "python"}, "The specified runtime 'python' is not supported by this platform."),
        (
            {"kind": "python:3.11"},
            "'code' must be a string or attachment object defined in 'exec' for 'python:3.11' actions",
        ),
        ({"kind": "python:3.11", "code": 5}, "Could not deserialize as attachment record: 5"),
        (
            {"kind": "python:3.11", "code": "", "main": 5},
            "if defined, 'main' be a string in 'exec' for 'python:3.11' actions",
        ),
        ({"kind": "blackbox"}, "'image' must be a string defined in 'exec' for 'blackbox' actions"),
        ({"kind": "blackbox", "image": "Bad Image!!"}, "could not parse image name"),
        ({"kind": "sequence"}, "'components' must be defined for sequence kind"),
        ({"kind": "sequence", "components": [1]}, "fully qualified name malformed"),
        ({"kind": "sequence", "components": ["s1"]}, "fully qualified name malformed"),
    ],
)
def test_execs_that_cannot_be_read(exec_: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as caught:
        puts.action_exec({"exec": exec_}, "guest", STOCK)
    assert text in caught.value.text


@pytest.mark.parametrize(
    "image",
    ["openwhisk/dockerskeleton", "localhost:5000/a/b:1.0", "ubuntu", "ghcr.io/x/y@sha256:" + "0" * 64],
)
def test_images(image: str) -> None:
    put = puts.action_exec({"exec": {"kind": "blackbox", "image": image}}, "guest", STOCK)
    assert put is not None
    assert put.image == image
