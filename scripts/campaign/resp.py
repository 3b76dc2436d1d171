"""Counts the values of a stream of Redis' protocol (RESP2 and RESP3) without keeping them.

Commands and replies are written alike: a command is an array of bulk strings. Source: Redis serialization protocol
specification, https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from __future__ import annotations

QUEUED = b"+QUEUED\r\n"
"""The answer to a command of a transaction: it is only noted, and has its effect with EXEC."""

LINES = b"+-:_#,("
BULKS = b"$!="
AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
"""Type bytes, and how many values each of their elements has."""

PUSH = ord(">")
ATTRIBUTE = ord("|")
_LONGEST_LINE = 64 * 1024


class NotResp(Exception):
    """The stream does not follow the protocol."""


class Values:
    """Counts the values at the top level; pushes, which answer nothing, are not counted."""

    def __init__(self) -> None:
        self.begun = 0
        self.complete = 0
        self.head = b""
        """The first line of the value begun last; empty until that line is complete."""
        self._line = b""
        self._to_skip = 0
        self._open: list[int] = []
        self._pushed = False

    @property
    def at_boundary(self) -> bool:
        """Whether the stream stands between two values."""
        return not self._line and not self._to_skip and not self._open

    def feed(self, data: bytes) -> None:
        """Takes the next bytes; raises NotResp."""
        at = 0
        while at < len(data):
            if self._to_skip:
                skipped = min(self._to_skip, len(data) - at)
                self._to_skip -= skipped
                at += skipped
                if not self._to_skip:
                    self._value_done()
                continue
            at = self._read_line(data, at)

    def _read_line(self, data: bytes, at: int) -> int:
        if not self._line and not self._open:
            self._pushed = data[at] == PUSH
            if not self._pushed:
                self.begun += 1
                self.head = b""
        end = data.find(b"\n", at)
        if end < 0:
            self._line += data[at:]
            if len(self._line) > _LONGEST_LINE:
                raise NotResp("a line without an end")
            return len(data)
        line, self._line = self._line + data[at : end + 1], b""
        if not self._open and not self._pushed:
            self.head = line
        self._head(line)
        return end + 1

    def _head(self, line: bytes) -> None:
        kind = line[0]
        if kind in LINES:
            self._value_done()
            return
        if kind not in BULKS and kind not in AGGREGATES:
            raise NotResp(f"a value cannot begin with {line[:1]!r}")
        try:
            size = int(line[1:])
        except ValueError:
            raise NotResp(f"{line[:20]!r} has no size") from None
        if kind in AGGREGATES and size > 0:
            extra = 1 if kind == ATTRIBUTE else 0  # the value it describes follows
            self._open.append(size * AGGREGATES[kind] + extra)
        elif kind in BULKS and size >= 0:
            self._to_skip = size + 2
        else:
            self._value_done()

    def _value_done(self) -> None:
        while self._open:
            self._open[-1] -= 1
            if self._open[-1]:
                return
            self._open.pop()
        self.complete += not self._pushed
