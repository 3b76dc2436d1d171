import pytest

from localwhisk import messages, targets
from localwhisk.errors import ApiError, PlainError


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
        ("token=abc==", [("token", "abc==")], "token=abc%3D%3D"),
        ("a;b=1;c", [("a;b", "1;c")], "a%3Bb=1%3Bc"),
        ("a==&==", [("a", "="), ("", "=")], "a=%3D&=%3D"),
    ],
)
def test_queries(query: str, pairs: list[tuple[str, str]], normal: str) -> None:
    assert targets.pairs(query) == pairs
    assert targets.normal(query) == normal


@pytest.mark.parametrize(
    ("text", "charset", "pairs"),
    [
        ("", "utf-8", []),
        ("a=1&b=two+words&a=3&&c", "utf-8", [("a", "1"), ("b", "two words"), ("a", "3"), ("", ""), ("c", "")]),
        ("token=abc==&a;b=[{x}]^|`", "utf-8", [("token", "abc=="), ("a;b", "[{x}]^|`")]),
        ("a=%E9", "iso8859-1", [("a", "\u00e9")]),
        ("a=%E9", "utf-8", [("a", "\ufffd")]),
    ],
)
def test_forms(text: str, charset: str, pairs: list[tuple[str, str]]) -> None:
    assert targets.form(text, charset) == pairs


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a%b=c", "Invalid input '=', expected HEXDIG (line 1, column 4): a%b=c\n   ^"),
        ("a=1%", "Unexpected end of input, expected HEXDIG (line 1, column 5): a=1%\n    ^"),
        ("a=\u00e9", "Invalid input '\u00e9', expected part, '&' or 'EOI' (line 1, column 3): a=\u00e9\n  ^"),
        ("a=#fff", "Invalid input '#', expected part, '&' or 'EOI' (line 1, column 3): a=#fff\n  ^"),
        ("a=1 2", "Invalid input ' ', expected '+', query-char, pct-encoded, '&' or 'EOI' (line 1, column 4): a=1 2\n   ^"),
        ("a b", "Invalid input ' ', expected '+', query-char, pct-encoded, '=', '&' or 'EOI' (line 1, column 2): a b\n ^"),
        ("a=1\nb", "Invalid input '\\n', expected '+', query-char, pct-encoded, '&' or 'EOI' (line 1, column 4): a=1\n   ^"),
        (" ", "Invalid input ' ', expected query or 'EOI' (line 1, column 1):  \n^"),
        ("a=1& ", "Invalid input ' ', expected keyValuePairs or 'EOI' (line 1, column 5): a=1& \n    ^"),
    ],
)
def test_forms_with_what_is_to_be_encoded(text: str, fault: str) -> None:
    with pytest.raises(ApiError) as caught:
        targets.form(text, "utf-8")
    assert (caught.value.status, caught.value.text) == (400, messages.malformed(f"Illegal query: {fault}"))


def test_a_long_form_is_not_repeated() -> None:
    with pytest.raises(ApiError) as caught:
        targets.form("a" * 100_000 + " ", "utf-8")
    assert len(caught.value.text) < 200
