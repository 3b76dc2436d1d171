"""Sealing: of what waits in Redis, under a key of its own that never goes there, and of texts for whoever has a secret already.

The content is crossed with the stream that SHAKE-256 makes of the key. That is sound as long as a key seals one thing only, and
needs nothing but Python, as the image of the plates server has no cipher.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from functools import lru_cache

KEY_BYTES = 32
_SALT = secrets.token_hex(KEY_BYTES)
"""One for all texts of a process, so that its secret is stretched once."""
_FORM = re.compile(rf"([0-9a-f]{{{2 * KEY_BYTES}}})\.([0-9a-f]{{{2 * KEY_BYTES}}})\.((?:[0-9a-f]{{2}})*)\.([0-9a-f]{{64}})")


def new_key() -> str:
    """A fresh random key, in hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES)


def crossed(content: bytes, key: str) -> bytes:
    """Sealed content of what is open, open content of what is sealed."""
    stream = hashlib.shake_256(bytes.fromhex(key)).digest(len(content))
    return (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(len(content))


def text(content: str, secret: str) -> str:
    """A text for holders of the secret alone: salt, nonce, sealed content and proof (RFC 2104), in hexadecimal digits."""
    nonce, key = new_key(), _stretched(secret, _SALT)
    sealed = crossed(content.encode(), _derived(key, "seal", nonce)).hex()
    return f"{_SALT}.{nonce}.{sealed}.{_derived(key, 'proof', nonce + sealed)}"


def opened(sealed_text: str, secret: str) -> str | None:
    """What `text` has sealed; None where it was under another secret, or changed."""
    found = _FORM.fullmatch(sealed_text)
    if found is None:
        return None
    salt, nonce, sealed, proof = found.groups()
    key = _stretched(secret, salt)
    if not hmac.compare_digest(proof, _derived(key, "proof", nonce + sealed)):
        return None
    return crossed(bytes.fromhex(sealed), _derived(key, "seal", nonce)).decode()


@lru_cache(maxsize=16)
def _stretched(secret: str, salt: str) -> bytes:
    """A key that costs 16 MB and a twentieth of a second a guess (RFC 7914), as people choose secrets that can be guessed."""
    return hashlib.scrypt(secret.encode("utf-8", "surrogatepass"), salt=bytes.fromhex(salt), n=1 << 14, r=8, p=1)


def _derived(key: bytes, purpose: str, content: str) -> str:
    return hmac.new(key, f"{purpose}.{content}".encode(), hashlib.sha256).hexdigest()
