"""Sealing of a photo that waits in Redis, under a key of its own that never goes there: neither of the two tells anything alone.

The photo is crossed with the stream that SHAKE-256 makes of the key. That is sound as long as a key seals one thing only, and
needs nothing but Python, as the image of the plates server has no cipher.
"""

from __future__ import annotations

import hashlib
import secrets

KEY_BYTES = 32


def new_key() -> str:
    """A fresh random key, in hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES)


def crossed(content: bytes, key: str) -> bytes:
    """Sealed content of what is open, open content of what is sealed."""
    stream = hashlib.shake_256(bytes.fromhex(key)).digest(len(content))
    return (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(len(content))
