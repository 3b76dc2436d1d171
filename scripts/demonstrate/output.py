"""Standard output that may go away: a closed terminal, or `| head`, ends the demo in order and leaves nothing running."""

from __future__ import annotations

import io
import os
import signal
import sys


class Output(io.TextIOWrapper):
    """Text to a file descriptor; when nobody reads it any more the program is asked to end, and what follows goes nowhere."""

    def write(self, text: str) -> int:
        """As every text stream's."""
        try:
            return super().write(text)
        except OSError:
            self._gone()
            return len(text)

    def flush(self) -> None:
        """As every text stream's."""
        try:
            super().flush()
        except OSError:
            self._gone()

    def _gone(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        signal.raise_signal(signal.SIGTERM)


def take_over() -> None:
    """Write standard output so from now on; what its encoding lacks is spelled out."""
    if sys.stdout is not None:
        raw = open(sys.stdout.fileno(), "wb", closefd=False)  # noqa: SIM115  # for as long as the program runs
        sys.stdout = Output(raw, encoding=sys.stdout.encoding, errors="backslashreplace", line_buffering=True)
