"""Kinds of command line arguments: what cannot be used is named by argparse at once."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

LAST_PORT = 65_535


def port(text: str) -> int:
    """A TCP port, 0 for any."""
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be from 0 to {LAST_PORT}, got {text}")
    return int(text)


def above_zero(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return value


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text}")
    return int(text)


def resolved(text: str) -> Path:
    """An absolute path, links followed."""
    try:
        return Path(text).resolve()
    except (OSError, RuntimeError):  # links that lead to one another
        raise argparse.ArgumentTypeError(f"{text} leads nowhere") from None


def new_file(text: str) -> Path:
    """A file that can be written at the end: its folder is there."""
    path = resolved(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file in an existing folder")
    return path
