"""Secrets at rest: encrypted with a key from the provider's environment (Fernet: AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from hort.errors import FeedRefused

CANNOT_BE_OPENED = "stored secrets cannot be opened: HORT_PROVIDER_KEY is not the one that sealed them, or they were changed"


class Vault:
    """Seals and opens small JSON objects; the key is any text of at least 16 characters, best a random one."""

    def __init__(self, key: str) -> None:
        digest = hashlib.sha256(b"hort-provider-vault:" + key.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(digest))

    def seal(self, value: dict[str, Any]) -> str:
        """The object, encrypted and authenticated."""
        return self._fernet.encrypt(json.dumps(value).encode()).decode()

    def open(self, text: str) -> dict[str, Any]:
        """The object again; FeedRefused where the key is another one or the text was changed. Neither shows in the error."""
        try:
            value: dict[str, Any] = json.loads(self._fernet.decrypt(text.encode()))
        except (InvalidToken, ValueError):
            raise FeedRefused(CANNOT_BE_OPENED) from None
        return value
