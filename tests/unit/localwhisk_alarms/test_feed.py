import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from localwhisk.alarms import texts
from localwhisk.alarms.errors import AlarmError
from localwhisk.alarms.feed import Feed
from localwhisk.alarms.schedule import Registration
from localwhisk.alarms.store import MemoryStore

NOW = 1_767_225_600_000
SECRET = "uuid:very-secret"


class Desk:
    """A feed over memory, with what it told its listener."""

    def __init__(self, *, status: int = 200) -> None:
        self.store = MemoryStore()
        self.touched: list[str] = []
        self.status = status
        self.feed = Feed(self.store, changed=self._changed, authorize=self._authorize, now_ms=lambda: NOW)

    async def _changed(self, key: str) -> None:
        self.touched.append(key)

    async def _authorize(self, registration: Registration) -> int:
        return self.status

    def call(
        self, event: str, kind: str = "alarm", trigger: str = "/guest/t", **params: Any
    ) -> dict[str, Any]:
        given = {"lifecycleEvent": event, "triggerName": trigger, "authKey": SECRET, **params}
        return asyncio.run(self.feed.handle(kind, given, namespace="guest"))

    def refusal(self, *arguments: Any, **params: Any) -> tuple[int, str]:
        with pytest.raises(AlarmError) as error:
            self.call(*arguments, **params)
        return error.value.status, error.value.message


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_create_and_read_have_the_real_shape_without_the_key(desk: Desk) -> None:
    assert desk.call("CREATE", cron="*/30 * * * * *", trigger_payload={"a": 1}) == {"status": "success"}
    answer = desk.call("READ")
    assert answer == {
        "config": {
            "name": "t",
            "namespace": "guest",
            "payload": {"a": 1},
            "strict": False,
            "cron": "*/30 * * * * *",
        },
        "status": {"active": True, "dateChanged": NOW, "dateChangedISO": "2026-01-01T00:00:00Z"},
    }
    assert SECRET not in str(answer)


def test_read_of_the_other_kinds(desk: Desk) -> None:
    desk.call("CREATE", "interval", minutes=5)
    assert desk.call("READ")["config"]["minutes"] == 5
    desk.call("CREATE", "once", date=NOW + 5, deleteAfterFire="rules")
    config = desk.call("READ", "once")["config"]
    assert (config["date"], config["deleteAfterFire"]) == (NOW + 5, "rules")


@pytest.mark.parametrize("trigger", ["/_/t", "/guest/t", "t", "/other/t"])
def test_the_namespace_is_always_the_callers(desk: Desk, trigger: str) -> None:
    desk.call("CREATE", trigger=trigger, cron="* * * * *")
    assert desk.touched == ["guest/t"]


def test_create_replaces_and_delete_is_idempotent(desk: Desk) -> None:
    desk.call("CREATE", cron="* * * * *")
    desk.call("CREATE", "interval", minutes=1)
    assert "cron" not in desk.call("READ")["config"]
    assert desk.call("DELETE") == {"status": "success"}
    assert desk.call("DELETE") == {"status": "success"}
    assert desk.touched == ["guest/t"] * 3


def test_what_is_not_there(desk: Desk) -> None:
    unknown = (404, "could not find trigger /guest/t in the database")
    for event in ("READ", "UPDATE", "PAUSE", "UNPAUSE"):
        assert desk.refusal(event) == unknown


def test_update_changes_and_switches_on_again(desk: Desk) -> None:
    desk.call("CREATE", cron="* * * * *")
    assert desk.refusal("UPDATE") == (400, texts.NOTHING_TO_UPDATE)
    desk.call("PAUSE")
    assert desk.call("READ")["status"]["reason"] == {"kind": "USER", "message": texts.PAUSED}
    desk.call("UPDATE", cron="*/2 * * * *")
    answer = desk.call("READ")
    assert answer["config"]["cron"] == "*/2 * * * *"
    assert answer["status"]["active"] is True


def test_pause_and_unpause(desk: Desk) -> None:
    desk.call("CREATE", cron="* * * * *")
    desk.call("PAUSE")
    desk.call("UNPAUSE")
    assert "reason" not in desk.call("READ")["status"]


def test_what_an_admin_disabled_stays_so(desk: Desk) -> None:
    desk.call("CREATE", cron="* * * * *")
    kept = asyncio.run(desk.store.get("guest/t"))
    assert kept is not None
    kept["status"] = {"active": False, "dateChanged": 1, "reason": {"kind": "ADMIN", "message": "no"}}
    asyncio.run(desk.store.put("guest/t", kept))
    assert desk.refusal("UPDATE", cron="* * * * *") == (400, texts.disabled_by_admin("/guest/t"))
    assert desk.refusal("UNPAUSE") == (400, texts.disabled_by_admin("/guest/t"))


def test_bad_calls(desk: Desk) -> None:
    assert desk.refusal("EXPLODE") == (400, "unsupported lifecycleEvent")
    assert desk.refusal("CREATE", trigger="") == (400, "no trigger name parameter was provided")
    assert desk.refusal("CREATE", "weekly")[0] == 404


@pytest.mark.parametrize("status", [401, 404])
def test_without_right_to_the_trigger_nothing_is_done(status: int) -> None:
    desk = Desk(status=status)
    assert desk.refusal("CREATE", cron="* * * * *") == (status, "Trigger authentication request failed.")
    assert desk.touched == []
    if status == 404:
        assert desk.call("DELETE") == {"status": "success"}


def test_the_actions_result_of_a_refusal(desk: Desk) -> None:
    given = {"lifecycleEvent": "CREATE", "triggerName": "/_/t", "cron": "x"}
    result: Callable[[], Any] = lambda: asyncio.run(desk.feed.result("alarm", given, namespace="guest"))  # noqa: E731
    assert result() == {"error": {"error": "cron pattern 'x' is not valid"}}
