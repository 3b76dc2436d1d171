"""A real browser shows a page of another site, and pages of web actions: neither may act as the engine's own page."""

import functools
import json
import threading
from collections.abc import Callable, Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.engine import Engine

WEB = [{"key": "web-export", "value": True}]
ACTION = {"exec": {"kind": "python:3.11", "code": "def main(args):\n    return {'ran': True}\n"}}
PAGE = """
def main(args):
    shown = args.get('body', '')
    return {'headers': {'content-type': args.get('type', 'text/html')}, 'body': shown, 'html': shown, 'svg': shown}
"""
ATTACK = """
async (host) => {
  const key = 'Basic ' + btoa('%s');
  const json = { authorization: key, 'content-type': 'application/json' };
  const tries = {
    list: () => fetch(host + '/api/v1/namespaces/_/actions', { headers: { authorization: key } }),
    put: () => fetch(host + '/api/v1/namespaces/_/actions/theirs', { method: 'PUT', headers: json, body: '%s' }),
    run: () => fetch(host + '/api/v1/namespaces/_/actions/mine?blocking=true', { method: 'POST', headers: json, body: '{}' }),
    simple: () => fetch(host + '/api/v1/namespaces/_/actions/mine', { method: 'POST', mode: 'no-cors', body: '' }),
    web: () => fetch(host + '/api/v1/web/guest/default/mine.json'),
    page: () => fetch(host + '/'),
    storage: () => ({ ok: localStorage.length >= 0 }),
  };
  const done = [];
  for (const [name, attempt] of Object.entries(tries))
    try { if ((await attempt()).ok) done.push(name); } catch { }
  return done;
}
"""


@pytest.fixture
def whisk(new_whisk: Callable[..., Engine]) -> Engine:
    whisk = new_whisk("--limits", "raised")
    whisk.call("PUT", "actions/mine", {**ACTION, "annotations": WEB})
    whisk.call("PUT", "actions/page", {"exec": {"kind": "python:3.11", "code": PAGE}, "annotations": WEB})
    return whisk


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """Address of a site on another port of this machine."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title>")
    server = HTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def attack(page: Any, whisk: Engine) -> list[str]:
    """What a script in the page could do."""
    return list(page.evaluate(ATTACK % (whisk.auth, json.dumps(ACTION).replace("\\", "\\\\").replace("'", "\\'")), whisk.apihost))


def address(whisk: Engine, extension: str, **parameters: str) -> str:
    return f"{whisk.apihost}/api/v1/web/guest/default/page{extension}?{urlencode(parameters)}"


def names(whisk: Engine, collection: str) -> set[str]:
    return {one["name"] for one in whisk.call("GET", collection)[1]}


def test_a_page_of_another_site_can_do_nothing(whisk: Engine, browser: Any, elsewhere: str) -> None:
    page = browser.new_page()
    page.goto(elsewhere)
    assert attack(page, whisk) == ["storage"], "its own"
    host, _, secret = (part for part in whisk.apihost.partition("://"))
    form = f"{host}://{whisk.auth}@{secret}/api/v1/namespaces/_/actions/mine"
    with page.expect_response("**/actions/mine") as answered:
        page.evaluate(f"document.body.innerHTML = `<form method=post enctype='text/plain' action='{form}'>`; document.forms[0].submit()")
    assert answered.value.status == 403
    page.close()
    assert names(whisk, "actions") == {"mine", "page"}
    assert names(whisk, "activations") == set()


@pytest.mark.parametrize(
    ("extension", "kind", "body"),
    [
        ("", "text/html", "<p>"),
        (".html", "text/html", "<p>"),
        (".svg", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("", "text/xml", "<x/>"),
    ],
)
def test_a_page_of_a_web_action_reaches_web_actions_only(
    whisk: Engine, browser: Any, extension: str, kind: str, body: str
) -> None:
    page = browser.new_page()
    shown = page.goto(address(whisk, extension, type=kind, body=body))
    assert shown.headers["content-type"].startswith(kind)
    assert page.evaluate("self.origin") == "null"
    assert attack(page, whisk) == ["web"]
    page.close()
    assert names(whisk, "actions") == {"mine", "page"}


def test_a_form_that_is_posted_to_a_web_action_shows_a_page_apart_too(whisk: Engine, browser: Any) -> None:
    page = browser.new_page()
    page.goto(address(whisk, "", body="<form method=post><input name=body value=posted></form>"))
    page.evaluate("document.forms[0].submit()")
    page.wait_for_selector("text=posted")
    assert page.evaluate("self.origin") == "null"
    page.close()
