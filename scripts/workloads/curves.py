"""Curves of text: how a figure went over time, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 64


def curve(values: Sequence[float], *, width: int = WIDTH) -> str:
    """Bars from zero to the largest value; each stands for the largest of its share of the time."""
    if not values:
        return ""
    columns = min(width, len(values))
    shares = [values[len(values) * at // columns : len(values) * (at + 1) // columns] for at in range(columns)]
    top = max(values) or 1.0
    return "".join(BARS[min(len(BARS) - 1, int(max(share) / top * len(BARS)))] if max(share) > 0 else " " for share in shares)


def show(title: str, rows: dict[str, Sequence[float]]) -> None:
    """One line a figure: at first, largest, at last, and the curve."""
    table = Table(title=title, title_justify="left")
    for name in ("figure", "first", "largest", "last"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    table.add_column("over time")
    for name, values in rows.items():
        if values:
            table.add_row(name, *(f"{value:,.0f}" for value in (values[0], max(values), values[-1])), curve(values))
    Console(width=140).print(table)
