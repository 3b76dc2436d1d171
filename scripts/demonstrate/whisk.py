"""The few calls of OpenWhisk's REST API that the demo makes itself; everything else is wskdeploy's work."""

from __future__ import annotations

import json
from typing import Any

import requests

TIMEOUT_S = 65
NEWEST = 100
"""Fires that are looked at, to find what they started."""
PAGE = 200
"""Records that one list holds at most."""


class Whisk:
    """A client of one namespace."""

    def __init__(self, api_host: str, key: str) -> None:
        self.api_host = api_host.rstrip("/")
        self._session = requests.Session()
        self._session.auth = tuple(key.split(":", 1))  # type: ignore[assignment]  # a pair, as basic auth wants it

    def web(self, action: str) -> str:
        """Address of one of our web actions."""
        return f"{self.api_host}/api/v1/web/guest/hort/{action}"

    def invoke(self, action: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Result of a blocking invocation."""
        result: dict[str, Any] = self._call("POST", f"actions/{action}?blocking=true&result=true", params or {})
        return result

    def bind(self, action: str, params: dict[str, Any]) -> None:
        """Gives an action's parameters other values; its package's, which OpenWhisk shows among them, stay the package's alone."""
        bound = self._call("GET", f"actions/{action}?code=false")["parameters"]
        package = action.rpartition("/")[0]
        inherited = self._call("GET", f"packages/{package}")["parameters"] if package else []
        others = [pair for pair in bound if pair["key"] not in params and pair not in inherited]
        self._call("PUT", f"actions/{action}?overwrite=true", {"parameters": [*others, *({"key": key, "value": value} for key, value in params.items())]})

    def fire(self, trigger: str, payload: dict[str, Any]) -> None:
        """Fires a trigger."""
        self._call("POST", f"triggers/{trigger}", payload, text=True)

    def set_rule(self, rule: str, *, active: bool) -> None:
        """Switches a rule on or off."""
        self._call("POST", f"rules/{rule}", {"status": "active" if active else "inactive"}, text=True)

    def set_alarm(self, trigger: str, cron: str) -> None:
        """Gives an alarm trigger another rhythm."""
        self._alarm("UPDATE", trigger, cron=cron)

    def read_alarm(self, trigger: str) -> None:
        """Asks for an alarm trigger's configuration: an invocation that costs next to nothing."""
        self._alarm("READ", trigger)

    def _alarm(self, event: str, trigger: str, **params: str) -> None:
        auth: tuple[str, str] = self._session.auth  # type: ignore[assignment]
        body = {"lifecycleEvent": event, "triggerName": f"/_/{trigger}", "authKey": ":".join(auth), **params}
        self._call("POST", "../whisk.system/actions/alarms/alarm?blocking=true&result=true", body)

    def count(self, name: str, *, since: int = 0, upto: int | None = None) -> int:
        """How many activations of a trigger or action there are between two times in milliseconds."""
        bound = "" if upto is None else f"&upto={upto}"
        return int(self._call("GET", f"activations?count=true&name={name}&since={since}{bound}")["activations"])

    def records(self, *, since: int, upto: int) -> list[dict[str, Any]]:
        """The activations between two times in milliseconds, without results and logs."""
        found: list[dict[str, Any]] = []
        while page := self._call("GET", f"activations?limit={PAGE}&skip={len(found)}&since={since}&upto={upto}"):
            found += page
        return found

    def running(self, trigger: str, action: str) -> set[str]:
        """Ids of the activations of an action that a trigger's newest fires started and that have no record yet."""
        fires = self._call("GET", f"activations?docs=true&limit={NEWEST}&name={trigger}")
        ended = self._call("GET", f"activations?limit={2 * NEWEST}&name={action}")
        lines = [json.loads(line) for fire in fires for line in fire["logs"]]
        return {line["activationId"] for line in lines if line.get("activationId")} - {record["activationId"] for record in ended}

    def put_model(self, name: str, model: dict[str, Any]) -> None:
        """Registers a model."""
        answer = self._session.put(f"{self.web('models')}/{name}", json=model, timeout=TIMEOUT_S)
        if not answer.ok:
            raise RuntimeError(f"model {name}: {answer.status_code} {answer.text[:300]}")

    def warm(self, model: str) -> None:
        """One empty request, so that the first batch finds the model's process running."""
        self._session.post(self.web(model), json={"instances": []}, timeout=TIMEOUT_S).raise_for_status()

    def delete_model(self, name: str) -> None:
        """Removes a model."""
        self._session.delete(f"{self.web('models')}/{name}", timeout=TIMEOUT_S).raise_for_status()

    def _call(self, method: str, path: str, body: Any = None, *, text: bool = False) -> Any:
        base = f"{self.api_host}/api/v1/namespaces"
        url = f"{base}/{path[3:]}" if path.startswith("../") else f"{base}/_/{path}"
        answer = self._session.request(method, url, json=body, timeout=TIMEOUT_S)
        if not answer.ok:
            raise RuntimeError(f"{method} {path.partition('?')[0]}: {answer.status_code} {answer.text[:300]}")
        return answer.text if text else answer.json()
