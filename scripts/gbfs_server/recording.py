"""A recording: one station_status document a line, plain or gzip, read as a stream."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE = 64 * 1024 * 1024


class RecordingError(Exception):
    """A recording cannot be used; the message names the file, the line and the field."""


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is not blank."""
    try:
        with _open(path) as stream:
            number = 0
            while line := stream.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise RecordingError(f"{path.name} line {number}: longer than {MAX_LINE} bytes")
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path.name}: {error}") from error


def document(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """The document of a line, with `last_updated` and `data.stations`."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise RecordingError(f"{path.name} line {number}: not JSON ({error})") from error
    if not isinstance(value, dict) or type(value.get("last_updated")) is not int:
        raise RecordingError(f"{path.name} line {number}: 'last_updated' must be POSIX seconds")
    data = value.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("stations"), list):
        raise RecordingError(f"{path.name} line {number}: 'data.stations' must be a list")
    return value


def times(path: Path) -> list[int]:
    """`last_updated` of every document, which must not go back."""
    result: list[int] = []
    for number, line in lines(path):
        time = document(path, number, line)["last_updated"]
        if result and time < result[-1]:
            raise RecordingError(
                f"{path.name} line {number}: 'last_updated' goes back from {result[-1]} to {time}"
            )
        result.append(time)
    if not result:
        raise RecordingError(f"{path.name}: no documents")
    return result


def stations_of(path: Path) -> tuple[int, list[dict[str, Any]]]:
    """`last_updated` and rows of a station_information document."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path.name}: {error}") from error
    value = document(path, 1, raw)
    return value["last_updated"], value["data"]["stations"]


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        packed = stream.read(2) == GZIP_MAGIC
    return cast("BinaryIO", gzip.open(path)) if packed else path.open("rb")
