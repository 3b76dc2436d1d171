"""Under stock limits, 60 fires and 60 invocations a minute, the suite carries 100 records a second to a model outside OpenWhisk."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import requests
from elasticsearch import Elasticsearch

from demonstrate.facts import INVOKED, TRIGGERS
from tests.acceptance.conftest import patiently, under_way
from tests.support.polling import wait_until
from workloads.machine import Machine, model, services, suite

RECORDS_PER_S = 100
LIMIT = 60
MINUTE_MS = 60_000
TICKS = {"window-tick": 4, "model-poll": 2, "divvy-poll": 6}
STREAMED = 20
STORED_S = 600


@pytest.fixture
def stock() -> Iterator[Machine]:
    """The suite under stock limits, with the manifest's own settings and a model outside."""
    with services() as machine, suite(machine, limits=("--limits", "stock")), model(machine):
        machine.whisk.set_rule("poll-to-divvy", active=True)
        yield machine


@pytest.mark.slow(150)
@pytest.mark.timeout(1800)
def test_a_whole_minute_stays_below_the_stock_limits(stock: Machine) -> None:
    counts = _whole_minute(stock)
    if any(counts[name] < least for name, least in {**TICKS, "hort/stream": STREAMED}.items()):
        counts = _whole_minute(stock)  # what came late on a busy machine lies in the next minute; twice is no accident
    assert {name: counts[name] for name in TICKS} == TICKS
    assert counts["hort/stream"] >= STREAMED
    metrics = requests.get(f"{stock.provider_url}/metrics", timeout=60).text
    assert 'status="429"' not in metrics


def _whole_minute(stock: Machine) -> Counter[str]:
    """Fires and invocations in the next minute that is whole, with records all along that are all stored; never more than there may be."""
    before = _stored(stock)
    begin = (int(time.time() * 1000) // MINUTE_MS + 1) * MINUTE_MS
    seconds = (begin + MINUTE_MS) / 1000 - time.time() + 2
    command = [sys.executable, "-m", "workloads.publisher", "--url", stock.mqtt_url]
    command += ["--rate", str(RECORDS_PER_S), "--seconds", f"{seconds:.0f}"]
    sent = json.loads(subprocess.run(command, check=True, env=stock.env, stdout=subprocess.PIPE).stdout)["sent"]
    wait_until(lambda: _stored(stock) == before + sent and not under_way(stock), timeout_s=STORED_S, interval_s=1, what=f"{sent} records")

    counts = Counter({name: stock.whisk.count(name, since=begin, upto=begin + MINUTE_MS - 1) for name in (*TRIGGERS, *INVOKED)})
    fires = sum(counts[name] for name in TRIGGERS)
    invocations = sum(counts[name] for name in INVOKED)

    assert all(counts[name] <= most for name, most in TICKS.items()), counts
    assert fires <= LIMIT, counts
    assert invocations <= LIMIT, counts
    return counts


def _stored(stock: Machine) -> int:
    with Elasticsearch(stock.elasticsearch_url, request_timeout=60) as search:
        search.indices.refresh(index="all-events", ignore_unavailable=True)
        query = {"term": {"device_type": "bench"}}
        return int(patiently(lambda: search.count(index="all-events", query=query, ignore_unavailable=True))["count"])
