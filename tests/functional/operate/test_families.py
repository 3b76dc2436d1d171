"""Families of activations over records as OpenWhisk writes them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from operate.activations import Activation
from operate.families import Families

BATCH = "0123456789abcdef-0-018bcfe5680000000001"
MADE = int("018bcfe56800", 16)
JOURNAL = "hort:{0}:journal:0123456789abcdef"
ACTIONS = ("ingest", "window", "score", "sink")


def ident(number: int) -> str:
    return f"{number:032x}"


class Records:
    """What `get` and `between` of a Whisk answer; notes each list that was asked for."""

    def __init__(self) -> None:
        self.rows: dict[str, Activation] = {}
        self.asked: list[tuple[str, int, int]] = []

    def add(self, number: int, name: str, *, start: int = MADE + 300, kind: str = "python:3.11", **more: Any) -> None:
        notes = [] if kind == "trigger" else [{"key": "path", "value": f"guest/{name}"}, {"key": "kind", "value": kind}]
        response = {"result": more.pop("result", {}), "success": True, "status": more.pop("status", "success")}
        value = {"activationId": ident(number), "name": name.rpartition("/")[2], "start": start, "annotations": notes}
        self.rows[ident(number)] = Activation.of({**value, "response": response, **more})

    def get(self, activation_id: str) -> Activation | None:
        return self.rows.get(activation_id)

    def between(self, name: str, since: int, upto: int) -> Iterator[Activation]:
        self.asked.append((name, since, upto))
        return (row for row in self.rows.values() if row.name == name and since <= row.start <= upto)


def line(rule: str, number: int | None, error: str = "") -> str:
    row = {"rule": rule, "success": not error, **({"error": error} if error else {"activationId": ident(number or 0)})}
    return f"2026-01-31T12:00:00.000000000Z stdout: {json.dumps(row)}"


@pytest.fixture
def records() -> Records:
    records = Records()
    payload = {"batch_id": BATCH, "journal": JOURNAL}
    logs = [line("guest/events-to-stream", 2), line("guest/other", None, "Rule 'guest/other' is inactive")]
    records.add(1, "device-events", kind="trigger", result=payload, logs=logs)
    records.add(2, "hort/stream", kind="sequence", result=payload, logs=[ident(3 + number) for number in range(4)])
    for number, name in enumerate(ACTIONS):
        records.add(3 + number, f"hort/{name}", result=payload, cause=ident(2), logs=[f"stdout: {name} says"])
    records.add(9, "device-events", kind="trigger", result={"batch_id": "another"}, logs=[])
    return records


def families(records: Records) -> Families:
    return Families(records, {"0123456789abcdef": "device-events"}, now=lambda: MADE + 60_000)


def names(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["name"], row["depth"]) for row in rows]


def test_a_fire_leads_to_its_actions_and_their_logs(records: Records) -> None:
    (head,) = families(records).heads(BATCH, MADE, "")
    rows, missing = families(records).of(head, known=set())

    inner = [(f"hort/{name}", 2) for name in ACTIONS]
    assert names(rows) == [("device-events", 0), ("hort/stream", 1), *inner]
    assert [row["logs"] for row in rows[2:]] == [[f"stdout: {name} says"] for name in ACTIONS]
    assert rows[0]["rules"][1]["error"] == "Rule 'guest/other' is inactive"
    assert missing == []


def test_each_fire_of_a_batch_is_found(records: Records) -> None:
    records.add(20, "device-events", kind="trigger", start=MADE + 30_000, result={"batch_id": BATCH}, logs=[])

    assert [head.id for head in families(records).heads(BATCH, MADE, ident(20))] == [ident(1), ident(20)]


def test_without_the_fire_the_first_action_leads_to_its_sequence(records: Records) -> None:
    """The messages came with the fire, or its record is gone."""
    del records.rows[ident(1)]

    (head,) = families(records).heads(BATCH, MADE, "")

    assert head.name == "hort/stream"


def test_what_is_gone_is_said(records: Records) -> None:
    del records.rows[ident(5)]
    (head,) = families(records).heads(BATCH, MADE, "")
    rows, missing = families(records).of(head, known=set())

    assert "hort/score" not in [row["name"] for row in rows]
    assert len(missing) == 1
    assert ident(5) in missing[0]


def test_an_action_that_failed_names_its_batch_by_its_family(records: Records) -> None:
    records.add(5, "hort/score", status="application error", result={"error": "no"}, cause=ident(2))
    failed = records.rows[ident(5)]

    assert failed.batch_id == ""
    assert families(records).batch_around(failed) == BATCH
    rows, _ = families(records).of(failed, known=set())
    assert [row["error"] for row in rows if row["name"] == "hort/score"] == ["no"]


def test_the_look_for_a_batch_is_bounded_by_now(records: Records) -> None:
    assert families(records).heads("0123456789abcdef-0-018bcfe5680000000002", MADE, "") == []
    assert max(upto for _, _, upto in records.asked) <= MADE + 600_000
