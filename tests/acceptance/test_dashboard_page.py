"""The page in a real browser: it shows what it is given, as text, in any width, and rests while nobody looks."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from hort.counters import MemoryCounters
from hort.dashboard import collect
from hort.dashboard import page as dashboard_page
from hort.dashboard.search import SearchFailed
from hort.dashboard.state import State
from hort.dashboard.view import View
from tests.support.dashboard import FOLDER, HOSTILE, NOW, Collector, FakeSearch, collector, served, state

BEGIN_S = NOW / 1000
"""When the page is opened, by its own clock, which goes on only where a test lets it."""
INSIDE = re.compile(r"http://127\.0\.0\.1[:/]|data:")


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end nothing was complained about, and nothing but the server was asked."""
    opened: list[tuple[Any, Any, list[str], str]] = []

    def open_page(data: Collector, *, expect: str = "live", excused: str = "nothing", **options: Any) -> Any:
        context = served(data)
        url = context.__enter__()
        page = browser.new_page(**options)
        page.set_default_timeout(120_000)
        said: list[str] = []

        def complain(text: str) -> bool:
            said.append(text)
            return True

        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (complain("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: INSIDE.match(request.url) or complain(f"outside: {request.url}"))
        page.clock.install(time=BEGIN_S - 3600)  # long before: it flows until it is paused
        page.clock.pause_at(BEGIN_S + 1)  # it flows by itself otherwise: the page would ask once more where the machine is slow
        page.goto(url)
        page.wait_for_selector(f"#status[data-state={expect}]")
        opened.append((page, context, said, excused))
        return page

    yield open_page
    for page, context, said, excused in opened:
        page.close()
        context.__exit__(None, None, None)
        assert [text for text in said if excused not in text] == []


def rows(page: Any, table: str) -> list[str]:
    return [re.sub(r"\s+", " ", row) for row in page.locator(f"#{table} tbody tr").all_inner_texts()]


def test_everything_is_shown(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()))
    assert page.locator("#lines canvas").count() == 1
    assert page.locator("#rate canvas").count() == 1
    assert len(rows(page, "legend")) == 6
    assert "Maple St & Quarry Ave" in rows(page, "legend")[0]
    assert "9.40" in rows(page, "windows")[0]
    assert any("breaker open" in row for row in rows(page, "models"))
    assert "num_bikes_available ↑ high 17" in rows(page, "anomalies")[0]
    assert "silent" in rows(page, "alarms")[0]
    assert "not-json" in rows(page, "dead")[0]
    assert "/guest/device-events on" in rows(page, "feeds")[0]
    assert any("late 41" in row and "30 s ago" in row for row in rows(page, "trouble"))
    assert any("ingest, not-json 6" in row for row in rows(page, "trouble"))
    assert "128.4K" in page.locator("#tiles").inner_text()
    assert page.locator("#welcome").is_hidden()
    assert page.locator("#problems").is_hidden()


def test_a_feed_that_is_off_says_why(look: Callable[..., Any]) -> None:
    class Feeds:
        def all(self, *, now: int) -> list[dict[str, Any]]:
            usage = {"batches": 7, "bytes": 84_213, "in_flight": 0, "oldest_ms": now - 61_000}
            silent = dict.fromkeys(("connected", "problem", "hold", "fires", "refires", "full", "held_back_since", "stuck"))
            refused = {"active": False, "reason": HOSTILE, "status_code": 401, "changed": now - 60_000}
            held = {"active": True, "reason": "", "status_code": None, "changed": now, "connected": True, "hold": "no active rule"}
            return [
                {"trigger": "/guest/a", **silent, **usage, **refused},
                {"trigger": "/guest/b", **silent, **usage, **held, "full": True, "held_back_since": now - 45_000, "stuck": 2},
            ]

    known = state()
    known._feeds = Feeds()
    page = look(collector(FakeSearch(), known))
    off, held = rows(page, "feeds")
    assert off.startswith(f"/guest/a off, 401 {HOSTILE} for 60 s")
    assert "61 s 7" in off
    assert "held" in held
    assert "journal full" in held
    assert "broker has waited for 45 s" in held
    assert "2 batches stuck" in held


def test_trouble_shows_its_rate_since_the_last_look(look: Callable[..., Any]) -> None:
    counters = MemoryCounters(now=lambda: NOW)
    counters.add({"window.late": 10})
    known, now = state(), [NOW]
    known._counters = counters
    page = look(lambda query: collect(View.of(query), search=FakeSearch(), state=known, now=now[0]))
    assert rows(page, "trouble") == ["Records that are stored but in no window late 10 – 0 s ago window.late"]
    counters.add({"window.late": 5})
    now[0] += 10_000
    with page.expect_response(lambda response: "/data" in response.url):
        page.clock.run_for(10_100)
    page.locator("#trouble tbody tr", has_text="15").wait_for()
    assert rows(page, "trouble") == ["Records that are stored but in no window late 15 30 10 s ago window.late"]


def test_hostile_names_are_text(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch(names=lambda number: f"{HOSTILE}{number}")))
    assert HOSTILE in page.locator("#legend").inner_text()
    assert HOSTILE in page.locator("#anomalies").inner_text()
    assert page.locator("main img, main script").count() == 0


def test_nothing_yet_says_what_to_do(look: Callable[..., Any]) -> None:
    nothing: dict[str, Any] = {"hits": {"total": {"value": 0}, "hits": []}}
    replaced = dict.fromkeys(("all-events", "analytics", "model-results", "alarms", "dead-letters"), nothing)
    page = look(collector(FakeSearch(replaced=replaced)))
    assert page.locator("#welcome").is_visible()
    assert "appear here" in page.locator("#lines").inner_text()
    assert "None in the last day" in rows(page, "dead")[0]


def test_a_part_that_fails_is_named_and_the_rest_is_there(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch(replaced={"alarms": {"failed": "all shards failed"}})), expect="part")
    assert "alarms: all shards failed" in page.locator("#problems").inner_text()
    assert len(rows(page, "legend")) == 6


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_any_width(look: Callable[..., Any], width: int, scheme: str) -> None:
    page = look(collector(FakeSearch()), viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == (scheme == "dark")


def test_it_refreshes_pauses_and_counts_its_invocations(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()))
    assert page.locator("#cost").inner_text() == "1 invocation so far, 6 a minute"
    with page.expect_response(lambda response: "/data" in response.url):
        page.clock.run_for(10_100)
    page.locator("#cost", has_text="2 invocations").wait_for()
    page.locator("#pause").click()
    assert page.locator("#cost").inner_text() == "2 invocations so far, 0 a minute"
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    page.clock.run_for(60_000)
    assert page.locator("#cost").inner_text() == "2 invocations so far, 0 a minute"


def test_it_rests_while_the_tab_is_hidden(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()))
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    page.clock.run_for(60_000)
    assert page.locator("#cost").inner_text() == "1 invocation so far, 0 a minute"
    with page.expect_response(lambda response: "/data" in response.url):
        page.evaluate(hide, False)


def test_choices_are_asked_for_and_kept_in_the_address(look: Callable[..., Any]) -> None:
    asked: list[dict[str, Any]] = []
    answer = collector(FakeSearch())

    def remember(query: dict[str, Any]) -> dict[str, Any]:
        asked.append(query)
        return answer(query)

    page = look(remember)
    page.locator("#device").fill(HOSTILE)
    with page.expect_response(lambda response: "/data" in response.url):
        page.locator("#device").press("Enter")
    assert json.loads(asked[-1]["devices"])[-1] == HOSTILE
    with page.expect_response(lambda response: "/data" in response.url):
        page.locator("#stat").select_option("max")
    assert asked[-1]["stat"] == "max"
    page.reload()
    page.wait_for_selector("#status[data-state=live]")
    assert asked[-1]["stat"] == "max"
    assert json.loads(asked[-1]["devices"])[-1] == HOSTILE


def refused(page: Any, status: int, said: dict[str, Any]) -> None:
    """From now on the data is refused."""
    answer = {"status": status, "body": json.dumps(said), "headers": {"access-control-allow-origin": "*"}}
    page.route("**/data*", lambda route: route.fulfill(**answer))
    page.clock.run_for(10_100)
    page.wait_for_selector("#status[data-state=down]")


def test_a_reader_too_many_waits_is_told_and_goes_on(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()), excused="status of 429")
    refused(page, 429, {"error": "too many", "retry_after_s": 40})
    assert page.locator("#status").inner_text() == "Too many readers in this minute"
    page.clock.run_for(20_000)
    assert re.fullmatch("asking again in 2[0-2] s", page.locator("#again").inner_text())
    assert page.locator("#cost").inner_text().startswith("2 invocations")
    page.unroute("**/data*")
    with page.expect_response(lambda response: "/data" in response.url):
        page.clock.run_for(22_100)
    page.wait_for_selector("#status[data-state=live]")
    assert page.locator("#again").inner_text() == ""
    assert page.locator(".stale").count() == 0


def test_a_minute_that_openwhisk_says_is_used_up_is_waited_for(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()), excused="status of 429")
    refused(page, 429, {"error": "Too many requests in the last minute (count: 61, allowed: 60).", "code": "x"})
    assert "OpenWhisk holds back" in page.locator("#status").inner_text()
    minute_s = 60 - (BEGIN_S + 11) % 60
    assert minute_s - 2 <= int(re.findall(r"\d+", page.locator("#again").inner_text())[0]) <= minute_s + 2


@pytest.mark.parametrize(("status", "said"), [(503, {"error": "Redis does not answer", "retry_after_s": 10}), (502, {"error": HOSTILE})])
def test_a_refusal_says_why(look: Callable[..., Any], status: int, said: dict[str, Any]) -> None:
    page = look(collector(FakeSearch()), excused=f"status of {status}")
    refused(page, status, said)
    assert said["error"] in page.locator("#status").inner_text()


def down(_searches: Any) -> Any:
    raise SearchFailed("Elasticsearch does not answer (ConnectionError)")


@pytest.mark.parametrize("name", ["constructor", "__proto__", "toString"])
def test_a_model_may_have_the_name_of_what_every_object_of_the_page_has(look: Callable[..., Any], name: str) -> None:
    known = state()
    known._models.replace(name, expected=None, value=json.dumps({"name": name, "url": "http://127.0.0.1/"}).encode(), limit=9)
    page = look(collector(FakeSearch(), known))
    assert ["0 0 0 0" in row for row in rows(page, "models") if name in row] == [True]


SEARCHED = ("Records a second", "Devices", "Anomalies", "Fell silent", "Dead letters")


def tile(page: Any, name: str) -> str:
    text: str = page.locator("#tiles .tile", has_text=name).inner_text()
    return re.sub(r"\s+", " ", text)


def test_what_is_not_known_is_never_nought(look: Callable[..., Any]) -> None:
    page = look(collector(down), expect="part")
    for name in SEARCHED:
        assert tile(page, name) == f"{name} – not known"
    for table in ("windows", "anomalies", "alarms", "dead"):
        assert "Not known yet" in rows(page, table)[0]
    assert "active" in rows(page, "models")[0]
    assert "– – – –" in rows(page, "models")[0], "how often a model was asked is not known"
    assert "128.4K" in tile(page, "Stored")
    assert page.locator("#welcome").is_hidden()


@pytest.mark.parametrize("lost", [SEARCHED, ("Stored", "Feed", "Waiting")])
def test_the_last_data_stays_dimmed_and_with_its_age(look: Callable[..., Any], lost: tuple[str, ...]) -> None:
    known, searches = state(), FakeSearch()
    data: dict[str, Any] = {"search": searches, "state": known}
    page = look(lambda query: collect(View.of(query), now=NOW, **data))
    before = {name: tile(page, name) for name in lost}
    if lost == SEARCHED:
        data["search"] = down
    else:
        data["state"] = State(counters=Away(), feeds=Away(), models=Away(), breakers=Away())
    with page.expect_response(lambda response: "/data" in response.url):
        page.clock.run_for(10_100)
    page.wait_for_selector("#status[data-state=part]")
    page.clock.run_for(5_000)
    assert {name: tile(page, name) for name in lost} == {name: f"{text} 15 s old" for name, text in before.items()}
    assert page.locator("#tiles .tile.stale").count() == len(lost)
    data.update(search=searches, state=known)
    with page.expect_response(lambda response: "/data" in response.url):
        page.clock.run_for(6_000)
    page.wait_for_selector("#status[data-state=live]")
    assert {name: tile(page, name) for name in lost} == before


class Away:
    """A Redis that does not answer."""

    def __getattr__(self, _name: str) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> Any:
            raise redis.ConnectionError

        return fail


def test_a_server_that_is_gone_leaves_the_last_data(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()), excused="net::")
    page.route("**/data*", lambda route: route.abort())
    page.clock.run_for(10_100)
    page.wait_for_selector("#status[data-state=down]")
    assert "312" in tile(page, "Devices")
    assert page.locator(".tile.stale").count() == 8
    assert page.locator(".card.stale").count() == 10


@pytest.mark.parametrize("extension", ["html", "svg", "text"])
def test_under_every_extension_only_its_own_script_runs(browser: Any, extension: str) -> None:
    """OpenWhisk answers `.html` and others with the body alone, without the headers of an action."""
    kind = {"html": "text/html; charset=utf-8", "svg": "image/svg+xml", "text": "text/plain; charset=utf-8"}[extension]
    html, _ = dashboard_page.assemble(FOLDER)
    planted = html.replace("</body>", "<script>document.title = 'planted'</script><img src=x onerror='document.title = 1'></body>")
    page = browser.new_page()
    page.route("**/*", lambda route: route.fulfill(body=planted, content_type=kind) if "dashboard" in route.request.url else route.abort())
    page.goto(f"http://127.0.0.1:9/dashboard.{extension}")
    assert page.title() == ("HoRT: the stream, live" if extension == "html" else "")
    page.close()


def test_it_can_be_used_without_seeing(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()))
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('select, input, button')]
            .filter((one) => !one.labels?.length && !one.textContent.trim() && !one.getAttribute('aria-label')).map((one) => one.id)"""
    )
    assert unnamed == []
    assert page.locator("table thead th:not([scope])").count() == 0
    assert "6 devices" in page.locator("#lines").get_attribute("aria-label")
    page.locator("#points-box summary").click()
    page.locator("#points tbody tr").first.wait_for()  # the browser tells of an opened box when it has time for it
    assert len(rows(page, "points")) == 40


def test_times_are_those_of_the_data(look: Callable[..., Any]) -> None:
    page = look(collector(FakeSearch()), timezone_id="UTC")
    assert f"{NOW // 3_600_000 % 24:02d}:" in page.locator("#status").inner_text()
