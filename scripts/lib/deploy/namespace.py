"""The namespace that is deployed to, as its owner's key shows it."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, quote

from lib.deploy.manifest import Place
from lib.deploy.target import TargetError, connection

TIMEOUT_S = 70.0
"""Longer than OpenWhisk waits for a blocking invocation."""
_COLLECTIONS = {"package": "packages", "action": "actions", "trigger": "triggers"}
_UNAUTHORIZED = 401


@dataclass(frozen=True)
class Namespace:
    """Calls of OpenWhisk's REST API; TargetError where it cannot be reached or refuses the key."""

    parts: SplitResult
    key: str = field(repr=False)
    insecure: bool
    name: str = "_"

    @cached_property
    def owner(self) -> str:
        """The name of the key's namespace."""
        status, found = self.call("GET", "/api/v1/namespaces")
        if status != http.client.OK or not isinstance(found, list) or not found:
            raise TargetError(f"{self.parts.geturl()} does not say whose the key is ({status})")
        return str(found[0])

    def entity(self, kind: str, name: str, *, namespace: str = "") -> dict[str, Any] | None:
        """Return a package, action or trigger; None where it is not there or may not be seen."""
        query = "?code=false" if kind == "action" else ""
        status, found = self.call("GET", f"{self._path(namespace)}/{_COLLECTIONS[kind]}/{quote(name)}{query}")
        return found if status == http.client.OK and isinstance(found, dict) else None

    def of(self, place: Place) -> dict[str, Any] | None:
        """Return the entity of a place in a manifest."""
        return self.entity(place.kind, place.action if place.kind == "action" else place.name)

    def invoke(self, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return an action's result, which has an `error` where it failed."""
        status, result = self.call("POST", f"{self._path()}/actions/{quote(action)}?blocking=true&result=true", params)
        if isinstance(result, dict) and (status == http.client.OK or "error" in result):
            return result
        return {"error": f"{action} has no result ({status})"}

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Make one call; returns the status and the decoded answer (None where it is no JSON)."""
        link = connection(self.parts, insecure=self.insecure, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Basic {base64.b64encode(self.key.encode()).decode()}", "Content-Type": "application/json"}
        try:
            link.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            answer = link.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise TargetError(f"{self.parts.geturl()} cannot be reached: {error}") from error
        finally:
            link.close()
        if answer.status == _UNAUTHORIZED:
            raise TargetError(f"{self.parts.geturl()} does not accept the key (401)")
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, None

    def _path(self, namespace: str = "") -> str:
        return f"/api/v1/namespaces/{quote(namespace or self.name)}"


def parameters(entity: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an entity's bound parameters; what is empty counts as not bound."""
    found = {row["key"]: row.get("value") for row in (entity or {}).get("parameters") or []}
    return {name: value for name, value in found.items() if value not in (None, "")}


def annotation(entity: Mapping[str, Any] | None, name: str) -> Any:
    """Return the value of an annotation; None where there is none."""
    return next((row.get("value") for row in (entity or {}).get("annotations") or [] if row["key"] == name), None)
