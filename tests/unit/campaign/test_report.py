import io
import json
from pathlib import Path
from typing import Any

from campaign.report import SHOWN, Injected, Report, fault_rows, plain_table, versions
from campaign.stream import PLAIN
from campaign.verdict import Verdict
from tests.support.campaign import Perfect, steady

FAULTS = [
    Injected(kind="kill broker", at_s=1.0, lasted_s=2.0, recovered_s=3.0, note="pid 1"),
    Injected(kind="kill broker", at_s=50.0, lasted_s=2.0, recovered_s=5.0),
    Injected(kind="kill broker", at_s=90.0, lasted_s=2.5, recovered_s=13.0),
    Injected(kind="freeze redis", at_s=9.0, lasted_s=4.0),
]


def report(verdict: Verdict, **facts: Any) -> Report:
    return Report(seed=7, seconds=60.0, injected=FAULTS, verdict=verdict, versions={"python": "3.11"}, **facts)


def shown(what: Report) -> str:
    out = io.StringIO()
    what.show(out)
    return out.getvalue()


def test_faults_are_counted_by_kind_with_their_recovery() -> None:
    freeze, kill = fault_rows(FAULTS)
    assert kill == {
        "fault": "kill broker",
        "count": 3,
        "lasted s": 6.5,
        "recovery p50 s": 5.0,
        "recovery max s": 13.0,
        "not recovered": 0,
    }
    assert freeze["recovery p50 s"] is None
    assert freeze["not recovered"] == 1


def test_a_campaign_without_findings_passes() -> None:
    text = shown(report(Perfect.of(steady()).verdict()))
    assert text.rstrip().endswith("PASSED: seed 7, 4 faults, 0 lost, 0 doubled, 0 wrong")
    assert "kill broker" in text
    assert "m1" in text


def test_findings_are_printed_up_to_a_limit_and_all_are_in_the_json(tmp_path: Path) -> None:
    verdict = Verdict()
    for seq in range(SHOWN + 5):
        verdict.add("lost", "record", group=PLAIN, device="p1", seq=seq, ids=("a", "b"), detail="stored never")
    failed = report(verdict)
    text = shown(failed)
    assert "lost record plain/p1/0: stored never [a, b]" in text
    assert f"plain/p1/{SHOWN}:" not in text
    assert "lost: 5 more, see the JSON" in text
    assert "FAILED: seed 7, 4 faults, 25 lost" in text
    failed.write(tmp_path / "report.json")
    value = json.loads((tmp_path / "report.json").read_text())
    assert value["ok"] is False
    assert value["seed"] == 7
    assert value["versions"] == {"python": "3.11"}
    assert len(value["verdict"]["findings"]["lost"]) == SHOWN + 5
    assert len(value["injected"]) == 4


def test_what_was_counted_is_in_the_json(tmp_path: Path) -> None:
    verdict = Perfect.of(steady()).verdict()
    report(verdict).write(tmp_path / "report.json")
    value = json.loads((tmp_path / "report.json").read_text())["verdict"]
    assert value["stored"] == dict(verdict.stored)
    assert value["windows"]["compared"] == verdict.windows["compared"]
    assert value["results"] == {"m1": {"ok": sum(verdict.stored.values())}}


def test_another_problem_fails_the_campaign_too() -> None:
    failed = report(Perfect.of(steady()).verdict(), problems=["the engine ended by itself"])
    assert not failed.ok
    assert "problem: the engine ended by itself" in shown(failed)
    assert shown(failed).rstrip().endswith("0 wrong, 1 problems")


def test_tables_are_aligned() -> None:
    assert plain_table("t", ["a", "bb"], [["x", "1,000"], ["yyy", "2"]]) == (
        "t\n  a       bb\n  ---  -----\n  x    1,000\n  yyy      2\n\n"
    )


def test_versions_name_what_ran() -> None:
    assert {"python", "numpy", "elasticsearch", "paho-mqtt"} <= versions().keys()
