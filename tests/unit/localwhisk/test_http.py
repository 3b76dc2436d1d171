import pytest

from localwhisk.http import quality, without_dots


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/namespaces/_/actions/../../whisk.system/actions/alarms/alarm", "/api/v1/namespaces/whisk.system/actions/alarms/alarm"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/../../a", "/a"),
        ("/..", "/"),
        ("/a/.hidden/..x", "/a/.hidden/..x"),
        ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ("/a/b/", "/a/b/"),
    ],
)
def test_dots_of_a_path_are_followed(path: str, expected: str) -> None:
    assert without_dots(path) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("text/html", 1.0), ("text/*", None), ("*/*, TEXT/HTML; q=0.5", 0.5), ("text/html;q=x", 1.0), ("", None)],
)
def test_quality_is_that_of_a_type_that_is_named(accept: str, expected: float | None) -> None:
    assert quality(accept, "text/html") == expected
