import pytest

from localwhisk import targets
from localwhisk.errors import PlainError


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/we.json?a[]=1", "Invalid input '[', expected query-char, pct-encoded or 'EOI' (line 1, column 11)"),
        ("/a?[", "Invalid input '[', expected rawQueryString or 'EOI' (line 1, column 4)"),
        ("/a[0]", "Invalid input '[', expected pchar, '/', '?' or 'EOI' (line 1, column 3)"),
        ("/a/{b}", "Invalid input '{', expected segment, '/', '?' or 'EOI' (line 1, column 4)"),
        ("/a%20b|c", "Invalid input '|', expected pchar, '/', '?' or 'EOI' (line 1, column 7)"),
        ("/%zz", "Invalid input 'z', expected HEXDIG (line 1, column 3)"),
        ("/%1g", "Invalid input 'g', expected HEXDIG (line 1, column 4)"),
        ("/a%", "Unexpected end of input, expected HEXDIG (line 1, column 4)"),
        ("/a%4", "Unexpected end of input, expected HEXDIG (line 1, column 5)"),
        ("/a%?x", "Invalid input '?', expected HEXDIG (line 1, column 4)"),
        ("/a?x=%_D", "Invalid input '_', expected HEXDIG (line 1, column 7)"),
        ("/a?%", "Unexpected end of input, expected HEXDIG (line 1, column 5)"),
        ('/a"', "Invalid input '\"', expected pchar, '/', '?' or 'EOI' (line 1, column 3)"),
        ("/a\\b", "Invalid input '\\', expected pchar, '/', '?' or 'EOI' (line 1, column 3)"),
        ("/a?b=<", "Invalid input '<', expected query-char, pct-encoded or 'EOI' (line 1, column 6)"),
    ],
)
def test_malformed_targets(target: str, text: str) -> None:
    with pytest.raises(PlainError) as caught:
        targets.check(target)
    assert (caught.value.status, caught.value.close) == (400, True)
    assert caught.value.text == f"Illegal request-target: {text}"


@pytest.mark.parametrize("target", ["/", "/a:b@c;d=1,2!$&'()*+~._-/%C3%A9", "/a?x=/?:@&y=%20+;=", "*"])
def test_targets_that_are_right(target: str) -> None:
    targets.check(target)


@pytest.mark.parametrize(
    ("query", "pairs", "normal"),
    [
        ("", [], ""),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")], "a=1&b=2&a=3"),
        ("a&b=&=c&", [("a", ""), ("b", ""), ("", "c"), ("", "")], "a&b=&=c&"),
        ("x=a+b%20c&%C3%A9=%2b", [("x", "a b c"), ("\u00e9", "+")], "x=a+b+c&%C3%A9=%2B"),
        ("x=%26%3D%3B/?:@!", [("x", "&=;/?:@!")], "x=%26%3D%3B/?:@!"),
        ("x=%ff", [("x", "\ufffd")], "x=%EF%BF%BD"),
    ],
)
def test_queries(query: str, pairs: list[tuple[str, str]], normal: str) -> None:
    assert targets.pairs(query) == pairs
    assert targets.normal(query) == normal


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("token=abc==", "'=', expected '+', query-char, pct-encoded, '&' or 'EOI' (line 1, column 10)"),
        ("a==", "'=', expected part, '&' or 'EOI' (line 1, column 3)"),
        ("a=1;b=2", "';', expected '+', query-char, pct-encoded, '&' or 'EOI' (line 1, column 4)"),
        ("a;b", "';', expected '+', query-char, pct-encoded, '=', '&' or 'EOI' (line 1, column 2)"),
        (";", "';', expected query or 'EOI' (line 1, column 1)"),
        ("a=1&;", "';', expected keyValuePairs or 'EOI' (line 1, column 5)"),
    ],
)
def test_queries_that_are_not_made_of_pairs(query: str, text: str) -> None:
    with pytest.raises(targets.IllegalQuery) as caught:
        targets.pairs(query)
    assert (caught.value.status, caught.value.text) == (500, f"Illegal query: Invalid input {text}")
