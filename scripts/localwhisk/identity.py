"""Who calls: namespaces with their keys, and reading the Authorization header."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import string
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from localwhisk import messages
from localwhisk.errors import ApiError, rejected

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_MAX_SEEN = 1000
_KEY_ALPHABET = string.ascii_letters + string.digits
_KEY_LENGTH = 64
_FROM_FILE = "@"
_MAX_FILE = 4096
"""Characters; a key has about a hundred."""
_AUTH = re.compile(r"[^\s:]+:[^\s:]+")
SYSTEM = "whisk.system"
GUEST = "guest"


@dataclass(frozen=True, slots=True)
class Identity:
    """A namespace and its key; the subject carries the same name."""

    namespace: str
    uuid: str
    key: str = field(repr=False)

    @property
    def auth(self) -> str:
        """'uuid:key' as clients configure it."""
        return f"{self.uuid}:{self.key}"

    @property
    def is_well_known(self) -> bool:
        """Whether the key is one that every development OpenWhisk has."""
        return any(self.key == public.key for public in PUBLIC)


# The two identities every development OpenWhisk ships with; public, so no secrets.
PUBLIC = (
    Identity(
        GUEST,
        "23bc46b1-71f6-4ed5-8c54-816aa4f8c502",
        "123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP",
    ),
    Identity(
        SYSTEM,
        "789c46b1-71f6-4ed5-8c54-816aa4f8c502",
        "abczO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP",
    ),
)


def parse_identity(text: str) -> Identity:
    """Read 'NAME=UUID:KEY' or 'NAME=@FILE'; raises ValueError that repeats nothing, as a key may stand anywhere in it."""
    name, _, given = text.partition("=")
    unique, _, key = read_auth(given).partition(":")
    if not name or not _UUID.match(unique) or not key:
        message = "an identity must be given as NAME=@FILE (the file holds UUID:KEY) or NAME=UUID:KEY"
        raise ValueError(message)
    return Identity(name, unique, key)


def read_auth(given: str) -> str:
    """'uuid:key' as it was given, or what the file holds that '@FILE' names; raises ValueError."""
    if not given.startswith(_FROM_FILE):
        return given
    path = given.removeprefix(_FROM_FILE)
    try:
        with Path(path).expanduser().open(encoding="utf-8-sig") as file:
            found = file.read(_MAX_FILE + 1).strip()
    except OSError as error:
        message = f"the key in {path} cannot be read: {error.strerror}"
        raise ValueError(message) from None
    except (ValueError, RuntimeError):  # no UTF-8, a name with a zero character, no such home
        message = f"the key in {path} cannot be read: it must be a file of text"
        raise ValueError(message) from None
    if not _AUTH.fullmatch(found) or len(found) > _MAX_FILE:
        message = f"the file {path} must hold one key, UUID:KEY, and nothing else"
        raise ValueError(message)
    return found


def drawn(namespace: str) -> Identity:
    """An identity with a new key, of the form that wskadmin gives."""
    key = "".join(secrets.choice(_KEY_ALPHABET) for _ in range(_KEY_LENGTH))
    return Identity(namespace, str(uuid.uuid4()), key)


def complete(given: Iterable[Identity]) -> tuple[Identity, ...]:
    """Those given, one a namespace, with `guest` and a system namespace whose key nobody knows unless it was given.

    Raises ValueError where two namespaces share a uuid.
    """
    found = {GUEST: PUBLIC[0], SYSTEM: drawn(SYSTEM)} | {one.namespace: one for one in given}
    if len({one.uuid for one in found.values()}) < len(found):
        message = "two namespaces have keys with the same uuid"
        raise ValueError(message)
    return tuple(found.values())


class Identities:
    """All identities of an engine."""

    def __init__(self, identities: Iterable[Identity] = PUBLIC) -> None:
        self._by_uuid = {identity.uuid: identity for identity in identities}
        self._by_namespace = {identity.namespace: identity for identity in self._by_uuid.values()}
        self._seen: dict[str, Identity] = {}

    @property
    def well_known(self) -> bool:
        """Whether one of the keys is public."""
        return any(one.is_well_known for one in self._by_uuid.values())

    def of_namespace(self, namespace: str) -> Identity | None:
        """Owner of a namespace."""
        return self._by_namespace.get(namespace)

    def namespaces(self) -> list[str]:
        """All namespaces there are."""
        return list(self._by_namespace)

    def of_auth(self, auth: str) -> Identity | None:
        """Whose 'uuid:key' this is."""
        uuid, _, key = auth.partition(":")
        identity = self._by_uuid.get(uuid)
        known = "" if identity is None else identity.key
        return identity if hmac.compare_digest(known.encode(), key.encode()) and known else None

    def of_header(self, header: str | None) -> Identity | None:
        """Whose Authorization header this is, None for nobody's."""
        if header is None:
            return None
        seen = self._seen.get(header)
        if seen is not None:
            return seen
        credentials = _credentials(header)
        identity = None if credentials is None else self.of_auth(credentials)
        if identity is not None and len(self._seen) < _MAX_SEEN:
            self._seen[header] = identity
        return identity

    def require(self, header: str | None) -> Identity:
        """Identity of a header; raises the 401s of the real server."""
        identity = self.of_header(header)
        if identity is not None:
            return identity
        known = header is not None and _credentials(header) is not None
        raise challenge(messages.AUTH_INVALID if known else messages.AUTH_MISSING)


def challenge(text: str) -> ApiError:
    """401 that asks for Basic credentials."""
    return rejected(401, text, headers=(("www-authenticate", messages.AUTH_CHALLENGE),))


def _credentials(header: str) -> str | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except ValueError:  # not base64, not ASCII or not UTF-8
        return None
