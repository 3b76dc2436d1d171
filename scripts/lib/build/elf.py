"""What the loader takes of a shared library: the rest (symbols and lines for debuggers, section names) is half of some wheels.

ELF-64, little-endian: System V ABI, chapters 4 and 5. `strip` does the same, but is not on every machine that builds.
"""

import struct

_MAGIC = b"\x7fELF\x02\x01"
_HEADER = 64
_PHOFF, _SHOFF, _PHENTSIZE, _SHNUM = 32, 40, 54, 60
_SEGMENT = struct.Struct("<8xQ16xQ")


def loaded(library: bytes) -> bytes:
    """Return the library with nothing but its segments; what is no such library comes back as it is."""
    if not library.startswith(_MAGIC) or len(library) < _HEADER:
        return library
    (table,) = struct.unpack_from("<Q", library, _PHOFF)
    size, count = struct.unpack_from("<HH", library, _PHENTSIZE)
    ranges = [(0, _HEADER), (table, table + size * count)]
    for number in range(count):
        offset, length = _SEGMENT.unpack_from(library, table + number * size)
        ranges.append((offset, offset + length))
    kept = bytearray(max(stop for _, stop in ranges))
    for start, stop in ranges:
        kept[start:stop] = library[start:stop]
    struct.pack_into("<Q", kept, _SHOFF, 0)
    struct.pack_into("<HH", kept, _SHNUM, 0, 0)
    return bytes(kept)
