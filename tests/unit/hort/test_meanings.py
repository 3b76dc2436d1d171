"""What counters mean: each that is counted anywhere has a row, and each metric has one set of labels."""

import re

import pytest

from hort import meanings
from tests.support.paths import ROOT

_PARTS = "ingest|dead|window|close|alarms|score|breaker|models|divvy|sink|journal|plates"
_NAME = re.compile(rf'f?"((?:{_PARTS})\.[a-z{{][^" ]*)"\s*(?:[:,\]}}]|\])')
SOURCES = [*(ROOT / "actions").rglob("*.py"), *(ROOT / "feeds").rglob("*.py")]


def counted() -> set[str]:
    """Names in the sources that look like counters; those of which the end is filled in are not known here."""
    found = set()
    for path in SOURCES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "log(" not in line and "log_trouble(" not in line and path.name != "meanings.py":
                found |= {re.sub(r"{[^}]*}", "x", name) for name in _NAME.findall(line)}
    return {name for name in found if not name.endswith((".x", ".trouble"))}


def test_every_counter_has_a_meaning() -> None:
    names = counted()
    assert {"window.over-limit", "close.put-off", "sink.unavailable", "journal.vanished", "divvy.busy"} <= names
    assert [name for name in sorted(names) if meanings.read(name).meaning.metric == meanings.OTHER] == []


@pytest.mark.parametrize(
    ("name", "metric", "labels", "trouble"),
    [
        ("dead.ingest.not-json", "dead_letters", {"stage": "ingest", "reason": "not-json"}, True),
        ("dead.sink.illegal_argument_exception", "dead_letters", {"stage": "sink", "reason": "illegal_argument_exception"}, True),
        ("window.late", "left_out", {"reason": "late"}, True),
        ("score.skipped", "steps_skipped", {"step": "score"}, True),
        ("score.failed.redis", "action_failures", {"action": "score", "reason": "redis"}, True),
        ("score.retries.http-5xx", "retries", {"part": "score", "reason": "http-5xx"}, True),
        ("sink.retried.429", "retries", {"part": "sink", "reason": "429"}, True),
        ("sink.all-events", "stored", {"index": "all-events"}, False),
        ("divvy.poll-failed.source", "gbfs_polls_failed", {"reason": "source"}, True),
        ("a.counter.of.tomorrow", "other", {"counter": "a.counter.of.tomorrow"}, False),
    ],
)
def test_a_name_is_read(name: str, metric: str, labels: dict[str, str], trouble: bool) -> None:
    found = meanings.read(name)
    assert (found.meaning.metric, dict(found.labels), found.meaning.trouble) == (metric, labels, trouble)


def test_a_metric_has_one_text_and_one_set_of_labels() -> None:
    texts: dict[str, str] = {}
    labels: dict[str, set[str]] = {}
    for meaning in meanings.TABLE:
        names = {*meaning.placeholders, *meaning.fixed}
        assert labels.setdefault(meaning.metric, names) == names, meaning
        assert texts.setdefault(meaning.metric, meaning.text) == meaning.text, meaning
        assert re.fullmatch(r"[a-z_]+", meaning.metric)
