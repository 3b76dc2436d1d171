import pytest

from localwhisk import messages, names
from localwhisk.errors import ApiError
from localwhisk.names import Name


@pytest.mark.parametrize("name", ["a", "_", "a b", "_a-b@c.d e", "n" * 256, "0"])
def test_names_that_pass(name: str) -> None:
    assert names.entity_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", " a", "a ", "a!b", "a/b", "a\n", "\u00e9"])
def test_names_with_other_characters_are_refused(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        names.entity_name(name)
    assert (caught.value.status, caught.value.text) == (400, messages.NAME_ILLEGAL)


def test_a_name_of_257_characters_is_too_long() -> None:
    with pytest.raises(ApiError, match="Name segement longer than allowed: 257 > 256"):
        names.entity_name("n" * 257)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("/_/a", Name("guest", None, "a")),
        ("/guest/p/a", Name("guest", "p", "a")),
        ("/whisk.system/alarms/alarm", Name("whisk.system", "alarms", "alarm")),
        ({"path": "guest/p", "name": "a"}, Name("guest", "p", "a")),
        ({"path": "_", "name": "a"}, Name("guest", None, "a")),
    ],
)
def test_references(reference: object, name: Name) -> None:
    assert names.qualified(reference, "guest") == name


@pytest.mark.parametrize(
    "reference", ["a", "p/a", "guest/p/a", "/a", "/g/p/a/b", "", 5, None, {"path": "guest"}, "/g//a"]
)
def test_references_without_a_leading_path_are_malformed(reference: object) -> None:
    with pytest.raises(ApiError, match="fully qualified name malformed"):
        names.qualified(reference, "guest")


def test_paths_of_a_name() -> None:
    assert Name("guest", "p", "a").doc == "guest/p/a"
    assert Name("guest", None, "a").path == "guest"


@pytest.mark.parametrize(
    ("value", "valid"),
    [("/whisk.system/alarms/alarm", True), ("a/b", True), ("", False), (5, False), ("a!", False)],
)
def test_feed_annotations(value: object, valid: bool) -> None:
    assert names.feed_is_valid(value) is valid
