"""Reading what a stranger packed: in bounded pieces, with every failure of a reader told the same way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, Final

from localwhisk.archives.tree import Refused

CHUNK: Final = 1 << 15


class Guarded:
    """A file that gives at most `at_once` bytes in one piece.

    zipfile and tarfile ask for as much at once as the archive claims that its table, a name or a header has. `allowance` bounds
    what is read in many pieces, too, until it is set again.
    """

    def __init__(self, file: IO[bytes], *, at_once: int) -> None:
        self._file = file
        self._at_once = at_once
        self.allowance: int | None = None

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes."""
        wanted = self._at_once + 1 if size is None or size < 0 else size
        data = self._file.read(min(wanted, self._at_once + 1))
        if len(data) > self._at_once:
            raise Refused(f"a table or header of more than {self._at_once} bytes")
        if self.allowance is not None:
            self.allowance -= len(data)
            if self.allowance < 0:
                raise Refused("headers too large for one entry")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Say that places can be gone to."""
        return True

    def close(self) -> None:
        """Leave the file to whoever opened it."""


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever a reader raises over broken content into Refused."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:  # readers of archives raise nearly everything over hostile bytes
        raise Refused(f"broken {what}: {type(error).__name__}: {str(error)[:200]}") from error


def pieces(file: IO[bytes] | Guarded, size: int, *, what: str) -> Iterator[bytes]:
    """Yield exactly `size` bytes in bounded pieces; raises Refused when there are fewer."""
    while size:
        with reading(what):
            piece = file.read(min(size, CHUNK))
        if not piece:
            raise Refused(f"broken {what}: an entry ends too early")
        size -= len(piece)
        yield piece
