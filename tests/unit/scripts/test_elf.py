"""What is taken out of shared libraries on their way into a zip."""

import _sqlite3
import ctypes
from pathlib import Path

import pytest

from lib.build import elf

LIBRARY = Path(str(_sqlite3.__file__))


def test_a_library_without_what_debuggers_want_loads(tmp_path: Path) -> None:
    whole = LIBRARY.read_bytes() + b"\0line numbers" * 1_000
    stripped = elf.loaded(whole)
    assert len(stripped) < len(LIBRARY.read_bytes())
    assert elf.loaded(stripped) == stripped
    (tmp_path / "library.so").write_bytes(stripped)
    assert ctypes.CDLL(str(tmp_path / "library.so")).PyInit__sqlite3 is not None


@pytest.mark.parametrize("other", [b"", b"text", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(64), b"INPUT(libc.so)\n"])
def test_what_is_no_such_library_stays_as_it_is(other: bytes) -> None:
    assert elf.loaded(other) == other
