"""Texts for the holders of a secret alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hort import seal


@given(st.text(), st.text(min_size=1))
def test_who_has_the_secret_opens_what_was_sealed(content: str, secret: str) -> None:
    sealed = seal.text(content, secret)
    assert seal.opened(sealed, secret) == content
    assert seal.opened(sealed, secret + "x") is None
    assert len(content) < 4 or content not in sealed


def test_the_same_text_never_looks_the_same() -> None:
    assert seal.text("http://a/?k=1", "s") != seal.text("http://a/?k=1", "s")


@pytest.mark.parametrize("change", [lambda text: text[1:], lambda text: "0" + text, lambda text: text.replace(".", ""), lambda _: "", lambda _: "a.b.ü"])
def test_what_was_changed_is_not_opened(change: object) -> None:
    assert callable(change)
    assert seal.opened(change(seal.text("content", "secret")), "secret") is None
