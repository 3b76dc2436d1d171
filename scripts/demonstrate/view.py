"""What the person in front of the terminal sees: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich import box
from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demonstrate.facts import Facts
from localwhisk.lines import printable

STATISTICS = (("avg", "average"), ("std", "std"), ("min", "min"), ("max", "max"))
"""Of a window's properties, with their headings."""
WIDE = 70
"""Columns of a terminal that has room for all of them."""


class View(Protocol):
    """How the demo tells what it does."""

    def step(self, text: str) -> None:
        """A step of the start begins (the one before has ended)."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def warn(self, text: str) -> None:
        """A line that stays and must not be overlooked."""

    def close(self) -> None:
        """Ends what is live, so that plain lines can follow."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The time in which `show` is called."""

    def show(self, facts: Facts, *, rate: float, left: float | None) -> None:
        """New facts; `rate` in records a second, `left` in seconds."""


def _clock(seconds: float | None) -> str:
    return "until Ctrl-C" if seconds is None else f"{max(0, round(seconds))} s left"


class PlainView:
    """Lines for logs and pipes."""

    PERIOD_S = 5.0

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown = 0.0
        self._trouble = ""

    def step(self, text: str) -> None:
        """One line a step, with the seconds since the start."""
        self.say(f"{text} ...")

    def say(self, text: str) -> None:
        """One line, or each of its own."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {_lines(text)}", flush=True)

    def warn(self, text: str) -> None:
        """One line."""
        self.say(f"WARNING: {text}")

    def close(self) -> None:
        """Nothing is live."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Nothing to set up."""
        yield

    def show(self, facts: Facts, *, rate: float, left: float | None) -> None:
        """One line every few seconds."""
        if time.monotonic() - self._shown < self.PERIOD_S:
            return
        self._shown = time.monotonic()
        counts = facts.documents
        models = ", ".join(f"{name} {_statuses(states)}" for name, states in facts.by_model.items()) or "no results yet"
        self.say(
            f"{rate:.0f} records/s | published {facts.published}, stored {counts.get('all-events', 0)}, "
            f"windows {facts.windows}, waiting {facts.waiting}, dead letters {counts.get('dead-letters', 0)} | "
            f"{printable(models)} | {_clock(left)}"
        )
        for problem in facts.problems:
            self.say(f"not answering: {printable(problem)}")
        if facts.trouble and facts.trouble != self._trouble:
            self.say(printable(facts.trouble))
        self._trouble = facts.trouble


def _statuses(states: object) -> str:
    return " ".join(f"{status} {count}" for status, count in states.items()) if isinstance(states, dict) else ""


class LiveView:
    """A screenful that is kept current."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._last: Columns | None = None
        self._progress: Progress | None = None

    def step(self, text: str) -> None:
        """A spinner with the step and its time."""
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn(), console=self._console
            )
            self._progress.start()
        self._finish_steps()
        self._progress.add_task(text, total=None)

    def say(self, text: str) -> None:
        """A line above whatever is live."""
        self._console.print(_lines(text), highlight=False, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line in red above whatever is live."""
        self._console.print(f"WARNING: {_lines(text)}", style="bold red", highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Leaves the steps as lines that stay."""
        if self._progress is not None:
            self._finish_steps()
            self._progress.stop()
            self._progress = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Swaps the list of steps for the live view, which goes away at its end."""
        self.close()
        try:
            with Live(console=self._console, refresh_per_second=4, transient=True) as live:
                self._live = live
                try:
                    yield
                finally:
                    live.update(Text())  # whole, it may be higher than the window, and part of it would stay
        finally:
            self._live = None
            if self._last is not None:
                self._console.print(self._last)

    def show(self, facts: Facts, *, rate: float, left: float | None) -> None:
        """Draws the facts."""
        self._last = self._counts(facts, rate)
        if self._live is not None:
            self._live.update(
                Panel(
                    Group(self._last, *self._problems(facts), self._windows(facts), self._models(facts)),
                    title="HoRT",
                    subtitle=f"{_clock(left)} - Ctrl-C stops everything",
                )
            )

    def _finish_steps(self) -> None:
        for task in self._progress.tasks if self._progress else ():
            if self._progress and not task.finished:
                self._progress.update(task.id, total=1, completed=1)

    @staticmethod
    def _counts(facts: Facts, rate: float) -> Columns:
        counts = facts.documents
        return Columns(
            [
                f"[bold]{rate:.0f}[/] records/s",
                f"published [bold]{facts.published}[/]",
                f"stored [bold]{counts.get('all-events', 0)}[/]",
                f"waiting [bold]{facts.waiting}[/] batches",
                f"dead letters [bold]{counts.get('dead-letters', 0)}[/]",
                f"alarms [bold]{counts.get('alarms', 0)}[/]",
                f"fires {facts.fires}",
                f"invocations {facts.invocations}",
            ],
            padding=(0, 2),
        )

    def _windows(self, facts: Facts) -> Table:
        table = Table(title="last windows by device type", title_justify="left", expand=True, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        statistics = STATISTICS if self._console.width >= WIDE else STATISTICS[:1]
        for column in ("closed", "device type", "field"):
            table.add_column(column, no_wrap=column != "field")
        for column in ("records", *(column for _, column in statistics)):
            table.add_column(column, justify="right", no_wrap=True)
        for window in facts.last_windows:
            properties = window["properties"]
            for name in sorted(properties.get("avg", {}))[:3]:
                values = [properties.get(what, {}).get(name) for what, _ in statistics]
                cells = ["" if value is None else f"{value:,.2f}" for value in values]
                table.add_row(str(window["window_end"])[11:19], _foreign(window["devicetype"]), _foreign(name), str(window["count"]), *cells)
        return table

    @staticmethod
    def _models(facts: Facts) -> Table:
        table = Table(title="models", title_justify="left", expand=True, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column in ("model", "ok", "error", "timeout", "open"):
            table.add_column(column, justify="left" if column == "model" else "right")
        for name, states in facts.by_model.items():
            table.add_row(_foreign(name), *(str(states.get(status, 0)) for status in ("ok", "error", "timeout", "open")))
        return table

    @staticmethod
    def _problems(facts: Facts) -> list[Text]:
        lines = [f"not answering: {problem}" for problem in facts.problems] + ([facts.trouble] if facts.trouble else [])
        return [Text(printable(line), style="red") for line in lines]


def _lines(text: str) -> str:
    """Our own text, which may have lines, with what a terminal would obey in what it quotes spelled out."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _foreign(text: str) -> Text:
    """What somebody else wrote: neither markup nor anything that a terminal obeys."""
    return Text(printable(text))
