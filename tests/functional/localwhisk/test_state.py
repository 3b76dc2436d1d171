"""What a new engine finds in the folder of an old one, and what the folder is kept to."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localwhisk.activations import Activation, new_id
from localwhisk.errors import NotKept
from localwhisk.messages import RUN_LOST
from localwhisk.retention import Pruner, Retention
from localwhisk.store import Statement
from tests.support.localwhisk_app import LocalWhisk


def test_entities_and_records_are_there_again(new_local: Callable[..., LocalWhisk]) -> None:
    first = new_local()
    first.call("PUT", "packages/p", {"parameters": [{"key": "k", "value": {"a": [1]}}], "publish": True})
    first.call("PUT", "packages/b", {"binding": {"namespace": "_", "name": "p"}})
    first.put_action("p/a", annotations=[{"key": "final", "value": False}])
    first.call("PUT", "actions/s", {"exec": {"kind": "sequence", "components": ["/_/p/a"]}})
    first.call("PUT", "triggers/t", {"parameters": [{"key": "x", "value": None}]})
    first.put_rule("r", "t", "p/a")
    first.call("POST", "rules/r", {"status": "inactive"})
    record = first.call("POST", "actions/b/a?blocking=true", {"z": 1}).json
    paths = [
        "packages/p",
        "packages/b",
        "actions/p/a",
        "actions/s",
        "triggers/t",
        "rules/r",
        f"activations/{record['activationId']}",
        "packages",
        "actions",
    ]
    before = [first.call("GET", path).json for path in paths]
    first.close()
    second = new_local()
    assert [second.call("GET", path).json for path in paths] == before
    assert second.result("p/a") == {"k": {"a": [1]}}


def test_what_is_deleted_stays_deleted(new_local: Callable[..., LocalWhisk]) -> None:
    first = new_local()
    first.put_action("a")
    first.call("DELETE", "actions/a")
    first.close()
    assert new_local().call("GET", "actions").json == []


def test_activations_of_an_engine_that_died_end_as_errors(new_local: Callable[..., LocalWhisk]) -> None:
    first = new_local()

    async def forever(_: Any) -> Any:
        await asyncio.Event().wait()

    first.runtimes.behaviours["forever"] = forever
    first.put_action("a", "forever")
    activation = first.call("POST", "actions/a", {}).json["activationId"]
    second = new_local()
    record = second.record(activation)
    assert record["response"] == {
        "result": {"error": RUN_LOST},
        "status": "whisk internal error",
        "success": False,
    }
    assert record["end"] >= record["start"]
    assert second.engine.activations.left_running() == []
    for task in asyncio.all_tasks(first.loop):
        task.cancel()


def test_a_revision_of_another_run_is_never_taken_for_an_old_one(
    new_local: Callable[..., LocalWhisk],
) -> None:
    first = new_local()
    first.put_action("a")
    first.close()
    second = new_local()
    second.result("a")
    second.put_action("b")
    second.result("b")
    revisions = [spec.revision for spec, *_ in second.runtimes.runs]
    assert len(set(revisions)) == 2


def fill(local: LocalWhisk, count: int, *, start: int = 1_000, result: Any = None) -> None:
    for number in range(count):
        record = Activation(
            id=new_id(),
            namespace="guest",
            subject="guest",
            name="a",
            version="0.0.1",
            start=start + number,
            status="success",
            result=result,
        )
        local.engine.store.submit(*record.statements())
    local.run(local.engine.store.write())


def left(local: LocalWhisk) -> int:
    row = local.engine.store.row("SELECT count(*) FROM activations")
    return 0 if row is None else int(row[0])


def prune(local: LocalWhisk, retention: Retention, now: int = 2_000) -> None:
    pruner = Pruner(local.engine.store, retention, clock=lambda: now)

    async def all_of_it() -> None:
        while await pruner.prune_once():
            pass

    local.run(all_of_it())


@pytest.mark.parametrize("count", [0, 5, 10])
def test_retention_by_number(local: LocalWhisk, count: int) -> None:
    fill(local, count)
    prune(local, Retention(count=5))
    assert left(local) == min(count, 5)


def test_retention_by_age_keeps_the_younger(local: LocalWhisk) -> None:
    fill(local, 5, start=1_000)
    fill(local, 5, start=5_000)
    prune(local, Retention(age_ms=1_000), now=5_500)
    assert left(local) == 5


def test_retention_by_bytes(local: LocalWhisk) -> None:
    fill(local, 20, result={"x": "y" * 1_000})
    prune(local, Retention(size=5_500))
    assert 4 <= left(local) <= 5


def test_retention_works_through_more_than_a_chunk(local: LocalWhisk) -> None:
    fill(local, 4_500)
    prune(local, Retention(count=100))
    assert left(local) == 100


def test_a_write_that_fails_is_told_and_leaves_nothing_of_its_batch(local: LocalWhisk) -> None:
    good = Statement("INSERT INTO documents VALUES (?, ?, ?)", ("c", "k", b"{}"))
    with pytest.raises(Exception, match="no such table"):
        local.run(local.engine.store.write(good, Statement("INSERT INTO missing VALUES (1)")))
    assert local.engine.store.row("SELECT * FROM documents") is None


def test_a_write_that_fails_does_not_take_its_neighbours_with_it(local: LocalWhisk) -> None:
    store = local.engine.store

    async def together() -> list[Any]:
        good = [
            store.write(Statement("INSERT INTO documents VALUES ('c', ?, '')", (str(n),))) for n in range(3)
        ]
        bad = store.write(Statement("INSERT INTO missing VALUES (1)"))
        return await asyncio.gather(*good[:2], bad, good[2], return_exceptions=True)

    results = local.run(together())
    assert [isinstance(result, Exception) for result in results] == [False, False, True, False]
    assert len(store.rows("SELECT key FROM documents")) == 3


def test_a_folder_of_another_schema_is_refused(new_local: Callable[..., LocalWhisk]) -> None:
    first = new_local()
    first.run(first.engine.store.write(Statement("PRAGMA user_version")))
    first.engine.store.rows("PRAGMA user_version = 99")
    first.close()
    with pytest.raises(ValueError, match="schema version 99"):
        new_local()


def test_code_that_an_earlier_engine_kept_in_one_piece_is_taken_over(
    new_local: Callable[..., LocalWhisk], tmp_path: Path
) -> None:
    first = new_local()
    first.put_action("old")
    first.close()
    with sqlite3.connect(tmp_path / "state" / "localwhisk.sqlite") as database:
        database.executescript(
            "CREATE TABLE code (doc TEXT PRIMARY KEY, code TEXT NOT NULL);"
            "INSERT INTO code SELECT doc, text FROM code_pieces; DELETE FROM code_pieces;"
        )
    assert new_local().call("GET", "actions/old").json["exec"]["code"] == "give-back"


def limit_pages(local: LocalWhisk, pages: int) -> None:
    """Let the database have no more pages than it has, or as many."""
    local.run(local.engine.store.write(Statement(f"PRAGMA max_page_count = {pages}")))


def test_a_full_disk_is_said_and_nothing_is_there_that_was_not_kept(new_local: Callable[..., LocalWhisk]) -> None:
    local = new_local()
    local.put_action("old")
    local.call("PUT", "triggers/t", {})
    local.put_rule("r", "t", "old")
    before = local.call("GET", "actions/old").json
    limit_pages(local, 1)
    large = "x" * 100_000
    for method, path, body in (
        ("PUT", "actions/new", {"exec": {"kind": "python:3.11", "code": large}}),
        ("PUT", "actions/old?overwrite=true", {"parameters": [{"key": "k", "value": large}]}),
        ("PUT", "packages/new", {"parameters": [{"key": "k", "value": large}]}),
        ("POST", "actions/old?blocking=true", {"x": large}),
        ("POST", "triggers/t", {"x": large}),
    ):
        reply = local.call(method, path, body)
        assert reply.status == 507, (method, path)
        assert reply.error.endswith("nothing was kept: database or disk is full")
    assert [one["name"] for one in local.call("GET", "actions").json] == ["old"]
    assert local.call("GET", "actions/old").json == before
    assert local.call("GET", "packages").json == []
    limit_pages(local, 1_000_000)
    assert local.call("PUT", "packages/new", {}).status == 200
    assert local.result("old", {"x": large}) == {"x": large}
    assert local.engine.throttle.in_flight("guest") == 0


def test_what_could_not_be_deleted_stays(new_local: Callable[..., LocalWhisk], monkeypatch: pytest.MonkeyPatch) -> None:
    local = new_local()
    local.put_action("old")

    async def refuse(*_: Statement, synced: bool = False) -> None:
        raise NotKept("disk I/O error", full=False)

    with monkeypatch.context() as patch:
        patch.setattr(local.engine.store, "write", refuse)
        assert local.call("DELETE", "actions/old").status == 500
        assert local.call("POST", "actions/old", {}).status == 500, "an activation that a crash could lose"
    assert local.call("GET", "actions/old").status == 200
    assert local.call("DELETE", "actions/old").status == 200
