"""Pages while Redis stands still: it takes connections and answers nothing."""

import socket
import threading

import pytest

from hort import quota, store, web
from hort.dashboard.web import answer as dashboard
from tests.support.actions import raw_request
from tests.support.dashboard import FOLDER


def test_a_redis_that_stands_still_is_asked_once_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked four times for 15 s each it made OpenWhisk answer 202 in place of the page."""
    monkeypatch.setattr(store, "SOON_S", 0.2)
    asked: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: asked.extend(server.accept()[0] for _ in range(9)), daemon=True).start()
        url = f"redis://127.0.0.1:{server.getsockname()[1]}"
        assert quota.reader_waits_s(web.Request("GET", (), b""), {"redis_url": url}, "dashboard") == 0
        assert len(asked) == 1
        found = dashboard(raw_request(path="/data", redis_url=url, elasticsearch_url="http://127.0.0.1:9"), folder=FOLDER)
    assert found["body"]["errors"]["counters"] == "Redis does not answer (TimeoutError)"
    assert found["body"]["counters"] is None
