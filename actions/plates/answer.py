"""The action's answer: OpenALPR's JSON (version 2) in the photo's own pixels, with the best plate first and facts about the source."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from plates.images import Photo

Document = dict[str, Any]


def complete(found: Document, photo: Photo, *, n: int, elapsed_ms: float) -> Document:
    """OpenALPR's document with what it leaves out when it fails, coordinates as in the whole photo, and the best plate."""
    results = [_placed(result, photo.reduction, n) for result in found.get("results", [])]
    best = results[0] if results else None
    return {
        "version": 2,
        "data_type": "alpr_results",
        "epoch_time": int(time.time() * 1000),
        "img_width": photo.width,
        "img_height": photo.height,
        "processing_time_ms": round(elapsed_ms, 3),
        "regions_of_interest": [_placed_area(area, photo.reduction) for area in found.get("regions_of_interest", [])],
        "results": results,
        "plate": best["plate"] if best else None,
        "confidence": best["confidence"] if best else None,
    }


def source(data: bytes, photo_kind: str, *, given_as: str) -> Document:
    """What is known of the file: nothing of its EXIF, and no URL, which may carry a secret."""
    return {
        "given_as": given_as,
        "kind": photo_kind.lower(),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _placed(result: Document, reduction: float, n: int) -> Document:
    points = [_point(point, reduction) for point in result.get("coordinates", [])]
    return {**result, "coordinates": points, "candidates": result.get("candidates", [])[:n], "requested_topn": n}


def _placed_area(area: Document, reduction: float) -> Document:
    return {name: round(area[name] * reduction) for name in ("x", "y", "width", "height") if name in area}


def _point(point: Document, reduction: float) -> Document:
    return {"x": round(point["x"] * reduction), "y": round(point["y"] * reduction)}
