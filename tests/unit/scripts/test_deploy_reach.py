"""After a deployment: servers that do not answer what was deployed are told."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from lib.deploy.manifest import Place
from lib.deploy.namespace import Namespace
from lib.deploy.reach import silent

FEED = Place("trigger", "hort", "device-events", feed="hort/mqtt")
DASHBOARD = Place("action", "hort", "dashboard")
ACTIVE = {"active": True}
AT = {"config": {"url": "mqtts://me:secret@broker:1"}}


class Answering(Namespace):
    """A namespace whose actions answer this."""

    answers: Mapping[str, Mapping[str, Any]]

    def __init__(self, **answers: Mapping[str, Any]) -> None:
        super().__init__(urlsplit("http://127.0.0.1:9"), "uuid:key", False)
        object.__setattr__(self, "answers", answers)

    def invoke(self, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        del params
        return dict(self.answers[action.removeprefix("hort/")])


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        ({"subscribed": True, "connected": True, "status": ACTIVE}, []),
        ({"status": {"active": False}}, []),
        ({"error": "the provider does not answer"}, []),
        (
            {"connected": False, "connection": "cannot connect: refused", "status": ACTIVE, **AT},
            ["nobody answers at mqtts://broker:1 yet (cannot connect: refused); the feed of trigger device-events keeps trying"],
        ),
        (
            {"connected": True, "connection": "connected", "status": {"active": True, "reason": {"message": "subscription refused: a/#"}}, **AT},
            ["the broker at mqtts://broker:1 does not give trigger device-events its topics (subscription refused: a/#); the feed keeps trying"],
        ),
    ],
)
def test_a_broker_that_does_not_answer_is_named(feed: dict[str, Any], told: list[str]) -> None:
    assert list(silent(Answering(mqtt=feed), [FEED], timeout_s=0)) == told


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"errors": {}}, 200, []),
        (
            {"errors": {"feeds": "Redis does not answer", "counters": "Redis does not answer", "elasticsearch": "Elasticsearch does not answer"}},
            200,
            [f"{name} does not answer, as the deployed actions see it: nothing is stored until it does" for name in ("Redis", "Elasticsearch")],
        ),
        ({"error": "Redis does not answer"}, 503, ["the actions cannot work yet: Redis does not answer"]),
    ],
)
@pytest.mark.parametrize("form", [dict, json.dumps])
def test_what_the_actions_miss_is_named_once(form: Any, body: dict[str, Any], status: int, told: list[str]) -> None:
    assert list(silent(Answering(dashboard={"statusCode": status, "body": form(body)}), [DASHBOARD])) == told


def test_other_manifests_are_not_asked_about() -> None:
    assert list(silent(Answering(), [Place("action", "small", "hello"), Place("trigger", "small", "tick", feed="/whisk.system/alarms/alarm")])) == []
