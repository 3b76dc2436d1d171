"""The image operations of the strategy, by OpenCV: images are numpy arrays of uint8, height x width (grey) or height x width x 3 (BGR)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plates import library

Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]

LINEAR, CUBIC, AREA, LANCZOS = 1, 2, 3, 4


def contiguous(image: Image) -> Image:
    """The image with its rows one after the other in memory, as the C interface takes it."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
        raise ValueError(f"image must be uint8 of 2 or 3 dimensions, got {image.dtype} of shape {image.shape}")
    return np.ascontiguousarray(image)


def channels(image: Image) -> int:
    """1 for grey, 3 for colour."""
    return 1 if image.ndim == 2 else int(image.shape[2])


def resize(image: Image, *, width: int, height: int, interpolation: int | None = None) -> Image:
    """The image at another size; by default area averages where it shrinks and cubic where it grows."""
    source = contiguous(image)
    if interpolation is None:
        interpolation = AREA if width * height < source.shape[0] * source.shape[1] else CUBIC
    target = np.empty((height, width, *source.shape[2:]), np.uint8)
    lib = library.default()
    if not lib.plates_resize(*_taken(source), *_given(target), interpolation):
        raise library.failure(lib)
    return target


def scale(image: Image, factor: float, *, interpolation: int | None = None) -> Image:
    """The image enlarged (factor above 1) or reduced."""
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return resize(image, width=size[0], height=size[1], interpolation=interpolation)


def warp(
    image: Image, matrix: Matrix, *, width: int | None = None, height: int | None = None, interpolation: int = CUBIC
) -> Image:
    """The image through a 2x3 (affine) or 3x3 (perspective) matrix from source to target; its border is repeated outwards."""
    source = contiguous(image)
    values = np.ascontiguousarray(matrix, np.float64)
    lib = library.default()
    call = {(2, 3): lib.plates_warp_affine, (3, 3): lib.plates_warp_perspective}[values.shape]
    size = (height or source.shape[0], width or source.shape[1])
    target = np.empty((*size, *source.shape[2:]), np.uint8)
    if not call(*_taken(source), *_given(target), values.ctypes.data, interpolation):
        raise library.failure(lib)
    return target


def grey(image: Image) -> Image:
    """One channel of brightness."""
    source = contiguous(image)
    if source.ndim == 2:
        return source
    height, width = source.shape[:2]
    target = np.empty((height, width), np.uint8)
    lib = library.default()
    if not lib.plates_grey(source.ctypes.data, width, height, target.ctypes.data):
        raise library.failure(lib)
    return target


def clahe(image: Image, *, clip_limit: float = 2.0, tiles: int = 8) -> Image:
    """The brightness with its contrast raised by tiles (Zuiderveld 1994); the result is grey."""
    source = grey(image)
    target = np.empty_like(source)
    lib = library.default()
    height, width = source.shape
    if not lib.plates_clahe(source.ctypes.data, width, height, target.ctypes.data, clip_limit, tiles):
        raise library.failure(lib)
    return target


def _taken(source: Image) -> tuple[int, int, int, int]:
    return source.ctypes.data, source.shape[1], source.shape[0], channels(source)


def _given(target: Image) -> tuple[int, int, int]:
    return target.ctypes.data, target.shape[1], target.shape[0]
