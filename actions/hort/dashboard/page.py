"""The dashboard's page: which files it is made of."""

from __future__ import annotations

from pathlib import Path

from hort import page

STYLES = ("uPlot.min.css", "page.css")
LIBRARY = "uPlot.iife.min.js"
SCRIPTS = ("format.js", "charts.js", "tables.js", "known.js", "page.js")


def assemble(folder: Path) -> tuple[str, dict[str, str]]:
    """The page and its headers."""
    return page.assemble(folder, styles=STYLES, scripts=SCRIPTS, library=LIBRARY)
