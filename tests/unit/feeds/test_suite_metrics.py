"""The suite's counters as Prometheus reads them."""

from typing import Any

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from feeds.provider.meters import Meters
from feeds.provider.suite_metrics import MAX_OTHERS, SuiteMetrics, counters, model_metrics
from hort import meanings

NOW = 1_700_000_000_000
HOSTILE = 'a"b\\c\nd'


class Metrics:
    """A collector of given metrics."""

    def __init__(self, found: list[Any]) -> None:
        self._found = found

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> list[Any]:
        return self._found


def samples(found: list[Any]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a Prometheus makes of metrics: its own parser over the text."""
    registry = CollectorRegistry()
    registry.register(Metrics(found))
    text = generate_latest(registry).decode()
    rows = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    made = {(row.name, tuple(sorted(row.labels.items()))): row.value for row in rows}
    assert len(made) == len(rows), "no sample twice"
    return made


def test_counters_become_metrics_with_labels() -> None:
    found = samples(counters({"ingest.records": 7, "dead.ingest.not-json": 2, "window.late": 3, "sink.retried.429": 4}))
    assert found == {
        ("hort_records_total", ()): 7,
        ("hort_dead_letters_total", (("reason", "not-json"), ("stage", "ingest"))): 2,
        ("hort_left_out_total", (("reason", "late"),)): 3,
        ("hort_retries_total", (("part", "sink"), ("reason", "429"))): 4,
    }


def test_every_meaning_makes_a_valid_metric() -> None:
    names = {meaning.pattern.replace("{", "").replace("}", "") for meaning in meanings.TABLE}
    found = samples(counters(dict.fromkeys(names, 1)))
    assert {name for name, _ in found} == {
        f"hort_{meaning.metric}_total" for meaning in meanings.TABLE if meaning.metric != "feed_trouble"
    }


def test_labels_are_escaped() -> None:
    found = samples(counters({f"dead.sink.{HOSTILE}": 1, HOSTILE: 2}))
    assert found["hort_dead_letters_total", (("reason", HOSTILE), ("stage", "sink"))] == 1
    assert found["hort_other_total", (("counter", HOSTILE),)] == 2


def test_what_nobody_knows_is_shown_but_not_without_bound() -> None:
    found = samples(counters({f"new{number}.thing": 1 for number in range(MAX_OTHERS + 50)}))
    assert len(found) == MAX_OTHERS


def test_models_have_numbers_of_their_own() -> None:
    stats = {"m": {"ok": "5", "error": "1", "calls": "6", "latency_ms": "1500", "opened": "1", "last_error": "boom"}}
    found = samples(model_metrics(stats, open_until={"m": NOW + 1}, now=NOW))
    assert found["hort_model_results_total", (("model", "m"), ("status", "ok"))] == 5
    assert found["hort_model_results_total", (("model", "m"), ("status", "timeout"))] == 0
    assert found["hort_model_call_seconds_total", (("model", "m"),)] == 1.5
    assert found["hort_model_breaker_changes_total", (("model", "m"), ("to", "open"))] == 1
    assert found["hort_model_breaker_open", (("model", "m"),)] == 1


class Away:
    """A Redis that does not answer."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_args: Any, **_options: Any) -> Any:
            raise redis.ConnectionError(name)

        return (lambda *_: fail) if name == "register_script" else fail


def test_a_redis_that_is_away_leaves_the_provider_s_own_metrics() -> None:
    meters = Meters()
    meters.add(SuiteMetrics(Away()))  # type: ignore[arg-type] # what fails at each call
    meters.received.labels("/guest/t").inc()
    text = meters.text().decode()
    assert "hort_redis_up 0.0" in text
    assert 'hort_provider_received_total{registration="/guest/t"} 1.0' in text


def test_gauges_of_a_feed_that_ended_are_gone_and_its_counters_stay() -> None:
    meters = Meters()
    for name in ("/guest/a", "/guest/b"):
        meters.lag.labels(name).set(3)
        meters.disabled.labels(name, "AUTO").set(1)
        meters.fires.labels(name, "202").inc()
    meters.ended("/guest/a")
    text = meters.text().decode()
    assert 'lag_seconds{registration="/guest/a"}' not in text
    assert 'hort_provider_disabled{reason="AUTO",registration="/guest/b"} 1.0' in text
    assert 'fires_total{registration="/guest/a",status="202"} 1.0' in text
