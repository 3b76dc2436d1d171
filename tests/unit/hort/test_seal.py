"""Texts for the holders of a secret alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hort import seal


@settings(max_examples=10, deadline=None)  # each secret is stretched
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


def test_a_guess_at_the_secret_is_dear() -> None:
    """Who has an activation record of the registry tries words at a bare hash by the million a second."""
    seal._stretched.cache_clear()
    sealed = seal.text("http://a/?k=1", "s3cret")
    assert seal._stretched.cache_info().misses == 1
    assert all(seal.opened(sealed, guess) is None for guess in ("secret", "hort"))
    assert seal._stretched.cache_info().misses == 3, "each guess is stretched, too"
    assert seal.opened(seal.text("again", "s3cret"), "s3cret") == "again"
    assert seal._stretched.cache_info().misses == 3, "who has the secret pays once"
