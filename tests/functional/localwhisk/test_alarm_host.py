from collections.abc import Callable
from typing import Any

import pytest

from localwhisk.alarm_host import AlarmHost
from tests.support.localwhisk_app import GUEST, OTHER, LocalWhisk

FEED = "/api/v1/namespaces/whisk.system/actions/alarms"
PAYLOAD = {"a": 1}


@pytest.fixture
def hosted(new_local: Callable[..., LocalWhisk]) -> LocalWhisk:
    local = new_local(prepare=AlarmHost)
    local.run(local.prepared.start())
    local.put_action("a")
    local.call("PUT", "triggers/t", {})
    local.put_rule("r", "t", "a")
    return local


def feed(local: LocalWhisk, event: str, kind: str = "alarm", **more: Any) -> Any:
    body = {"lifecycleEvent": event, "triggerName": "/_/t", "authKey": GUEST.auth, **more}
    return local.call("POST", f"{FEED}/{kind}?blocking=true", body)


def registration(local: LocalWhisk) -> Any:
    return local.run(local.prepared._feed._store.get("guest/t"))


def test_the_package_is_shared_and_its_actions_are_feeds(hosted: LocalWhisk) -> None:
    package = hosted.call("GET", "/api/v1/namespaces/whisk.system/packages/alarms").json
    assert {item["name"] for item in package["feeds"]} == {"alarm", "once", "interval"}
    assert package["publish"]


def test_life_of_an_alarm(hosted: LocalWhisk) -> None:
    assert feed(hosted, "CREATE", cron="*/30 * * * * *", trigger_payload=PAYLOAD).status == 200
    read = feed(hosted, "READ").json["response"]["result"]
    assert (read["config"]["cron"], read["status"]["active"]) == ("*/30 * * * * *", True)
    assert GUEST.key not in str(read)
    assert feed(hosted, "UPDATE", cron="0 * * * *").status == 200
    assert feed(hosted, "DELETE").status == 200
    assert feed(hosted, "READ").status == 502


def test_bad_parameters_are_an_application_error(hosted: LocalWhisk) -> None:
    reply = feed(hosted, "CREATE", cron="nonsense")
    assert reply.status == 502
    assert "nonsense" in str(reply.json["response"]["result"])


@pytest.mark.parametrize("key", [OTHER.auth, "x:y", ""])
def test_another_key_is_refused(hosted: LocalWhisk, key: str) -> None:
    assert feed(hosted, "CREATE", cron="* * * * *", authKey=key).status == 502
    assert registration(hosted) is None


def test_a_trigger_that_is_not_there(hosted: LocalWhisk) -> None:
    assert feed(hosted, "CREATE", cron="* * * * *", triggerName="/_/nope").status == 502
    assert feed(hosted, "DELETE", triggerName="/_/nope").status == 200


def test_a_fire_is_the_owners(hosted: LocalWhisk) -> None:
    feed(hosted, "CREATE", cron="0 0 1 1 *", trigger_payload=PAYLOAD)
    assert hosted.run(hosted.prepared._fire(registration(hosted))) == 202
    hosted.run(hosted.engine.invoker.drain(60))
    (record,) = hosted.call("GET", "activations?name=a&docs=true").json
    result = record["response"]["result"]
    assert {**result, "__ow_headers": 0} == {"a": 1, "__ow_headers": 0}
    assert result["__ow_headers"]["authorization"].startswith("Basic ")


def test_a_schedule_outlives_the_key_of_its_owner(hosted: LocalWhisk) -> None:
    feed(hosted, "CREATE", cron="0 0 1 1 *")
    replaced = {**registration(hosted), "apikey": "00000000-0000-0000-0000-000000000009:replaced"}
    assert hosted.run(hosted.prepared._fire(replaced)) == 202
    assert hosted.run(hosted.prepared._fire({**replaced, "namespace": "nobody"})) == 401


def test_statuses_of_fires_that_do_nothing(hosted: LocalWhisk) -> None:
    feed(hosted, "CREATE", cron="0 0 1 1 *")
    found = registration(hosted)
    hosted.call("DELETE", "rules/r")
    assert hosted.run(hosted.prepared._fire(found)) == 204
    hosted.call("DELETE", "triggers/t")
    assert hosted.run(hosted.prepared._fire(found)) == 404
    assert hosted.run(hosted.prepared._fire({**found, "apikey": OTHER.auth})) == 401


def test_schedules_survive_a_restart(hosted: LocalWhisk, new_local: Callable[..., LocalWhisk]) -> None:
    feed(hosted, "CREATE", cron="0 0 1 1 *")
    hosted.run(hosted.prepared.close())
    hosted.close()
    again = new_local(prepare=AlarmHost)
    again.run(again.prepared.start())
    assert again.prepared._service.scheduled == 1
    again.run(again.prepared.close())


@pytest.mark.parametrize(("rules", "left"), [(True, 0), (False, 1)])
def test_deletion_after_the_last_fire(hosted: LocalWhisk, rules: bool, left: int) -> None:
    feed(hosted, "CREATE", cron="0 0 1 1 *")
    hosted.run(hosted.prepared._delete_trigger(registration(hosted), rules=rules))
    assert hosted.call("GET", "triggers/t").status == 404
    assert len(hosted.call("GET", "rules").json) == left
