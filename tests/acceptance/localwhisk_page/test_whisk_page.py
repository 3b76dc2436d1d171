"""The engine's page in a real browser: what is there, invoking, hostile output as text, phone width, foreign keys."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.engine import Engine

INSIDE = re.compile(r"http://127\.0\.0\.1[:/]|data:")
HOSTILE = "<img src=x onerror=alert(1)>"
CODE = f"def main(args):\n    print('{HOSTILE}')\n    return {{'said': args.get('name', '{HOSTILE}')}}\n"


@pytest.fixture
def open_page(new_whisk: Callable[..., Engine], browser: Any) -> Iterator[Callable[..., tuple[Any, Engine]]]:
    """Open the page of a new engine that holds a few things; at the end nobody complained."""
    said: list[str] = []
    opened: list[Any] = []

    def run(**options: Any) -> tuple[Any, Engine]:
        whisk = new_whisk("--limits", "raised")
        _fill(whisk)
        page = browser.new_page(**options)
        opened.append(page)
        page.set_default_timeout(120_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda one: None if INSIDE.match(one.url) else said.append(one.url))
        page.goto(whisk.apihost)
        return page, whisk

    yield run
    for page in opened:
        page.close()
    assert said == []


def _fill(whisk: Engine) -> None:
    whisk.call("PUT", "packages/shop", {})
    for name in ("hello", "shop/page"):
        whisk.call("PUT", f"actions/{name}", {"exec": {"kind": "python:3.11", "code": CODE}})
    whisk.call("PUT", "triggers/go", {})
    whisk.call("PUT", "rules/r", {"trigger": "/_/go", "action": "/_/hello"})
    whisk.call("POST", "actions/hello?blocking=true", {})


def test_entities_activations_logs_and_an_invocation(open_page: Callable[..., tuple[Any, Engine]]) -> None:
    page, _ = open_page()
    page.wait_for_selector("#state.up")
    assert "package shop" in page.inner_text("#entities").lower()
    page.click("#activations tr.item")
    page.wait_for_selector("#record pre")
    assert HOSTILE in page.inner_text("#record")
    page.click("#entities button:has-text('hello')")
    page.fill("#arguments", "{")
    page.click("#detail .do")
    assert "Not JSON" in page.inner_text("#detail form")
    page.fill("#arguments", '{"name": "page"}')
    page.click("#detail .do")
    page.wait_for_selector("#detail form pre >> text=page")
    assert "success" in page.inner_text("#detail form")
    page.locator("#detail form pre", has_text=HOSTILE).wait_for()  # the log is asked for when the result is shown


def test_a_fire_and_a_rule_that_is_switched(open_page: Callable[..., tuple[Any, Engine]]) -> None:
    page, whisk = open_page()
    page.click("#entities button:has-text('go')")
    page.click("#detail .do")
    page.wait_for_selector("#detail form >> text=fired")
    page.click("#entities button >> text=/^r$/")
    page.click("#detail button:has-text('Disable')")
    page.wait_for_selector("#detail button:has-text('Enable')")
    assert whisk.call("GET", "rules/r")[1]["status"] == "inactive"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(open_page: Callable[..., tuple[Any, Engine]], scheme: str) -> None:
    page, _ = open_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.wait_for_selector("#activations tr.item")
    page.click("#entities button:has-text('hello')")
    page.wait_for_selector("#detail .do")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_another_key_is_asked_for_and_used(open_page: Callable[..., tuple[Any, Engine]]) -> None:
    page, whisk = open_page()
    page.wait_for_selector("#state.up")
    page.click("#key")
    page.fill("#auth", whisk.auth)
    page.keyboard.press("Enter")
    page.wait_for_selector("#where >> text=guest")
    assert page.evaluate("sessionStorage.getItem('whisk-key')") == whisk.auth
