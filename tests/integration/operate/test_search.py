"""What operators' commands ask of Elasticsearch, on the one that the suite itself starts: a bare one without x-pack's searches."""

import json
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from hort import documents, indices
from hort.elastic import ElasticStore
from operate import dead_letters, search, trace
from operate.search import Search

NOON = 1_769_860_800_000
REASONS = ["not-json", "not-json", "too-deep"]


@pytest.fixture
def found(elasticsearch_client: Elasticsearch) -> Search:
    """Three dead letters and a record."""
    store = ElasticStore(elasticsearch_client)
    indices.ensure(store)
    letters = b"".join(
        documents.dead_letter(
            f"b-0-1.{number}", stage="ingest", reason=reason, detail="", topic="t", batch_id="b-0-1", payload=b"?", at_ms=NOON + number
        )
        for number, reason in enumerate(REASONS)
    )
    record: dict[str, Any] = {"record_id": "b-0-1.9", "batch_id": "b-0-1", "device_type": "pump", "device_id": "1", "event": "e", "topic": "t"}
    record |= {"@timestamp": "2026-01-31T12:00:00.000Z", "data": {}}
    assert store.bulk(documents.DEAD_LETTERS, letters) == []
    assert store.bulk(documents.ALL_EVENTS, documents.bulk_line("b-0-1.9", record)) == []
    elasticsearch_client.indices.refresh()
    return Search(store, prefix="")


def test_combinations_are_counted_most_first_page_by_page(found: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE", 1)

    counted = found.groups(documents.DEAD_LETTERS, {"match_all": {}}, ("stage", "reason"))

    assert counted == [(("ingest", "not-json"), 2), (("ingest", "too-deep"), 1)]
    assert found.groups(documents.DEAD_LETTERS, {"term": {"reason": "none"}}, ("stage",)) == []
    assert found.groups(documents.ALARMS, {"match_all": {}}, ("alarm",)) == []


COMMANDS: dict[str, tuple[Any, list[str]]] = {
    "counts": (dead_letters, ["list", "--count"]),
    "list": (dead_letters, ["list", "--stage", "ingest", "--since", "2000-01-01"]),
    "list by type": (dead_letters, ["list", "--count", "--device-type", "*"]),
    "show": (dead_letters, ["show", "b-0-1.0-ingest"]),
    "trace of a record": (trace, ["b-0-1.9"]),
    "trace of a dead letter": (trace, ["b-0-1.0-ingest"]),
    "trace of a batch": (trace, ["b-0-1"]),
    "trace of a topic": (trace, ["--topic", "t"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_work_on_a_bare_elasticsearch(
    found: Search, name: str, redis_url: str, elasticsearch_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del found
    monkeypatch.setenv("HORT_REDIS_URL", redis_url)
    monkeypatch.setenv("HORT_ELASTICSEARCH_URL", elasticsearch_url)
    program, options = COMMANDS[name]
    monkeypatch.setattr("sys.argv", ["command", *options, "--json"])

    assert program.main() == 0, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)
