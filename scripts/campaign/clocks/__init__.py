"""Clocks that jump: a Python environment whose processes add an offset to the time, changed while they run."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
_OFFSET = struct.Struct("<q")


class Clock:
    """An interpreter like `base` whose processes read their time through an offset.

    A virtual environment with a .pth file is the one way in that also holds for `python -I`, which the engine starts actions with.
    """

    def __init__(self, folder: Path, *, base: Path) -> None:
        self._folder = folder
        subprocess.run([str(base), "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True, timeout=120)
        self._file = folder / "clock-offset"
        self._file.write_bytes(_OFFSET.pack(0))
        (site,) = folder.glob("lib/python3*/site-packages")
        (packages,) = base.parent.parent.glob("lib/python3*/site-packages")
        (site / "campaign.pth").write_text(f"{packages}\n{HERE}\nimport jumping_clock\n")

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self._folder / "bin" / "python"

    def jump(self, seconds: float) -> None:
        """Sets the offset from the true time for all processes of this clock, running ones too."""
        with self._file.open("r+b") as file:
            os.pwrite(file.fileno(), _OFFSET.pack(int(seconds * 1e9)), 0)
