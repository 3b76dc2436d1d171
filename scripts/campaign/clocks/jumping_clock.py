"""Imported at the start of each Python of a clock's environment (see campaign.clocks): `time.time` jumps when the campaign says so.

The offset is read from a file in memory, so that a process that runs sees a jump at once, as it would see the system's clock jump.
Monotonic time goes on, as it does on a real machine.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

_OFFSET = struct.Struct("<q")
_real = time.time_ns
with Path(sys.prefix, "clock-offset").open("rb") as _file:
    _memory = mmap.mmap(_file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)


def _time_ns() -> int:
    return _real() + int(_OFFSET.unpack_from(_memory)[0])


def _time() -> float:
    return _time_ns() / 1e9


time.time_ns, time.time = _time_ns, _time
