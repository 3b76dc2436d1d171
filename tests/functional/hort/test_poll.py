import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from hort import models, poll, seal
from hort.counters import MemoryCounters
from hort.model_store import MemoryModelStore
from hort.registry import active_list
from hort.testing import FakeClock

URL = "http://model.example/"
FOREIGN = "http://models.example/"


class Polling:
    def __init__(self) -> None:
        self.store = MemoryModelStore()
        self.counters = MemoryCounters()
        self.clock = FakeClock()
        self.answer: bytes | poll.PollFailed = b"{}"

    def fetch(self, url: str) -> bytes:
        assert url == FOREIGN
        if isinstance(self.answer, poll.PollFailed):
            raise self.answer
        return self.answer

    def own(self) -> dict[str, Any]:
        return poll.poll(self.store, self.counters, url="", fetch=self.fetch, now=self.clock)

    def foreign(self, value: object) -> dict[str, Any]:
        self.answer = value if isinstance(value, poll.PollFailed) else json.dumps(value).encode()
        return poll.poll(self.store, self.counters, url=FOREIGN, fetch=self.fetch, now=self.clock)


@pytest.fixture
def polling() -> Polling:
    return Polling()


def test_the_own_registry_becomes_the_active_list(polling: Polling) -> None:
    model = models.parse("m", {"url": URL, "retries": 2})
    polling.store.replace("m", expected=None, value=orjson.dumps(model.as_json()), limit=9)
    assert polling.own() == {"models": ["m"], "polled_at": polling.clock.now, "last_error": None}
    assert [models.stored(value) for value in active_list(polling.store)["models"]] == [model]


def test_the_full_form_is_preferred(polling: Polling) -> None:
    polling.foreign(
        {
            "endpoints": [{"a": URL}],
            "models": [{"name": "b", "url": URL, "protocol": "instances", "state": {}}],
        }
    )
    (found,) = active_list(polling.store)["models"]
    assert (found["name"], found["protocol"]) == ("b", "instances")


def test_the_originals_form_is_called_as_the_original_did(polling: Polling) -> None:
    polling.foreign({"endpoints": [{"one": URL}, {"two": URL + "2"}]})
    found = active_list(polling.store)["models"]
    assert [(item["name"], item["url"], item["protocol"]) for item in found] == [
        ("one", URL, "query"),
        ("two", URL + "2", "query"),
    ]


@pytest.mark.parametrize(
    "answer",
    [[], 7, "x", {}, {"models": 3}, {"endpoints": {}}, poll.PollFailed("the registry answered status 500")],
)
def test_a_failed_poll_keeps_the_last_good_list_and_says_so(polling: Polling, answer: object) -> None:
    polling.foreign({"endpoints": [{"one": URL}]})
    good = polling.clock.now
    polling.clock.advance(30_000)
    result = polling.foreign(answer)
    assert result["models"] == ["one"]
    assert result["polled_at"] == good
    assert result["last_error"]
    assert active_list(polling.store)["tried_at"] == good + 30_000
    assert polling.counters.all()["models.poll-failed"] == 1


def test_a_failed_first_poll_says_so_too(polling: Polling) -> None:
    assert polling.foreign([])["models"] == []
    assert active_list(polling.store)["polled_at"] is None


def test_an_answer_that_is_no_json_is_a_failed_poll(polling: Polling) -> None:
    polling.answer = b"<html>"
    result = poll.poll(polling.store, polling.counters, url=FOREIGN, fetch=polling.fetch, now=polling.clock)
    assert "not JSON" in result["last_error"]


def test_an_empty_list_empties_the_active_list(polling: Polling) -> None:
    polling.foreign({"endpoints": [{"one": URL}]})
    assert polling.foreign({"endpoints": []})["models"] == []


def test_one_bad_model_does_not_cost_the_others(polling: Polling) -> None:
    result = polling.foreign(
        {"models": [{"name": "bad", "url": "ftp://x/"}, 7, {"name": "good", "url": URL}]}
    )
    assert result["models"] == ["good"]
    assert "bad" in result["last_error"]


def test_no_more_models_than_the_limit_are_taken(polling: Polling) -> None:
    result = polling.foreign({"endpoints": [{f"m{number}": URL} for number in range(150)]})
    assert len(result["models"]) == models.MAX_MODELS
    assert "50 models over the limit" in result["last_error"]


def test_the_next_good_poll_clears_the_error(polling: Polling) -> None:
    polling.foreign([])
    assert polling.foreign({"endpoints": []})["last_error"] is None


def test_a_stored_model_that_cannot_be_read_costs_only_itself(polling: Polling) -> None:
    model = models.parse("m", {"url": URL})
    polling.store.replace("m", expected=None, value=orjson.dumps(model.as_json()), limit=9)
    polling.store.replace("old", expected=None, value=b"{", limit=9)
    result = polling.own()
    assert result["models"] == ["m"]
    assert "old" in result["last_error"]


def test_a_registry_that_masks_its_addresses_is_said_to(polling: Polling) -> None:
    """Without the key of a registry of HoRT its addresses cannot be called: that is an error, not a call with asterisks."""
    polling.foreign({"endpoints": [{"m": URL + "?token=***"}], "models": [{"name": "m", "url": URL + "?token=***"}]})
    found = active_list(polling.store)
    assert found["models"] == []
    assert "shown to nobody" in found["last_error"]


def interrupted(polling: Polling, meanwhile: Callable[[], object], *, fails: bool) -> dict[str, Any]:
    """A poll that reads an empty list, or fails, after what another one did meanwhile."""

    def fetch(url: str) -> bytes:
        meanwhile()
        if fails:
            raise poll.PollFailed("cut off")
        return b'{"endpoints":[]}'

    return poll.poll(polling.store, polling.counters, url=FOREIGN, fetch=fetch, now=polling.clock)


def names(store: MemoryModelStore) -> list[str]:
    return [model["name"] for model in active_list(store)["models"]]


@pytest.mark.parametrize("fails", [False, True])
def test_a_poll_that_stood_still_leaves_the_list_of_the_newer_one(polling: Polling, fails: bool) -> None:
    told = interrupted(polling, lambda: polling.foreign({"endpoints": [{"new": URL}]}), fails=fails)
    assert told["models"] == ["new"] == names(polling.store)
    assert told["last_error"] == ("cut off" if fails else None)


def test_a_newer_poll_that_fails_does_not_cost_the_list_of_one_that_stood_still(polling: Polling) -> None:
    polling.foreign({"endpoints": [{"old": URL}]})
    told = interrupted(polling, lambda: polling.foreign(poll.PollFailed("away")), fails=False)
    assert (told["models"], told["last_error"]) == ([], None)
    assert names(polling.store) == []


def test_a_failed_poll_does_not_bring_back_the_list_it_found(polling: Polling, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another poll writes its list between the failed one's look and its writing."""
    polling.foreign({"endpoints": [{"old": URL}]})
    look = polling.store.active

    def active() -> bytes | None:
        found = look()
        monkeypatch.undo()
        polling.foreign({"endpoints": [{"new": URL}]})
        return found

    monkeypatch.setattr(polling.store, "active", active)
    told = polling.foreign(poll.PollFailed("away"))
    assert told["models"] == ["new"] == names(polling.store)


def test_a_list_that_is_too_long_costs_no_more_than_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(seal, "opened", lambda text, _key: opened.append(text))
    many = [{"name": f"m{number}", "url": "http://a.example/", models.SEALED: f"{number:064x}"} for number in range(models.MAX_MODELS + 9)]
    found = poll.listing(orjson.dumps({"models": many}), key="secret")
    assert (len(found.models), len(opened)) == (models.MAX_MODELS, models.MAX_MODELS)
