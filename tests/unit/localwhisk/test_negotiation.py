import pytest

from localwhisk import negotiation


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], 1.0),
        ([""], 1.0),
        (["*"], 1.0),
        (["*/*"], 1.0),
        (["application/*"], 1.0),
        (["application/json"], 1.0),
        (["APPLICATION/JSON;q=0.5"], 0.5),
        (["application/json; charset=utf-8"], 1.0),
        (["text/html"], 0.0),
        (["text/*, image/png"], 0.0),
        (["text/html;q=0.9, */*;q=0.1"], 0.1),
        (["*/*, application/json;q=0"], 0.0),
        (["application/*;q=0, application/json"], 1.0),
        (["application/json;version=2"], 0.0),
        (["text/html", "application/json"], 1.0),
        (["text/html;q=x"], 0.0),
    ],
)
def test_the_most_specific_range_decides(accept: list[str], expected: float) -> None:
    assert negotiation.quality(accept, "application/json") == expected


@pytest.mark.parametrize(
    "header", ["text", "text/html,", ",", "a/b/c", "text/html;q=2", "text/html;q=nan", "a b/c", "text/html;q"]
)
def test_a_malformed_header_is_ignored_as_a_whole(header: str) -> None:
    assert negotiation.quality([header], "application/json") == 1.0


@pytest.mark.parametrize("accept", [["text/html," * 100 + "application/json"], ["text/html"] * 100 + ["application/json"]])
def test_ranges_beyond_a_hundred_are_not_looked_at(accept: list[str]) -> None:
    assert negotiation.quality(accept, "application/json") == 0.0
    assert not negotiation.names(accept, "application/json")
    assert negotiation.quality(accept, "text/html") == 1.0


def test_parameters_of_the_type_do_not_matter() -> None:
    assert negotiation.quality(["text/plain"], "text/plain; charset=UTF-8") == 1.0
    assert negotiation.quality(["application/json"], "text/plain; charset=UTF-8") == 0.0


def test_a_wildcard_names_no_type() -> None:
    assert negotiation.names(["text/html, */*"], "text/html")
    assert not negotiation.names(["*/*", "text/*"], "text/html")
    assert not negotiation.names(["text/html;q=0"], "text/html")
