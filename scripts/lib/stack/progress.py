"""What is said while something takes time: one live line on a terminal, plain lines elsewhere."""

import sys
import time


class Progress:
    """Say on standard error what is waited for and for how long."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._began = time.monotonic()

    def line(self, text: str) -> None:
        """Say something that stays."""
        print(f"\r\033[K{text}" if self._live else text, file=sys.stderr, flush=True)

    def waiting(self, text: str) -> None:
        """Say what is waited for; elsewhere than on a terminal this is silent."""
        if self._live:
            seconds = int(time.monotonic() - self._began)
            print(f"\r\033[K  waiting for {text} ... {seconds} s", end="", file=sys.stderr, flush=True)

    def done(self) -> None:
        """Clear the live line."""
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
