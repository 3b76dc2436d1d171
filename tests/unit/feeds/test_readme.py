from hort import feed_options
from tests.support.paths import ROOT


def test_the_readme_shows_the_parameters_as_they_are() -> None:
    assert feed_options.table() in (ROOT / "feeds" / "README.md").read_text(encoding="utf-8")
