import pytest
from prometheus_client.parser import text_string_to_metric_families

from feeds.provider.meters import Meters
from feeds.provider.suite_metrics import model_metrics
from hort import feed_options, meanings
from tests.support.paths import ROOT

README = (ROOT / "feeds" / "README.md").read_text(encoding="utf-8")


def provider_metrics() -> list[str]:
    """Every metric of a provider as Prometheus knows it."""
    families = text_string_to_metric_families(Meters().text().decode())
    names = [(family.name.removeprefix("hort_provider_"), family.type) for family in families]
    return [f"{name}_total" if kind == "counter" else name for name, kind in names if not name.endswith("_created")]


@pytest.mark.parametrize("name", provider_metrics())
def test_the_readme_names_every_metric_of_the_provider(name: str) -> None:
    assert f"| `{name}` |" in README, "a new metric wants a line in feeds/README.md"


def test_the_readme_names_every_metric_of_the_suite() -> None:
    rows = {meaning.metric: meaning for meaning in meanings.TABLE if meaning.metric != "feed_trouble"}
    assert [name for name in rows if f"| `{name}` |" not in README] == []
    models = [family.name.removeprefix("hort_") for family in model_metrics({}, open_until={}, now=0)]
    assert [name for name in models if f"| `{name}" not in README] == []


def test_the_readme_shows_the_parameters_as_they_are() -> None:
    assert feed_options.table() in (ROOT / "feeds" / "README.md").read_text(encoding="utf-8")
