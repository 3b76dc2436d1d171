"""What devices sent, on an operator's terminal and in a pipe."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from demonstrate.facts import Facts
from demonstrate.view import LiveView, PlainView, View
from operate import command, trace
from operate.tracing import Trace

HOSTILE = "a\x1b]0;title\x07\x1b[2Jb\nforged line\r\x7f\x9b31m\u202eevil\u2066[red]"


class Terminal(io.TextIOWrapper):
    def __init__(self, *, is_one: bool) -> None:
        super().__init__(io.BytesIO(), "utf-8", newline="\n")
        self._is_one = is_one

    def isatty(self) -> bool:
        return self._is_one

    def written(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def harmless(text: str, *, lines: int) -> None:
    assert text.count("\n") == lines
    assert not set(text) & set("\x1b\x07\r\x7f\x9b\u202e\u2066")
    assert "forged line" in text, "it is shown all the same"


def test_a_line_of_others_is_one_line_that_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    command.say(HOSTILE)
    assert command.carried_out(refusing) == command.USAGE
    found = capsys.readouterr()
    harmless(found.out, lines=1)
    harmless(found.err, lines=1)


def refusing() -> int:
    raise command.Refused(HOSTILE)


def test_a_payload_goes_as_it_is_to_a_pipe_and_harmless_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    content = HOSTILE.encode() + b"\xff\n"
    for is_one in (False, True):
        out = Terminal(is_one=is_one)
        monkeypatch.setattr(sys, "stdout", out)
        command.payload(content)
        if is_one:
            harmless(out.written().decode(), lines=3)
        else:
            assert out.written() == content


def test_a_trace_says_what_devices_sent_in_lines_of_its_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = Trace(what="record", id=HOSTILE, message={"topic": HOSTILE})

    class Tracer:
        def trace(self, _name: str) -> Trace:
            return found

    monkeypatch.setattr(trace, "_tracer", lambda _options: Tracer())
    monkeypatch.setattr(sys, "argv", ["trace", "x"])
    trace.main()
    harmless(capsys.readouterr().out, lines=len(list(trace.lines(found))))


@pytest.fixture
def facts() -> Facts:
    window = {"window_end": "2026-01-01T00:00:00Z", "devicetype": HOSTILE, "count": 1, "properties": {"avg": {HOSTILE: 1.0}}}
    return Facts(last_windows=(window,), by_model={HOSTILE: {"ok": 1}}, problems=(HOSTILE,))


def test_neither_view_of_the_demo_obeys_a_device(facts: Facts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = PlainView()
    monkeypatch.setattr(plain, "PERIOD_S", 0)
    plain.show(facts, rate=1, left=None)
    harmless(capsys.readouterr().out, lines=2)

    out = io.StringIO()
    live = LiveView(Console(file=out, width=400, color_system=None))
    for shown in (live._windows(facts), live._models(facts), live._problems(facts)):
        live._console.print(shown)
    live.say(HOSTILE)
    live.warn(HOSTILE)
    assert not set(out.getvalue()) & set("\x1b\x07\r\x7f\x9b\u202e\u2066")
    assert out.getvalue().count("[red]") == 6, "nor is it markup"


@pytest.mark.parametrize("view", ["plain", "live"])
def test_a_text_of_the_demo_keeps_its_own_lines(view: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown: View = PlainView() if view == "plain" else LiveView(Console())
    shown.say("demo: nothing was started:\n  HORT_TOPICS is \x1b[2J")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("demo: nothing was started:")
    assert lines[1] == r"  HORT_TOPICS is \x1b[2J"


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    code = "from operate.command import carried_out, say; raise SystemExit(carried_out(lambda: [say('x' * 99) for _ in range(9999)] and 0))"
    done = subprocess.run(["sh", "-c", '"$0" -c "$1" | head -n 1', sys.executable, code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("x" * 99 + "\n", "")
