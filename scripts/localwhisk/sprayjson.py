"""Where a JSON text is wrong, in the words of spray-json's parser, which the real server uses.

Only run on texts that the fast parser refused, so it may be slow.
"""

from __future__ import annotations

import re
from itertools import accumulate

MAX_NUMBER_CHARACTERS = 100
EOI = -1
_WHITE = b" \n\r\t"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_ESCAPES = b'"/\\bfnrt'
_SPACE = 32
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())


class SyntaxProblem(ValueError):
    """The text is not JSON; the message says where, with the line and a caret below it."""


def depth(raw: bytes) -> int:
    """Deepest nesting of arrays and objects, strings left out."""
    brackets = _STRING.sub(b"", raw).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets), initial=0))


def check(raw: bytes) -> None:
    """Raise SyntaxProblem at the first fault of `raw`; return for JSON (lone surrogates included)."""
    parser = _Parser(raw)
    parser.space()
    parser.value()
    if parser.current != EOI:
        parser.fail("end-of-input")


class _Parser:
    """Recursive descent with spray's order of checks, cursor counted in bytes."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def current(self) -> int:
        """Byte under the cursor, EOI at the end."""
        return self._raw[self._at] if self._at < len(self._raw) else EOI

    def space(self) -> None:
        """Skip white space."""
        while self.current != EOI and self.current in _WHITE:
            self._at += 1

    def value(self) -> None:
        """Any JSON value and the white space after it."""
        start = self._at
        match self.current:
            case 0x7B:
                self._object()
            case 0x5B:
                self._array()
            case 0x22:
                self._string()
            case 0x66 | 0x6E | 0x74:
                self._word(start)
            case byte if byte != EOI and byte in b"-0123456789":
                self._number()
            case _:
                self.fail("JSON Value")

    def fail(self, expected: str, at: int | None = None) -> None:
        """Raise, pointing at the cursor or at `at`."""
        cursor = self._at if at is None else at
        found = self._found()
        before = self._raw[:cursor]
        line_start = before.rfind(b"\n") + 1
        line_end = self._raw.find(b"\n", cursor)
        line = self._raw[line_start : len(self._raw) if line_end < 0 else line_end]
        column = cursor - line_start + 1
        text = "".join("?" if ord(char) < _SPACE else char for char in lenient(line))
        message = (
            f"Unexpected {found} at input index {cursor} (line {before.count(10) + 1}, position {column}), "
            f"expected {expected}:\n{text}\n{' ' * (column - 1)}^\n"
        )
        raise SyntaxProblem(message)

    def _found(self) -> str:
        if self.current == EOI:
            return "end-of-input"
        char = chr(self.current)
        return f"character '\\u{self.current:04x}'" if self.current < _SPACE else f"character '{char}'"

    def _take(self, char: str) -> bool:
        if self.current == ord(char):
            self._at += 1
            return True
        return False

    def _require(self, char: str) -> None:
        if not self._take(char):
            self.fail(f"'{char}'")

    def _word(self, start: int) -> None:
        for word in (b"false", b"null", b"true"):
            if self._raw.startswith(word, start):
                self._at += len(word)
                self.space()
                return
        self.fail("JSON Value", start)

    def _object(self) -> None:
        self._at += 1
        self.space()
        if self.current != ord("}"):
            self._member()
            while self._take(","):
                self.space()
                self._member()
        self._require("}")
        self.space()

    def _member(self) -> None:
        self._string()
        self._require(":")
        self.space()
        self.value()

    def _array(self) -> None:
        self._at += 1
        self.space()
        if self.current != ord("]"):
            self.value()
            while self._take(","):
                self.space()
                self.value()
        self._require("]")
        self.space()

    def _string(self) -> None:
        self._require('"')
        while self.current not in (EOI, 0x22) and self.current >= _SPACE:
            if self._take("\\"):
                self._escape()
            else:
                self._at = min(self._at + _width(self.current), len(self._raw))
        self._require('"')
        self.space()

    def _escape(self) -> None:
        if self._take("u"):
            for _ in range(4):
                if self.current == EOI or self.current not in _HEX:
                    self.fail("hex digit")
                self._at += 1
        elif self.current != EOI and self.current in _ESCAPES:
            self._at += 1
        else:
            self.fail("JSON escape sequence")

    def _number(self) -> None:
        start = self._at
        self._take("-")
        if not self._take("0"):
            self._digits()
        if self._take("."):
            self._digits()
        if self._take("e") or self._take("E"):
            _ = self._take("-") or self._take("+")
            self._digits()
        self._check_length(start)
        self.space()

    def _check_length(self, start: int) -> None:
        length = self._at - start
        if length > MAX_NUMBER_CHARACTERS:
            beginning = self._raw[start : start + 20].decode()
            message = (
                f"Number too long:The number starting with '{beginning}' had {length} characters which is more than the "
                f"allowed limit maxNumberCharacters = {MAX_NUMBER_CHARACTERS}. If this is legit input consider increasing the limit."
            )
            raise SyntaxProblem(message)

    def _digits(self) -> None:
        if self.current == EOI or self.current not in _DIGITS:
            self.fail("DIGIT")
        while self.current != EOI and self.current in _DIGITS:
            self._at += 1


def _width(lead: int) -> int:
    """Bytes the server's decoder takes for a character that starts with `lead`."""
    for mask, lowest, width in ((0x80, 0x00, 1), (0xE0, 0xC0, 2), (0xF0, 0xE0, 3), (0xF8, 0xF0, 4)):
        if lead & mask == lowest:
            return width
    return 1


def lenient(raw: bytes) -> str:
    """Decode UTF-8 as the server shows it: a broken sequence is one replacement for its whole width."""
    text = []
    at = 0
    while at < len(raw):
        width = _width(raw[at])
        piece = raw[at : at + width]
        try:
            text.append(piece.decode("utf-8"))
        except UnicodeDecodeError:
            text.append("\ufffd")
        at += width
    return "".join(text)
