"""Counters of feeds that are gone are bounded, and none goes backwards."""

from prometheus_client.parser import text_string_to_metric_families

from feeds.provider.meters import GONE, GONE_KEPT, Meters


def received(meters: Meters) -> dict[str, float]:
    families = {family.name: family for family in text_string_to_metric_families(meters.text().decode())}
    samples = families["hort_provider_received"].samples
    return {sample.labels["registration"]: sample.value for sample in samples if sample.name.endswith("_total")}


def test_counters_of_removed_feeds_are_added_up_and_those_of_others_stay() -> None:
    meters = Meters()
    for number in range(GONE_KEPT + 3):
        meters.received.labels(f"t{number}").inc(10)
        meters.lost.labels(f"t{number}", "broken").inc()
        meters.ended(f"t{number}")
    meters.received.labels("serving").inc()
    meters.forget({"t0", "serving"})
    found = received(meters)
    assert {name: found.get(name) for name in ("t0", "t1", "t2", "t3", "serving", GONE)} == {
        "t0": 10,
        "t1": None,
        "t2": None,
        "t3": 10,
        "serving": 1,
        GONE: 20,
    }
    assert sum(found.values()) == 10 * (GONE_KEPT + 3) + 1
    assert f'hort_provider_mqtt_lost_total{{reason="broken",registration="{GONE}"}} 2.0' in meters.text().decode()
    meters.forget(set())
    assert received(meters)[GONE] == 30
