"""Web actions while Redis stands still: it takes connections and answers nothing."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hort import quota, store, web
from hort.dashboard.web import answer as dashboard
from tests.support.actions import load_main, raw_request
from tests.support.dashboard import FOLDER
from tests.support.pictures import encoded, quarters

PHOTO = base64.b64encode(encoded(quarters())).decode()
MODEL = {"url": "http://127.0.0.1:9/"}


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[socket.socket]]]:
    """The address of such a Redis, and who asked it."""
    monkeypatch.setattr(store, "SOON_S", 0.2)
    monkeypatch.setattr(store, "ANSWER_TIMEOUT_S", 0.3)
    asked: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: asked.extend(server.accept()[0] for _ in range(9)), daemon=True).start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}", asked


def test_a_redis_that_stands_still_is_asked_once_and_told(still: tuple[str, list[socket.socket]]) -> None:
    """Asked four times for 15 s each it made OpenWhisk answer 202 in place of the page."""
    url, asked = still
    assert quota.reader_waits_s(web.Request("GET", (), b""), {"redis_url": url}, "dashboard") == 0
    assert len(asked) == 1
    found = dashboard(raw_request(path="/data", redis_url=url, elasticsearch_url="http://127.0.0.1:9"), folder=FOLDER)
    assert found["body"]["errors"]["counters"] == "Redis does not answer (TimeoutError)"
    assert found["body"]["counters"] is None


@pytest.mark.parametrize(
    ("action", "method", "path", "value"),
    [
        ("models", "get", "", {}),
        ("models", "put", "/m", MODEL),
        ("models", "patch", "/m", MODEL),
        ("models", "delete", "/m", {}),
        ("report", "get", "/report-1", {}),
        ("report", "post", "", {"image": PHOTO}),
        ("plates-page", "post", "/read", {"image": PHOTO}),
    ],
)
def test_every_web_action_asks_it_once(
    still: tuple[str, list[socket.socket]], monkeypatch: pytest.MonkeyPatch, action: str, method: str, path: str, value: dict[str, Any]
) -> None:
    for name, text in {"NAMESPACE": "guest", "API_HOST": "http://127.0.0.1:9", "API_KEY": "a:b", "ACTION_NAME": f"/guest/hort/{action}"}.items():
        monkeypatch.setenv(f"__OW_{name}", text)
    url, asked = still
    asks = raw_request(method, path, body=json.dumps(value), redis_url=url, registry_key="secret", allow_private="true")
    with_key = {"x-hort-key": "secret"} if action != "plates-page" else {}
    found = load_main(action)({**asks, "__ow_headers": with_key})
    assert (found["statusCode"], found["body"]["error"]) == (503, "Redis does not answer (TimeoutError)")
    assert len(asked) == 1
