"""Ctrl-C ends the demo wherever it comes."""

from typing import NoReturn

import pytest

from demonstrate.__main__ import Interrupted
from demonstrate.facts import Reader
from demonstrate.whisk import Whisk


def test_in_a_request_it_is_no_failed_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elasticsearch's client makes a ConnectionError of what it does not know, and one look that fails does not end the demo."""

    def interrupted(*_: object, **__: object) -> NoReturn:
        raise Interrupted

    monkeypatch.setattr("urllib3.HTTPConnectionPool.urlopen", interrupted)
    reader = Reader(elasticsearch_url="http://127.0.0.1:9", redis_url="redis://127.0.0.1:9", provider_url="", whisk=Whisk("", "a:b"))
    with pytest.raises(Interrupted):
        reader.read()
