"""What went wrong is found, mended, sent through once more and stored once; `trace` shows the way, both ways."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.acceptance.conftest import NO_SHARD_S, Device
from tests.support.paths import SCRIPTS
from tests.support.polling import wait_until
from workloads.machine import Machine

Stored = Callable[[str, str], list[dict[str, Any]]]
NO_SHARD = "Elasticsearch answered 503"
CHANGES = {("dead-letters", "replay"), ("dead-letters", "drop")}
SEQUENCE = {"hort/ingest", "hort/window", "hort/score", "hort/sink"}
TOO_DEEP = {"bikes": 3, "where": {"dock": 7}}


class Commands:
    """The scripts over the suite; a refused command raises with what it said.

    The first documents make the indices, and one that is just being made may have no shard to ask for a while: a command that only looks
    looks again.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def __call__(self, script: str, *arguments: str, status: int = 0) -> Any:
        argv = [str(SCRIPTS / script), *arguments, "--json"]
        looks, until = (script, *arguments)[:2] not in CHANGES, time.monotonic() + NO_SHARD_S
        while True:
            done = subprocess.run(argv, env=self._machine.env, check=False, capture_output=True, text=True)
            if not looks or NO_SHARD not in done.stderr or time.monotonic() > until:
                break
            time.sleep(0.5)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    def letters(self, device: Device, *filters: str) -> list[dict[str, Any]]:
        """Of a device."""
        rows: list[dict[str, Any]] = self("dead-letters", "list", "--topic", f"*{device.device_type}*", *filters)
        return rows

    def stored(self, letter: dict[str, Any]) -> None:
        """Waits for the end of a letter's batch: a search finds the letter before that, and nothing is replayed before it."""
        wait_until(
            lambda: self("trace", letter["id"])[0]["batch"]["state"].startswith("stored"),
            interval_s=0.5,
            what="the end of the letter's batch",
        )


@pytest.fixture
def run(machine: Machine) -> Commands:
    return Commands(machine)


@contextmanager
def parameter(machine: Machine, action: str, **values: Any) -> Iterator[None]:
    """The action with other parameters, for a while."""
    old = machine.whisk._call("GET", f"actions/hort/{action}?code=false")["parameters"]
    kept = [item for item in old if item["key"] not in values]
    new = [*kept, *({"key": name, "value": value} for name, value in values.items())]
    machine.whisk._call("PUT", f"actions/hort/{action}?overwrite=true", {"parameters": new})
    try:
        yield
    finally:
        machine.whisk._call("PUT", f"actions/hort/{action}?overwrite=true", {"parameters": old})


def test_a_message_is_replayed_once_and_traced_both_ways(
    machine: Machine, device: Device, stored: Stored, run: Commands
) -> None:
    with parameter(machine, "ingest", max_depth=1):
        device.publish(TOO_DEEP)
        device.publish({"bikes": 1})
        device.published()
        (letter,) = wait_until(lambda: run.letters(device), timeout_s=180, interval_s=0.5, what="the dead letter")
    assert letter["stage"] == "ingest"
    shown = run("dead-letters", "show", letter["id"])
    assert json.loads(shown["payload"]) == TOO_DEEP
    assert {"stage": "ingest", "reason": letter["reason"], "count": 1} in run(
        "dead-letters", "list", "--count", "--device-type", device.device_type
    )

    def sequence() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = run("trace", letter["id"])
        return found if {row["name"] for row in found[0]["activations"]} >= SEQUENCE else []

    (before,) = wait_until(sequence, interval_s=0.5, what="the records of the whole sequence")
    assert before["message"]["topic"] == letter["topic"]
    assert before["batch"]["id"] == letter["batch_id"]
    assert [row["name"] for row in before["activations"]][:2] == ["device-events", "hort/stream"]

    run.stored(letter)
    assert "--yes" in run("dead-letters", "replay", "--topic", letter["topic"], status=2)
    assert run("dead-letters", "replay", letter["id"])["replayed"] == [letter["id"]]

    rows = wait_until(lambda: _two(stored("all-events", device.device_type)), timeout_s=180, what="the record")
    record = next(row for row in rows if row["data"] == {"bikes": 3, "where.dock": 7})
    assert record["_id"] == letter["message_id"]
    assert record["received_at"] == letter["received_at"]
    assert run("dead-letters", "replay", letter["id"])["gone"] == [letter["id"]]
    assert len(stored("all-events", device.device_type)) == 2
    wait_until(lambda: not run.letters(device), interval_s=0.5, what="a search without the letter")

    wait_until(lambda: len(run("trace", record["_id"])[0]["activations"]) >= 2 + len(SEQUENCE), interval_s=0.5, what="the replay's records")
    (trace,) = run("trace", record["_id"])
    assert trace["message"]["replayed_in"] == trace["batch"]["id"] == record["batch_id"]
    assert trace["batch"]["state"].startswith("stored")
    by_name = {row["name"]: row["activation"] for row in trace["activations"]}
    for name in ("device-events", "hort/score"):
        (back,) = run("trace", by_name[name])
        assert back["batch"]["id"] == record["batch_id"]
        assert [row["_id"] for row in back["documents"]["all-events"]] == [record["_id"]]

    def windows() -> list[dict[str, Any]]:
        rows = run("trace", record["_id"])[0]["documents"].get("analytics", [])
        levels = {row["level"]: row for row in rows if row["count"] == 2}
        return [levels["device"], levels["device_type"]] if len(levels) == 2 else []

    found = wait_until(windows, timeout_s=120, interval_s=1, what="windows with the record and its neighbour")
    closed = wait_until(lambda: _closed(run("trace", found[0]["_id"])), interval_s=0.5, what="the record of its close")
    assert {row["_id"] for row in closed["documents"]["all-events"]} == {row["_id"] for row in rows}
    (newest,) = run("trace", "--topic", record["topic"])
    assert newest["id"] in {row["_id"] for row in rows}


def _closed(traces: list[dict[str, Any]]) -> dict[str, Any]:
    (window,) = traces
    return window if "hort/close" in {row["name"] for row in window["activations"]} else {}


def _two(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows if len(rows) == 2 else []


def test_a_model_that_failed_is_asked_again(machine: Machine, device: Device, stored: Stored, run: Commands) -> None:
    url = machine.whisk.web("echo-model")
    machine.whisk.warm("echo-model")
    # An action that shares a busy machine with everything else may need longer for its answer than a model is given by default.
    patience = {"retries": 0, "timeout_ms": 30_000}
    description = {"url": f"{url}-that-is-not-there", "device_types": [device.device_type], "on_error": "dead-letter", **patience}
    machine.whisk.put_model(device.device_type, description)
    try:
        machine.whisk.invoke("hort/poll-models")
        device.publish({"bikes": 4})
        device.published()
        (letter,) = wait_until(lambda: run.letters(device, "--stage", "score"), timeout_s=180, interval_s=0.5, what="the dead letter")
        run.stored(letter)
        machine.whisk.put_model(device.device_type, {**description, "url": url})
        machine.whisk.invoke("hort/poll-models")

        outcome = run("dead-letters", "replay", "--stage", "score", "--topic", letter["topic"], "--yes")

        assert outcome["replayed"] == [letter["id"]]
    finally:
        machine.whisk.delete_model(device.device_type)
        machine.whisk.invoke("hort/poll-models")
    (result,) = stored("model-results", device.device_type)
    assert (result["status"], result["record_id"]) == ("ok", letter["message_id"].partition("/")[0])
    (record,) = stored("all-events", device.device_type)
    assert record["batch_id"] == letter["batch_id"] != result["batch_id"]
    (trace,) = run("trace", result["_id"])
    assert trace["batch"]["replay"] is True
    assert trace["message"]["batch_id"] == record["batch_id"]


def test_a_document_that_elasticsearch_refused_is_stored_when_it_can_be(
    device: Device, search: Elasticsearch, stored: Stored, run: Commands
) -> None:
    field = f"f{device.device_type[:7]}"

    def map_as_date(**options: Any) -> None:
        data = {"type": "object", "subobjects": False, "properties": {field: {"type": "date", **options}}}
        search.indices.put_mapping(index="all-events", properties={"data": data})

    device.publish({"bikes": 1})
    device.published()
    wait_until(lambda: stored("all-events", device.device_type), timeout_s=180, what="the index")
    map_as_date()
    device.publish({field: "no date"})
    device.published()
    (letter,) = wait_until(lambda: run.letters(device, "--stage", "sink"), timeout_s=180, interval_s=0.5, what="the dead letter")
    run.stored(letter)
    assert letter["reason"] == "document_parsing_exception"
    assert list(run("dead-letters", "replay", letter["id"], status=1)["again"]) == [letter["id"]]

    map_as_date(ignore_malformed=True)
    assert run("dead-letters", "replay", letter["id"])["replayed"] == [letter["id"]]

    assert letter["message_id"] in {f"all-events/{row['_id']}" for row in stored("all-events", device.device_type)}
    wait_until(lambda: not run.letters(device), what="a search without it")


def test_dropped_is_dropped(device: Device, run: Commands) -> None:
    device.publish(b"nope")
    device.publish(b"neither")
    device.published()
    rows = wait_until(lambda: _two(run.letters(device)), timeout_s=180, interval_s=0.5, what="two dead letters")

    assert run("dead-letters", "drop", rows[0]["id"]) == {"dropped": [rows[0]["id"]], "gone": []}
    assert "--yes" in run("dead-letters", "drop", "--topic", f"*{device.device_type}*", status=2)
    wait_until(lambda: len(run.letters(device)) == 1, what="a search without the first")
    assert run("dead-letters", "drop", "--topic", f"*{device.device_type}*", "--yes")["dropped"] == [rows[1]["id"]]

    assert run("trace", "no-such-id", status=1) == []
