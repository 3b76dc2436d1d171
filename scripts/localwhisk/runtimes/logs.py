"""The log lines of one activation, in the form OpenWhisk keeps: time padded to 30, stream, text."""

from __future__ import annotations

import time
from typing import Literal, Protocol

from localwhisk.runtimes import texts

Stream = Literal["stdout", "stderr"]

_ENTRY_OVERHEAD = len('{"log":"","stream":"stdout","time":""}\n')
_NEWLINE_ESCAPED = 2


def timestamp(ns: int) -> str:
    """Format epoch nanoseconds as Go's RFC3339Nano does (no trailing zeros), UTC."""
    seconds, rest = divmod(ns, 1_000_000_000)
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    fraction = f"{rest:09d}".rstrip("0")
    return f"{base}.{fraction}Z" if fraction else f"{base}Z"


def _weight(text: bytes, stamp: str) -> int:
    """Count the bytes Docker's json-file driver would spend on a line; the limit counts these."""
    escapes = text.count(b'"') + text.count(b"\\") + text.count(b"\t")
    markup = text.count(b"<") + text.count(b">") + text.count(b"&")
    return _ENTRY_OVERHEAD + len(text) + _NEWLINE_ESCAPED + escapes + 5 * markup + len(stamp)


class Logs(Protocol):
    """Takes what a process writes."""

    def feed(self, stream: Stream, chunk: bytes) -> None:
        """Take bytes as they were read."""


class LogCollector:
    """Turns what a process writes into lines, up to the action's limit.

    A limit of 0 collects nothing. Bytes beyond the limit are dropped as they come, so memory is bounded.
    """

    def __init__(self, limit_mb: int) -> None:
        self._limit = limit_mb * texts.MEGABYTE
        self._left = self._limit
        self._full = limit_mb == 0
        self._lines: list[str] = []
        self._partial: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def feed(self, stream: Stream, chunk: bytes) -> None:
        """Take bytes as they were read; a line is complete at its newline."""
        if self._full or not chunk:
            return
        stamp = timestamp(time.time_ns())
        *complete, rest = (self._partial[stream] + chunk).split(b"\n")
        for line in complete:
            self._add(stream, line, stamp)
        while len(rest) > texts.LOG_FRAME:
            self._entry(stream, rest[: texts.LOG_FRAME], stamp)
            rest = rest[texts.LOG_FRAME :]
        self._partial[stream] = rest

    def note(self, text: str) -> None:
        """Add a line of the runtime's own to stderr, beyond the limit if need be."""
        if self._limit == 0:
            return
        self._lines.append(f"{timestamp(time.time_ns()):<30} stderr: {text}")

    def finish(self, *, failed: bool) -> list[str]:
        """Close the activation's logs: last lines without newline are kept, a failure is noted."""
        stamp = timestamp(time.time_ns())
        for stream, rest in self._partial.items():
            if rest:
                self._add(stream, rest, stamp)
        self._partial = {"stdout": b"", "stderr": b""}
        if failed:
            self.note(texts.LOGS_MIGHT_MISS)
        return self._lines

    def _add(self, stream: Stream, line: bytes, stamp: str) -> None:
        while len(line) > texts.LOG_FRAME:
            self._entry(stream, line[: texts.LOG_FRAME], stamp)
            line = line[texts.LOG_FRAME :]
        self._entry(stream, line, stamp)

    def _entry(self, stream: Stream, text: bytes, stamp: str) -> None:
        if self._full:
            return
        self._left -= _weight(text, stamp)
        if self._left < 0:
            self._full = True
            self.note(texts.logs_truncated(self._limit))
            return
        self._lines.append(f"{stamp:<30} {stream}: {text.decode('utf-8', 'replace')}")


class ProxyLogs:
    """Passes on what an action proxy writes, without the line by which it marks the end of an activation."""

    def __init__(self, logs: LogCollector) -> None:
        self._logs = logs
        self._partial: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def feed(self, stream: Stream, chunk: bytes) -> None:
        """Take bytes as they were read; the beginning of a mark is held back until its line is complete."""
        *complete, rest = (self._partial[stream] + chunk).split(b"\n")
        self._logs.feed(stream, b"".join(line + b"\n" for line in complete if line != texts.END_OF_ACTIVATION))
        held = rest if texts.END_OF_ACTIVATION.startswith(rest) else b""
        self._partial[stream] = held
        self._logs.feed(stream, rest[: len(rest) - len(held)])

    def finish(self) -> None:
        """Pass on the beginnings of lines that were held back."""
        for stream, rest in self._partial.items():
            if rest != texts.END_OF_ACTIVATION:
                self._logs.feed(stream, rest)
        self._partial = {"stdout": b"", "stderr": b""}
