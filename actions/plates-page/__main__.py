"""Web action `plates-page`: the page that has a photo's plate read, and its `/read`, see `hort.plates_page`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hort.plates_page import answer

FOLDER = Path(__file__).resolve().parent


def main(args: dict[str, Any]) -> dict[str, Any]:
    return answer(args, folder=FOLDER)
