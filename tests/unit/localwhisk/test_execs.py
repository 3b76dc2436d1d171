import base64
from typing import Any

import pytest

from localwhisk import execs
from localwhisk.errors import ApiError


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
    assert execs.is_base64(code) is binary


def test_default_kind_of_a_family() -> None:
    put = execs.read({"kind": " Python:Default ", "code": "x"}, "guest")
    assert put is not None
    assert put.kind == "python:3.10"


def test_kinds_that_need_the_name_of_what_to_run() -> None:
    put = execs.read({"kind": "java:8", "jar": "x", "main": "Hello"}, "guest")
    assert put == execs.ExecPut(kind="java:8", code="x", main="Hello")


@pytest.mark.parametrize(
    ("exec_", "text"),
    [
        ("python:3.11", "JSON object expected"),
        ({"code": "x"}, "'kind' must be a string defined in 'exec'"),
        ({"kind": None}, "'kind' must be a string defined in 'exec'"),
        ({"kind": "python"}, "The specified runtime 'python' is not supported by this platform."),
        ({"kind": "x:default"}, "The specified runtime 'x:default' is not supported by this platform."),
        (
            {"kind": "python:3.11"},
            "'code' must be a string or attachment object defined in 'exec' for 'python:3.11' actions",
        ),
        (
            {"kind": "python:default"},
            "'code' must be a string or attachment object defined in 'exec' for 'python:default' actions",
        ),
        ({"kind": "python:3.11", "code": 5}, "Could not deserialize as attachment record: 5"),
        ({"kind": "python:3.11", "code": None}, "Could not deserialize as attachment record: null"),
        (
            {"kind": "python:3.11", "code": "", "main": 5},
            "if defined, 'main' be a string in 'exec' for 'python:3.11' actions",
        ),
        (
            {"kind": "python:3.11", "code": 5, "main": None},
            "if defined, 'main' be a string in 'exec' for 'python:3.11' actions",
        ),
        ({"kind": "java:8", "code": "x"}, "'main' must be a string defined in 'exec' for 'java:8' actions"),
        ({"kind": "java:default", "code": 5}, "'main' must be a string defined in 'exec' for 'java:default' actions"),
        ({"kind": "dotnet:6.0", "code": "x"}, "'main' must be a string defined in 'exec' for 'dotnet:6.0' actions"),
        ({"kind": "blackbox"}, "'image' must be a string defined in 'exec' for 'blackbox' actions"),
        ({"kind": "blackbox", "image": "Bad Image!!"}, "could not parse image name"),
        ({"kind": "blackbox", "image": "i", "code": 5}, "Could not deserialize as attachment record: 5"),
        ({"kind": "sequence"}, "'components' must be defined for sequence kind"),
        ({"kind": "sequence", "components": None}, "'components' must be an array"),
        ({"kind": "sequence", "components": {"0": "/_/a"}}, "'components' must be an array"),
        ({"kind": "sequence", "components": [1]}, "fully qualified name malformed"),
        ({"kind": "sequence", "components": ["s1"]}, "requirement failed: The fully qualified name of the entity"),
    ],
)
def test_execs_that_cannot_be_read(exec_: Any, text: str) -> None:
    with pytest.raises(ApiError) as caught:
        execs.read(exec_, "guest")
    assert caught.value.status == 400
    assert caught.value.text.startswith(f"The request content was malformed:\n{text}")


@pytest.mark.parametrize(
    "image",
    ["openwhisk/dockerskeleton", "localhost:5000/a/b:1.0", "ubuntu", "ghcr.io/x/y@sha256:" + "0" * 64],
)
def test_images(image: str) -> None:
    put = execs.read({"kind": "blackbox", "image": image, "code": " "}, "guest")
    assert put == execs.ExecPut(kind="blackbox", image=image)


def test_size_counts_what_is_kept() -> None:
    put = execs.read({"kind": "python:3.11", "code": "\u00e9", "main": "go"}, "guest")
    assert put is not None
    assert put.size == 4
