"""The C interface of docker/openalpr/plates.cpp, bound by ctypes: names, types, and errors as exceptions."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

PREFIX_VARIABLE = "HORT_OPENALPR"
DEFAULT_PREFIX = Path("/opt/openalpr")
LIBRARY = "lib/libplates.so"

_POINTER = ctypes.c_void_p
_INT = ctypes.c_int
_SIGNATURES: dict[str, tuple[type | None, Sequence[type]]] = {
    "plates_error": (ctypes.c_char_p, ()),
    "plates_free": (None, (_POINTER,)),
    "plates_threads": (None, (_INT,)),
    "plates_open": (_POINTER, (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)),
    "plates_close": (None, (_POINTER,)),
    "plates_version": (_POINTER, ()),
    "plates_read": (
        _POINTER,
        (_POINTER, _POINTER, _INT, _INT, _INT, _INT, ctypes.c_char_p, ctypes.c_bool, _POINTER, _INT),
    ),
    "plates_cascade_open": (_POINTER, (ctypes.c_char_p,)),
    "plates_cascade_close": (None, (_POINTER,)),
    "plates_detect": (
        _INT,
        (_POINTER, _POINTER, _INT, _INT, ctypes.c_double, ctypes.c_double, _INT, _INT, _INT, _POINTER, _INT),
    ),
    "plates_resize": (ctypes.c_bool, (_POINTER, _INT, _INT, _INT, _POINTER, _INT, _INT, _INT)),
    "plates_warp_affine": (ctypes.c_bool, (_POINTER, _INT, _INT, _INT, _POINTER, _INT, _INT, _POINTER, _INT)),
    "plates_warp_perspective": (
        ctypes.c_bool,
        (_POINTER, _INT, _INT, _INT, _POINTER, _INT, _INT, _POINTER, _INT),
    ),
    "plates_clahe": (ctypes.c_bool, (_POINTER, _INT, _INT, _POINTER, ctypes.c_double, _INT)),
    "plates_grey": (ctypes.c_bool, (_POINTER, _INT, _INT, _POINTER)),
}


class LibraryError(Exception):
    """OpenALPR or OpenCV refused or failed; the text is theirs."""


def prefix() -> Path:
    """Where OpenALPR is installed: the folder that HORT_OPENALPR names, by default the image's."""
    return Path(os.environ.get(PREFIX_VARIABLE) or DEFAULT_PREFIX)


@lru_cache
def load(path: Path) -> ctypes.CDLL:
    """The library at a path, its functions typed; OSError where it or what it links is missing."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = list(arguments)
    return library


def default() -> ctypes.CDLL:
    """The library of the installation that HORT_OPENALPR names."""
    return load(prefix() / LIBRARY)


def failure(library: ctypes.CDLL) -> LibraryError:
    """The error that the last call on this thread left."""
    return LibraryError(library.plates_error().decode("utf-8", "replace").strip() or "no reason given")


def taken(library: ctypes.CDLL, memory: int | None) -> bytes:
    """The text that a function returned, its memory freed; LibraryError where it returned none."""
    if not memory:
        raise failure(library)
    try:
        return ctypes.string_at(memory)
    finally:
        library.plates_free(memory)
