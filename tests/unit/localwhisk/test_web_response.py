import base64
from typing import Any

import pytest

from localwhisk import messages
from localwhisk.activations import Activation
from localwhisk.errors import PlainError
from localwhisk.http import Response
from localwhisk.runtime_api import Status
from localwhisk.web_response import render

PNG = b"\x89PNG\r\n\x1a\n0123"


def shown(result: Any, extension: str = "http", status: Status = "success") -> Response:
    activation = Activation(
        id="a" * 32,
        namespace="guest",
        subject="guest",
        name="a",
        version="0.0.1",
        start=0,
        status=status,
        result=result,
    )
    return render(activation, extension, "tid")


def summary(response: Response) -> tuple[int, str | None, bytes]:
    return response.status, response.content_type, response.body


HTML = "text/html; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"
JSON = "application/json"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"statusCode": 201, "body": "plain"}, (201, HTML, b"plain")),
        ({"statusCode": "404", "body": "x"}, (404, HTML, b"x")),
        ({"statusCode": "+444", "body": "x"}, (444, HTML, b"x")),
        ({"statusCode": 299.0, "body": "x"}, (299, HTML, b"x")),
        ({"body": {"a": [1]}}, (200, JSON, b'{\n  "a": [1]\n}')),
        ({"body": [1, 2]}, (200, JSON, b"[1, 2]")),
        ({"body": 5}, (200, JSON, b"5")),
        ({"body": False}, (200, JSON, b"false")),
        ({}, (204, None, b"")),
        ({"body": ""}, (204, None, b"")),
        ({"statusCode": 200}, (200, None, b"")),
        ({"statusCode": 200, "body": None}, (200, None, b"")),
        ({"statusCode": 204, "body": "t"}, (204, None, b"")),
        ({"statusCode": 205, "body": {"a": 1}}, (205, None, b"")),
        ({"statusCode": 304, "body": "t"}, (304, None, b"")),
        (
            {"headers": {"Content-Type": "image/png"}, "body": base64.b64encode(PNG).decode()},
            (200, "image/png", PNG),
        ),
        ({"headers": {"content-type": "text/css"}, "body": "a{}"}, (200, "text/css; charset=UTF-8", b"a{}")),
        (
            {"headers": {"Content-Type": "text/plain; charset=iso-8859-1"}, "body": "caf\u00e9"},
            (200, TEXT, "caf\u00e9".encode()),
        ),
        ({"headers": {"Content-Type": "text/css", "content-type": "text/xml"}, "body": "a"}, (200, "text/css; charset=UTF-8", b"a")),
        ({"headers": {"Content-Type": ["text/css", "text/xml"]}, "body": "a"}, (200, "text/css; charset=UTF-8", b"a")),
        ({"headers": {"Content-Type": JSON}, "body": '{"a":1}'}, (200, JSON, b'{"a":1}')),
        ({"headers": {"Content-Type": JSON}, "body": "oops"}, (200, JSON, base64.b64decode("oops"))),
        (
            {"headers": {"Content-Type": "application/vnd.api+json"}, "body": {}},
            (200, "application/vnd.api+json", b"{}"),
        ),
        (
            {"headers": {"Content-Type": "application/pdf"}, "body": "JVBERg=="},
            (200, "application/pdf", b"%PDF"),
        ),
    ],
)
def test_http_form(result: Any, expected: tuple[int, str | None, bytes]) -> None:
    assert summary(shown(result)) == expected


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("msg", "Response is not valid 'message/http'."),
        ({"statusCode": 999, "body": "x"}, "Response is not valid 'message/http'."),
        ({"statusCode": "abc", "body": "x"}, "Response is not valid 'message/http'."),
        ({"statusCode": 0}, "Response is not valid 'message/http'."),
        ({"statusCode": 200.5}, "Response is not valid 'message/http'."),
        ({"statusCode": " 200"}, "Response is not valid 'message/http'."),
        ({"statusCode": None}, "Response is not valid 'message/http'."),
        ({"headers": None, "body": "x"}, "Response is not valid 'message/http'."),
        ({"statusCode": 100, "body": "t"}, "Response is not valid 'message/http'."),
        ({"statusCode": True, "body": "t"}, "Response is not valid 'message/http'."),
        ({"headers": "x", "body": "y"}, "Response is not valid 'message/http'."),
        ({"headers": {"X-Null": None}}, "Response is not valid 'message/http'."),
        ({"headers": {"X-O": {"a": 1}}}, "Response is not valid 'message/http'."),
        ({"headers": {"X Bad": "v"}}, "Response is not valid 'message/http'."),
        ({"headers": {"X-C": "a\r\nX-Inj: 1"}}, "Response is not valid 'message/http'."),
        (
            {"headers": {"Content-Type": "garbage"}, "body": "x"},
            "Response did not specify a known content-type.",
        ),
        (
            {"headers": {"Content-Type": "image/svg+xml"}, "body": "<svg/>"},
            "Response type in header did not match generated content type.",
        ),
        (
            {"headers": {"Content-Type": "garbage"}, "body": {"a": 1}},
            "Response type in header did not match generated content type.",
        ),
        (
            {"headers": {"Content-Type": "text/html"}, "body": {"a": 1}},
            "Response type in header did not match generated content type.",
        ),
    ],
)
def test_what_is_no_http_response(result: Any, text: str) -> None:
    response = shown(result)
    assert response.status == 400
    assert text.encode() in response.body


def test_header_values_may_be_numbers_booleans_and_lists() -> None:
    response = shown({"headers": {"X-L": [1, "b", True], "X-N": 5, "X-F": 1.5}, "body": "t"})
    assert response.headers == [("x-l", "1"), ("x-l", "b"), ("x-l", "true"), ("x-n", "5"), ("x-f", "1.5")]


def test_headers_of_the_transfer_are_the_servers_own() -> None:
    response = shown(
        {"headers": {"Transfer-Encoding": "chunked", "Content-Length": "3", "X-Ok": "1"}, "body": "abc"}
    )
    assert response.headers == [("x-ok", "1")]


@pytest.mark.parametrize(
    ("extension", "result", "expected"),
    [
        ("json", {"statusCode": 400, "body": 5}, (200, JSON, b'{\n  "statusCode": 400,\n  "body": 5\n}')),
        ("html", {"body": "<b>"}, (200, HTML, b"<b>")),
        ("html", {"html": "<i>"}, (200, HTML, b"<i>")),
        ("html", {"html": "<i>", "body": "<b>"}, (200, HTML, b"<b>")),
        ("text", {"text": "t", "body": "b"}, (200, TEXT, b"b")),
        ("svg", {"svg": "<svg/>"}, (200, "image/svg+xml", b"<svg/>")),
        ("text", {"text": "t"}, (200, TEXT, b"t")),
        ("text", {"body": 5}, (200, TEXT, b"5")),
        ("text", {"body": None}, (200, TEXT, b"null")),
        ("text", {"body": True}, (200, TEXT, b"true")),
        ("text", {"body": {"a": 1}}, (200, TEXT, b'{\n  "a": 1\n}')),
    ],
)
def test_extensions(extension: str, result: Any, expected: tuple[int, str, bytes]) -> None:
    assert summary(shown(result, extension)) == expected


@pytest.mark.parametrize(
    ("extension", "result", "status", "text"),
    [
        ("html", {"foo": 1}, 400, "Response is not valid 'text/html'."),
        ("html", {"body": {"a": 1}}, 400, "Response is not valid 'text/html'."),
        ("svg", {"foo": 1}, 400, "Response is not valid 'image/svg+xml'."),
        ("text", {"foo": 1}, 404, "Response does not include requested property."),
    ],
)
def test_results_without_the_property(extension: str, result: Any, status: int, text: str) -> None:
    response = shown(result, extension)
    assert response.status == status
    assert text.encode() in response.body


def test_an_application_error_is_rendered_from_what_stands_under_error() -> None:
    error = {"error": {"statusCode": 418, "body": "tea"}}
    assert summary(shown(error, status="application error")) == (418, HTML, b"tea")
    assert summary(shown({"error": "msg"}, "html", "application error")) == (200, HTML, b"msg")


@pytest.mark.parametrize("status", ["action developer error", "whisk internal error"])
def test_other_errors_are_not_shown(status: Status) -> None:
    response = shown({"error": "secret"}, "json", status)
    assert response.status == 400
    assert b"There was an error processing your request." in response.body
    assert b"secret" not in response.body


def test_an_array_is_the_servers_own_failure() -> None:
    with pytest.raises(PlainError) as caught:
        shown([1, 2], "json")
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/markdown", "# a", (200, "text/markdown; charset=UTF-8", b"# a")),
        ("text/yaml; charset=utf-8", "a: 1", (200, "text/yaml; charset=UTF-8", b"a: 1")),
        ("application/problem+json", "{}", (200, "application/problem+json", b"{}")),
        ("application/json", "e30=", (200, JSON, b"{}")),
        ("application/json", "e30", (200, JSON, b"e30")),
        ("application/hal+json", "e30", (200, "application/hal+json", b"{}")),
    ],
)
def test_texts_of_a_type(content_type: str, body: str, expected: tuple[int, str, bytes]) -> None:
    assert summary(shown({"headers": {"content-type": content_type}, "body": body})) == expected


@pytest.mark.parametrize("content_type", ["text/yaml", "application/hal+json", "image/png"])
def test_a_type_the_server_does_not_know_is_binary(content_type: str) -> None:
    response = shown({"headers": {"content-type": content_type}, "body": "{}"})
    assert (response.status, messages.WEB_TYPE_MISMATCH.encode() in response.body) == (400, True)
