"""What the live view shows on terminals as they are, and what it leaves behind."""

import io

import pytest
from rich.console import Console

from demonstrate.facts import Facts
from demonstrate.view import LiveView

VALUES = {"num_bikes_available": 8.5, "num_docks_available": 9.1, "num_ebikes_available": 3.4}
WINDOW = {"window_end": "2026-12-01T03:40:30.000Z", "devicetype": "divvy", "count": 897, "properties": dict.fromkeys(("avg", "std", "min", "max"), VALUES)}
FACTS = Facts(
    published=123_456,
    documents={"all-events": 123_450, "dead-letters": 12, "alarms": 3},
    by_model={"anomaly": {"ok": 123_456}, "echo": {"ok": 123_455, "timeout": 1}},
    waiting=1,
    fires=300,
    invocations=600,
    last_windows=(WINDOW, WINDOW, WINDOW),
    unconnected=("/guest/mine",),
)
COUNTS = ("53 records/s", "published 123456", "stored 123450", "waiting 1 batches", "dead letters 12", "alarms 3", "fires 300", "invocations 600")


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw as on a usual terminal, whatever the tests run in: rich draws nothing on a dumb one."""
    monkeypatch.setenv("TERM", "xterm-256color")


def _shown(width: int) -> list[str]:
    """The lines of the view's last picture."""
    console = Console(file=io.StringIO(), width=width, height=100, force_terminal=True, color_system=None)
    view = LiveView(console)
    with view.watching():
        view.show(FACTS, rate=53.4, left=None)
        assert view._live
        view._live.refresh()
        text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)[text.rindex("╭") :].splitlines()


@pytest.mark.parametrize("width", [200, 80, 60, 40, 30])
def test_every_count_is_whole_however_narrow_the_window(width: int) -> None:
    lines = _shown(width)
    assert [count for count in COUNTS if not any(count in line for line in lines)] == []
    assert any("/guest/mine" in line for line in lines[:14]), "trouble stands above the tables, which a low window cuts"


def test_a_usual_terminal_shows_all() -> None:
    lines = _shown(80)
    assert len(lines) <= 24
    assert any(line.split()[1:] == ["anomaly", "123456", "0", "0", "0", "│"] for line in lines)
    assert any(all(text in line for text in ("03:40:30", "divvy", "897", "8.50")) for line in lines)


def test_nothing_of_it_stays_in_a_window_that_is_too_low() -> None:
    """At its end the whole view was drawn again, higher than the window: what had left it above could not be taken back."""
    console = Console(file=io.StringIO(), width=80, height=10, force_terminal=True, color_system=None)
    view = LiveView(console)
    with view.watching():
        view.show(FACTS, rate=53.4, left=None)
        assert view._live
        view._live.refresh()
        before = len(console.file.getvalue())  # type: ignore[attr-defined]
    assert "╭" not in console.file.getvalue()[before:]  # type: ignore[attr-defined]
