"""Ctrl-C ends the demo wherever it comes, and a look in which a part is missing is no sum."""

import time
from typing import Any, NoReturn

import pytest

from demonstrate import __main__ as demo
from demonstrate.__main__ import Interrupted
from demonstrate.facts import Facts, Reader
from demonstrate.whisk import Whisk


def test_in_a_request_it_is_no_failed_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elasticsearch's client makes a ConnectionError of what it does not know, and one look that fails does not end the demo."""

    def interrupted(*_: object, **__: object) -> NoReturn:
        raise Interrupted

    monkeypatch.setattr("urllib3.HTTPConnectionPool.urlopen", interrupted)
    reader = Reader(elasticsearch_url="http://127.0.0.1:9", redis_url="redis://127.0.0.1:9", provider_url="", whisk=Whisk("", "a:b"))
    with pytest.raises(Interrupted):
        reader.read()


class Looks:
    """A reader whose first looks miss a part."""

    def __init__(self, missing: int) -> None:
        self.left = missing

    def read(self) -> Facts:
        self.left -= 1
        return Facts(problems=("Redis: busy",)) if self.left >= 0 else Facts(published=7)


def test_the_sum_waits_until_every_part_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "LOOK_EVERY_S", 0)
    reader: Any = Looks(3)
    assert demo._whole(reader, deadline=time.monotonic() + 60) == Facts(published=7)
    reader = Looks(1_000_000)
    assert demo._whole(reader, deadline=0.0).problems
