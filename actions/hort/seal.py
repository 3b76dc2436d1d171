"""Sealing: of what waits in Redis, under a key of its own that never goes there, and of texts for whoever has a secret already.

The content is crossed with the stream that SHAKE-256 makes of the key. That is sound as long as a key seals one thing only, and
needs nothing but Python, as the image of the plates server has no cipher.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

KEY_BYTES = 32


def new_key() -> str:
    """A fresh random key, in hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES)


def crossed(content: bytes, key: str) -> bytes:
    """Sealed content of what is open, open content of what is sealed."""
    stream = hashlib.shake_256(bytes.fromhex(key)).digest(len(content))
    return (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(len(content))


def text(content: str, secret: str) -> str:
    """A text for holders of the secret alone: nonce, sealed content and proof (RFC 2104), in hexadecimal digits."""
    nonce = new_key()
    sealed = crossed(content.encode(), _derived(secret, "seal", nonce)).hex()
    return f"{nonce}.{sealed}.{_derived(secret, 'proof', nonce + sealed)}"


def opened(sealed_text: str, secret: str) -> str | None:
    """What `text` has sealed; None where it was under another secret, or changed."""
    nonce, _, rest = sealed_text.partition(".")
    sealed, _, proof = rest.partition(".")
    if not proof.isascii() or not hmac.compare_digest(proof, _derived(secret, "proof", nonce + sealed)):
        return None
    return crossed(bytes.fromhex(sealed), _derived(secret, "seal", nonce)).decode()


def _derived(secret: str, purpose: str, content: str) -> str:
    message = f"{purpose}.{content}".encode("utf-8", "surrogatepass")
    return hmac.new(secret.encode("utf-8", "surrogatepass"), message, hashlib.sha256).hexdigest()
