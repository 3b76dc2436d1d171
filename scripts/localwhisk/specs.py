"""An ActionSpec whose code is read from the store only when a cold start asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from localwhisk.runtime_api import ActionSpec


class StoredActionSpec(ActionSpec):
    """Everything as in ActionSpec; `load` gives the code, which may be tens of megabytes."""

    __slots__ = ("_load",)
    _load: Callable[[], str]

    def __init__(self, *, load: Callable[[], str], **values: Any) -> None:
        object.__setattr__(self, "_load", load)
        for name in (field.name for field in fields(ActionSpec) if field.name != "code"):
            object.__setattr__(self, name, values[name])

    @property
    def code(self) -> str:
        """Source text, or base64 of a zip."""
        return self._load()
