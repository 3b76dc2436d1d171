"""The caps on a photo; apart from the decoders, so that the server need not load them to know them."""

MAX_BYTES = 20_000_000
MAX_PIXELS = {"JPEG": 51_000_000, "PNG": 26_000_000, "WEBP": 26_000_000}
"""A phone's largest ordinary photo has 50 million; a JPEG is reduced while it is decoded, the others only afterwards."""
MAX_SIDE = 16_383
MIN_SIDE = 16
WORK_PIXELS = 13_000_000
"""Larger photos are reduced by a whole factor while they are decoded: memory stays bounded, and no plate needs more."""
