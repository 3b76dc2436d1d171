"""The plates page in a real browser: a photo goes in small and without EXIF, what comes back is shown, as text, in any width."""

import base64
import html
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat, PngImagePlugin

from hort import page as page_of
from hort import plates_page
from hort.dashboard import page as dashboard_page
from tests.support import pictures
from tests.support.dashboard import FOLDER as DASHBOARD
from tests.support.plates_page import FOLDER, Reply, served
from tests.support.plates_suite import answer

INSIDE = re.compile(r"http://127\.0\.0\.1[:/]|data:")
BEGIN_S = 1_790_000_000
HOSTILE = "<img src=x onerror=alert(1)>&\"'"
JPEG = pictures.encoded(pictures.quarters(320, 240))


class Server:
    """Answers the page; `asked` are the requests it saw."""

    def __init__(self, *replies: tuple[int, dict[str, Any]]) -> None:
        self.asked: list[tuple[str, str, dict[str, Any], dict[str, str]]] = []
        self._replies = list(replies)

    def __call__(self, method: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append((method, path, body, headers))
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def photo(self) -> Image.Image:
        """The photo of the last reading."""
        return Image.open(io.BytesIO(base64.b64decode(self.asked[-1][2]["image"])))


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end nothing was complained about, and nothing but the server was asked."""
    opened: list[tuple[Any, Any, list[str], str]] = []

    def open_page(reply: Reply, *, excused: str = "nothing", clock: bool = False, **options: Any) -> Any:
        context = served(reply)
        url = context.__enter__()
        page = browser.new_page(**options)
        page.set_default_timeout(120_000)
        said: list[str] = []

        def complain(text: str) -> bool:
            said.append(text)
            return True

        page.on("console", lambda message: complain(message.text))
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("dialog", lambda dialog: (complain("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: INSIDE.match(request.url) or complain(f"outside: {request.url}"))
        if clock:
            page.clock.install(time=BEGIN_S - 3600)  # long before: it flows until it is paused
            page.clock.pause_at(BEGIN_S + 1)  # it flows by itself otherwise
        page.goto(url)
        opened.append((page, context, said, excused))
        return page

    yield open_page
    for page, context, said, excused in opened:
        page.close()
        context.__exit__(None, None, None)
        assert [text for text in said if excused not in text] == []


def choose(page: Any, photo: bytes = JPEG, *, expect: str = "done", name: str = "car.jpg", kind: str = "image/jpeg") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": photo})
    page.wait_for_selector(f"#status[data-state={expect}]")


def green_pixels(page: Any) -> int:
    """How much of the photo is covered by the outline of the chosen plate."""
    count: int = page.evaluate(
        """() => { const one = document.querySelector('#photo');
          const data = one.getContext('2d').getImageData(0, 0, one.width, one.height).data; let found = 0;
          for (let at = 0; at < data.length; at += 4)
            found += data[at] < 90 && data[at + 1] > 230 && data[at + 2] > 110 && data[at + 2] < 180;
          return found; }"""
    )
    return count


def test_a_photo_is_read_and_shown(look: Callable[..., Any]) -> None:
    server = Server((200, answer()))
    page = look(server)
    choose(page)
    assert page.locator("#plate").inner_text() == "S168319"
    assert "89.2 % sure" in page.locator("#sure").inner_text()
    assert "S16831B" in page.locator("#candidates tbody").inner_text()
    assert page.locator("#candidates tbody tr").count() == 1
    assert green_pixels(page) > 100
    assert page.locator("#crop").is_visible()
    assert "S168319" in page.locator("#photo").get_attribute("aria-label")
    assert server.asked[0][:2] == ("POST", "plates-page/read")
    assert server.asked[0][2]["country"] == "us"
    page.select_option("#country", "eu")
    page.wait_for_selector("#status[data-state=done]")
    assert server.asked[-1][2]["country"] == "eu"


def test_hostile_plates_are_text(look: Callable[..., Any]) -> None:
    reply = answer(HOSTILE)
    reply["results"] = [{**reply["results"][0], "region": HOSTILE}, {**reply["results"][0], "plate": HOSTILE * 9}]
    page = look(Server((200, reply)))
    choose(page)
    assert HOSTILE in page.locator("#plate").inner_text()
    assert HOSTILE in page.locator("#plates").inner_text()
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize(
    "reply",
    [{}, {"results": None}, {"results": [{}]}, {"results": [{"plate": 7, "confidence": "x", "candidates": 3, "coordinates": [{"x": "1"}, None]}]}],
)
def test_an_odd_answer_breaks_nothing(look: Callable[..., Any], reply: dict[str, Any]) -> None:
    page = look(Server((200, reply)))
    choose(page, expect="done" if reply.get("results") else "none")


def test_several_plates_can_be_chosen(look: Callable[..., Any]) -> None:
    reply = answer()
    other = [{"x": 200, "y": 10}, {"x": 300, "y": 10}, {"x": 300, "y": 40}, {"x": 200, "y": 40}]
    reply["results"].append({**reply["results"][0], "plate": "OTHER1", "coordinates": other})
    page = look(Server((200, reply)))
    choose(page)
    page.locator("#plates button", has_text="OTHER1").click()
    assert page.locator("#plate").inner_text() == "OTHER1"
    assert page.locator("#plates button[aria-pressed=true]").inner_text() == "OTHER1"


def test_a_large_photo_is_made_small_upright_and_without_exif(look: Callable[..., Any]) -> None:
    noise = Image.effect_noise((4200, 3000), 90).convert("RGB")
    server = Server((200, answer()))
    page = look(server)
    photo = pictures.with_orientation(6, noise)
    assert len(photo) > 3_000_000
    choose(page, photo)
    sent = server.photo()
    assert len(server.asked[-1][2]["image"]) * 3 // 4 <= 540_000
    assert sent.format == "JPEG"
    assert sent.height > sent.width, "turned as the camera was held"
    assert not dict(sent.getexif())
    assert b"SECRETCAM" not in base64.b64decode(server.asked[-1][2]["image"])


def test_a_transparent_png_is_read_too(look: Callable[..., Any]) -> None:
    server = Server((200, answer()))
    page = look(server)
    choose(page, pictures.encoded(Image.new("RGBA", (90, 60), (0, 0, 0, 0)), "PNG"), name="x.png", kind="image/png")
    assert server.photo().getpixel((45, 30)) == (0, 0, 0, 0), "as it is: the reader puts it on white"
    choose(page, pictures.encoded(Image.new("RGBA", (90, 60), (0, 0, 0, 0)), "GIF"), name="x.gif", kind="image/gif")
    assert (server.photo().format, server.photo().getpixel((45, 30))) == ("JPEG", (255, 255, 255)), "drawn anew, it is on white"


SECRET = "SECRETCAM"


def small(kind: str, **options: Any) -> bytes:
    """A small photo of a kind with everything beside the picture that Pillow can write, and bytes after its end."""
    exif = Image.Exif()
    exif[0x010F] = SECRET
    exif[0x8825] = {1: "N", 2: (41.0, 52.0, 55.0)}
    beside: dict[str, Any] = {"exif": exif, "icc_profile": f"profile {SECRET}".encode(), "xmp": f"<x>{SECRET}</x>".encode(), "comment": SECRET}
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Author", SECRET)
        info.add_itxt("Place", SECRET, zip=True)
        beside = {"exif": exif, "icc_profile": beside["icc_profile"], "pnginfo": info, "dpi": (72, 72)}
    if kind == "WEBP":
        beside.pop("comment")
    return pictures.encoded(pictures.car(), kind, **beside, **options) + f"after {SECRET}".encode()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG", {"subsampling": 0, "quality": 60, "restart_marker_rows": 1}), ("JPEG", {"keep_rgb": True}),
        ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}),
    ],
)  # fmt: skip
def test_a_small_photo_goes_as_it_is_without_what_stands_beside_it(look: Callable[..., Any], kind: str, options: dict[str, Any]) -> None:
    """Drawn anew it reads worse than sent to the action itself; what is sent decodes to the very same pixels."""
    server = Server((200, answer()))
    page = look(server)
    photo = small(kind, **options)
    assert photo.count(SECRET.encode()) >= 3
    choose(page, photo)
    sent = base64.b64decode(server.asked[-1][2]["image"])
    assert server.photo().format == kind
    assert server.photo().convert("RGB").tobytes() == Image.open(io.BytesIO(photo)).convert("RGB").tobytes()
    assert len(sent) < len(photo)
    for trace in (SECRET, "Exif", "GPS", "ICC", "xmp", "profile", "after"):
        assert trace.encode() not in sent
    assert not server.photo().getexif()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("number", [3, 6])
def test_a_small_photo_that_lies_on_its_side_is_turned(look: Callable[..., Any], kind: str, number: int) -> None:
    server = Server((200, answer()))
    page = look(server)
    exif = Image.Exif()
    exif[0x0112] = number
    choose(page, pictures.encoded(pictures.quarters(320, 240), kind, exif=exif))
    assert not server.photo().getexif()
    if kind == "JPEG":  # the one kind for which browsers agree on it
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(pictures.encoded(pictures.quarters(320, 240), kind, exif=exif))))
        assert server.photo().size == upright.size
        difference = ImageChops.difference(server.photo().convert("RGB"), upright.convert("RGB"))
        assert max(ImageStat.Stat(difference).rms) < 8


def test_nothing_of_an_earlier_photo_survives_the_choice_of_another(look: Callable[..., Any]) -> None:
    server = Server((200, answer()))
    page = look(server)
    choose(page)
    page.locator("#report-box summary").click()
    page.fill("#note", "the first one")
    assert page.locator("#send").is_enabled()
    assert page.input_value("#time") != ""
    choose(page, b"no photo at all", expect="bad", name="other.jpg")
    assert page.locator("#send").is_disabled()
    assert page.locator("#result").is_hidden()
    assert page.locator("#photo").is_hidden()
    assert page.locator("#invite").is_visible()
    assert page.input_value("#time") == ""
    assert "S168319" not in page.inner_html("main")
    page.evaluate("document.querySelector('#report').requestSubmit()")
    page.select_option("#country", "eu")
    choose(page)
    assert [path for _, path, _, _ in server.asked] == ["plates-page/read"] * 2, "nothing was sent of the first"
    assert page.locator("#send").is_enabled()


def test_a_report_of_an_earlier_photo_is_not_told_as_the_next_ones(look: Callable[..., Any]) -> None:
    waiting = (200, {"id": "abc", "status": "waiting"})
    server = Server((200, answer()), (202, {"id": "abc", "status": "waiting"}), waiting, (200, answer()), waiting)
    page = look(server, clock=True)
    choose(page)
    page.locator("#report-box summary").click()
    page.click("#send")
    page.locator("#report-status", has_text="Taken as abc").wait_for()
    assert page.locator("#send").is_disabled()
    page.set_input_files("#file", {"name": "b.txt", "mimeType": "image/jpeg", "buffer": b"no photo"})
    page.wait_for_selector("#status[data-state=bad]")
    assert "abc" not in page.locator("#report-status").inner_text()
    page.clock.run_for(5000)
    assert page.locator("#report-status").get_attribute("data-state") == "idle"
    assert page.locator("#send").is_disabled()


def test_a_report_that_failed_says_why(look: Callable[..., Any]) -> None:
    failed = (200, {"id": "abc", "status": "failed", "reason": f"Failed to pull container image {HOSTILE}."})
    page = look(Server((200, answer()), (202, {"id": "abc", "status": "waiting"}), failed))
    choose(page)
    page.locator("#report-box summary").click()
    page.click("#send")
    page.wait_for_selector("#report-status[data-state=bad]")
    assert HOSTILE in page.locator("#report-status").inner_text()
    assert page.locator("#send").is_enabled()


def test_a_report_whose_answer_was_lost_is_the_same_one_when_it_is_sent_again(look: Callable[..., Any]) -> None:
    ids: list[str] = []

    def reply(method: str, path: str, body: dict[str, Any], _headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path.endswith("read"):
            return 200, answer()
        if method == "POST":
            ids.append(body["id"])
            return 202, {"id": body["id"], "status": "waiting"}
        return 200, {"status": "stored", "document": {"plate": "S168319"}}

    page = look(reply, excused="ERR_FAILED")
    choose(page)
    page.locator("#report-box summary").click()
    page.route("**/report", lambda route: (route.fetch(), route.abort()), times=1)
    page.click("#send")
    page.wait_for_selector("#report-status[data-state=bad]")
    for note in ("", "", "another report"):
        page.fill("#note", note)
        page.click("#send")
        page.wait_for_selector("#report-status[data-state=work]")
        page.wait_for_selector("#report-status[data-state=done]")
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


def test_a_report_is_sent_once_however_often_the_form_is_submitted(look: Callable[..., Any]) -> None:
    server = Server((200, answer()), (202, {"id": "abc", "status": "waiting"}), (200, {"id": "abc", "status": "stored", "document": {}}))
    page = look(server)
    choose(page)
    page.locator("#report-box summary").click()
    page.evaluate("() => [1, 2, 3].forEach(() => document.querySelector('#report').requestSubmit())")
    page.wait_for_selector("#report-status[data-state=done]")
    assert [method for method, path, _, _ in server.asked if path == "report"] == ["POST"]


PAGES = {
    "plates": lambda: page_of.assemble(FOLDER, styles=plates_page.STYLES, scripts=plates_page.SCRIPTS),
    "dashboard": lambda: dashboard_page.assemble(DASHBOARD),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_nothing_inside_another_one(browser: Any, name: str) -> None:
    """OpenWhisk drops the header that keeps it out of there, where it is asked for as `.html`."""
    outside = browser.new_page()
    outside.set_content(f'<iframe srcdoc="{html.escape(PAGES[name]()[0])}"></iframe>')
    inside = outside.frame_locator("iframe").locator("body")
    assert inside.inner_text() == "This page is not shown inside another one."
    outside.close()


def test_a_look_that_nobody_answers_is_made_again(look: Callable[..., Any]) -> None:
    stored = (200, {"status": "stored", "document": {"plate": None, "status": "refused", "redacted": True, "refused": {"reason": HOSTILE}}})
    server = Server((200, answer()), (202, {"id": "abc", "status": "waiting"}), (504, {"error": "a proxy's"}), stored)
    page = look(server, excused="o")
    page.route("**/report/abc", lambda route: route.abort(), times=1)
    choose(page)
    page.locator("#report-box summary").click()
    page.click("#send")
    page.locator("#report-status", has_text="Taken as abc; The server cannot be reached.").wait_for()
    page.locator("#report-status", has_text="Taken as abc; a proxy's").wait_for()
    page.wait_for_selector("#report-status[data-state=done]")
    assert f"Stored as abc, no readable plate ({HOSTILE})" in page.locator("#report-status").inner_text()


@pytest.mark.parametrize(
    ("refusal", "said"),
    [((429, {"code": "quota", "error": "20 photos a minute", "retry_after_s": 3}), "20 photos a minute Next try in 3 s."), ((429, {"error": "Too many requests in the last minute", "code": "x"}), "Too many requests")],
)
def test_a_reader_too_many_waits_and_goes_on(look: Callable[..., Any], refusal: tuple[int, dict[str, Any]], said: str) -> None:
    server = Server(refusal, (200, answer()))
    page = look(server, excused="status of 429", clock=True)
    choose(page, expect="wait")
    assert said in page.locator("#status").inner_text()
    for _ in range(61):
        page.clock.run_for(1000)
    page.wait_for_selector("#status[data-state=done]")
    assert len(server.asked) == 2


def test_what_is_no_photo_is_told(look: Callable[..., Any]) -> None:
    server = Server((200, answer()))
    page = look(server)
    choose(page, b"%PDF-1.4", expect="bad", name="<b>bill.pdf", kind="image/jpeg")
    assert "<b>bill.pdf" in page.locator("#status").inner_text()
    assert server.asked == []


def test_a_dropped_photo_is_taken(look: Callable[..., Any]) -> None:
    page = look(Server((200, answer())))
    data = base64.b64encode(JPEG).decode()
    page.evaluate(
        """(data) => { const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          const transfer = new DataTransfer(); transfer.items.add(new File([bytes], 'a.jpg', { type: 'image/jpeg' }));
          document.querySelector('#drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })); }""",
        data,
    )
    page.wait_for_selector("#status[data-state=done]")


def test_no_plate_and_refusals_are_told(look: Callable[..., Any]) -> None:
    page = look(Server((200, answer() | {"results": [], "plate": None}), (422, {"code": "truncated", "error": HOSTILE})), excused="status of 422")
    choose(page, expect="none")
    assert page.locator("#result").is_hidden()
    choose(page, expect="bad")
    assert page.locator("#status").inner_text() == HOSTILE


def test_a_reader_that_is_being_built_is_waited_for(look: Callable[..., Any]) -> None:
    server = Server((503, {"code": "not-running", "error": "it is being built", "retry_after_s": 10}), (200, answer()))
    page = look(server, excused="status of 503", clock=True)
    choose(page, expect="wait")
    assert "it is being built Next try in" in page.locator("#status").inner_text()
    for _ in range(11):
        page.clock.run_for(1000)
    page.wait_for_selector("#status[data-state=done]")
    assert len(server.asked) == 2


def test_a_report_is_sent_and_followed(look: Callable[..., Any]) -> None:
    taken = (202, {"id": "abc", "status": "waiting"})
    stored = (200, {"status": "stored", "document": {"plate": HOSTILE, "expires_at": "2026-06-01T00:00:00.000Z"}})
    server = Server((200, answer()), (401, {"error": "no"}), taken, (200, {"status": "waiting"}), stored)
    page = look(server, excused="status of 401")
    assert page.locator("#send").is_disabled()
    choose(page)
    page.locator("#report-box summary").click()
    page.fill("#place", "Clark & Lake")
    page.fill("#lat", "41,88")
    page.fill("#lon", "-87.63")
    page.fill("#company", HOSTILE)
    page.fill("#key", "k")
    page.click("#send")
    page.wait_for_selector("#report-status[data-state=bad]")
    page.click("#send")
    page.wait_for_selector("#report-status[data-state=done]")
    assert f"plate {HOSTILE}, kept until 2026-06-01" in page.locator("#report-status").inner_text()
    method, path, body, headers = server.asked[2]
    assert (method, path, headers["x-hort-key"]) == ("POST", "report", "k")
    assert body["place"] == {"lat": 41.88, "lon": -87.63, "text": "Clark & Lake"}
    assert (body["company"], body["image"]) == (HOSTILE, server.asked[0][2]["image"])
    assert server.asked[3][:2] == ("GET", "report/abc")


@pytest.mark.parametrize("width", [320, 390, 820, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_any_width(look: Callable[..., Any], width: int, scheme: str) -> None:
    reply = answer("W" * 60)
    page = look(Server((200, reply)), viewport={"width": width, "height": 800}, color_scheme=scheme)
    choose(page, pictures.encoded(pictures.quarters(1600, 900)))
    page.locator("#report-box summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == (scheme == "dark")


def test_it_can_be_used_without_seeing(look: Callable[..., Any]) -> None:
    page = look(Server((200, answer())))
    choose(page)
    page.locator("#report-box summary").click()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('select, input, textarea, button')]
            .filter((one) => !one.labels?.length && !one.textContent.trim() && !one.getAttribute('aria-label')).map((one) => one.id)"""
    )
    assert unnamed == []
