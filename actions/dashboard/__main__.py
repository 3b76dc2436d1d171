"""Web action `dashboard`: the page to look at, and its data under `/data`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hort.dashboard.web import answer

FOLDER = Path(__file__).resolve().parent


def main(args: dict[str, Any]) -> dict[str, Any]:
    return answer(args, folder=FOLDER)
