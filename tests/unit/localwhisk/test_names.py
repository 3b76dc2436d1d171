import pytest

from localwhisk import messages, names
from localwhisk.errors import ApiError
from localwhisk.names import Name


@pytest.mark.parametrize("name", ["a", "_", "a b", "_a-b@c.d e", "a&b", "n" * 256, "0"])
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
    with pytest.raises(ApiError, match="Namespace longer than allowed: 257 > 256"):
        names.namespace_name("n" * 257)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("/_/a", Name("guest", None, "a")),
        ("_/a", Name("guest", None, "a")),
        ("/guest/p/a", Name("guest", "p", "a")),
        ("guest//p/a/", Name("guest", "p", "a")),
        ("/g/p/a/b", Name("g", "p/a", "b")),
        ("/whisk.system/alarms/alarm", Name("whisk.system", "alarms", "alarm")),
        ({"path": "guest/p", "name": "a"}, Name("guest", "p", "a")),
        ({"path": "_", "name": "a"}, Name("guest", None, "a")),
    ],
)
def test_references(reference: object, name: Name) -> None:
    assert names.qualified(reference, "guest") == name


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (5, messages.FQN_MALFORMED),
        (None, messages.FQN_MALFORMED),
        ([], messages.FQN_MALFORMED),
        ({"path": "guest"}, messages.FQN_MALFORMED),
        ({"path": "", "name": "a"}, messages.FQN_MALFORMED),
        ({"path": "guest", "name": "a!"}, messages.FQN_MALFORMED),
        ("a", messages.FQN_INCOMPLETE),
        ("/a", messages.FQN_INCOMPLETE),
        ("", "requirement failed: path undefined"),
        ("//", "requirement failed: path undefined"),
        ("/a!/b", "requirement failed: path contains invalid parts ArraySeq(a!, b)"),
    ],
)
def test_references_that_cannot_be_read(reference: object, text: str) -> None:
    with pytest.raises(ApiError) as caught:
        names.qualified(reference, "guest")
    assert (caught.value.status, caught.value.text) == (400, f"The request content was malformed:\n{text}")


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("a", Name("guest", None, "a")),
        ("p/a", Name("guest", "p", "a")),
        ("other/p/a", Name("other", "p", "a")),
        ("/other/a", Name("other", None, "a")),
        ("/_/a", Name("guest", None, "a")),
        ("/other/p/a", Name("other", "p", "a")),
        ("/a", None),
        ("w/x/y/z", None),
        ("", None),
        ("##", None),
        (5, None),
        (None, None),
        ({"path": "guest", "name": "a"}, None),
    ],
)
def test_actions_that_conductors_name(reference: object, name: Name | None) -> None:
    assert names.of_composition(reference, "guest") == name


def test_paths_of_a_name() -> None:
    assert Name("guest", "p", "a").doc == "guest/p/a"
    assert Name("guest", None, "a").path == "guest"


@pytest.mark.parametrize(
    ("value", "valid"),
    [("/whisk.system/alarms/alarm", True), ("a/b", True), ("", False), (5, False), ("a!", False)],
)
def test_feed_annotations(value: object, valid: bool) -> None:
    assert names.feed_is_valid(value) is valid
