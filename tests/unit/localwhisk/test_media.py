import pytest

from localwhisk import media


@pytest.mark.parametrize(
    ("header", "canonical"),
    [
        ("application/json; charset=utf-8", "application/json"),
        ("Text/Plain;charset=utf-8", "text/plain; charset=UTF-8"),
        ("text/plain", "text/plain"),
        ("multipart/form-data; boundary=B", "multipart/form-data; boundary=B"),
        ("application/vnd.api+json", "application/vnd.api+json"),
    ],
)
def test_canonical_form(header: str, canonical: str) -> None:
    kind = media.parse(header)
    assert kind is not None
    assert kind.canonical() == canonical


@pytest.mark.parametrize("header", ["garbage", "", "a/b/c", "a b/c"])
def test_what_is_no_content_type(header: str) -> None:
    assert media.parse(header) is None


@pytest.mark.parametrize(
    ("name", "is_json", "is_text"),
    [
        ("application/json", True, False),
        ("application/x+json", True, False),
        ("text/xml", False, True),
        ("application/xml", False, True),
        ("application/javascript", False, True),
        ("text/markdown", False, True),
        ("text/yaml", False, False),
        ("image/svg+xml", False, False),
        ("application/octet-stream", False, False),
    ],
)
def test_sorts(name: str, is_json: bool, is_text: bool) -> None:
    kind = media.MediaType(name)
    assert (kind.is_json, kind.is_text) == (is_json, is_text)


def test_a_charset_makes_characters_of_any_type_but_json() -> None:
    charset = (("charset", "UTF-8"),)
    assert media.MediaType("text/yaml", charset).is_text
    assert not media.MediaType("application/json", charset).is_text


@pytest.mark.parametrize(("name", "known"), [("application/problem+json", True), ("application/hal+json", False)])
def test_json_that_is_known(name: str, known: bool) -> None:
    assert media.MediaType(name).is_known_json is known
