"""OpenWhisk as the provider needs it: fire a trigger, read an activation, ask whether a key may use a trigger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from feeds.provider.log import log
from hort.errors import FeedRefused
from hort.fires import Started, rules_of

FIRE_TIMEOUT_S = (3.0, 10.0)
READ_TIMEOUT_S = (3.0, 10.0)
_KEEP = frozenset({408, 409, 429})
_MESSAGE_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Target:
    """A trigger and the key to fire it; the key never shows."""

    api_host: str
    trigger: str
    auth_key: str

    def __repr__(self) -> str:
        return f"Target({self.api_host}, {self.trigger})"

    def url(self, collection: str, name: str) -> str:
        """The address of an entity in the trigger's namespace."""
        namespace = self.trigger.split("/")[1]
        host = self.api_host if "://" in self.api_host else f"https://{self.api_host}"
        return f"{host.rstrip('/')}/api/v1/namespaces/{quote(namespace, safe='')}/{collection}/{quote(name, safe='')}"

    @property
    def auth(self) -> tuple[str, str]:
        """User and password of the key."""
        user, _, password = self.auth_key.partition(":")
        return user, password


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fire came to: `kind` is accepted, held (no active rule), busy (keep and try again) or refused (switch off)."""

    kind: str
    status: int
    activation: str = ""
    message: str = ""


class Whisk(Protocol):
    """What an OpenWhisk must do."""

    def fire(self, target: Target, payload: dict[str, Any]) -> Outcome:
        """Fires the trigger; never raises."""

    def started(self, target: Target, activation: str) -> Started:
        """Reads what the rules did; never raises."""

    def succeeded(self, target: Target, activation: str) -> bool | None:
        """How an action's activation ended; None where that is not known (yet); never raises."""

    def check(self, target: Target, *, may_be_gone: bool = False) -> None:
        """FeedRefused where the key may not use the trigger, or the trigger is not there and has to be."""


class AlarmWhisk(Protocol):
    """What alarms need of an OpenWhisk: HTTP statuses, 0 where nothing answered."""

    def trigger_status(self, target: Target) -> int:
        """Status of a GET of the trigger."""

    def fire_status(self, target: Target, payload: dict[str, Any]) -> int:
        """Status of a fire."""

    def delete_trigger(self, target: Target, *, rules: bool) -> None:
        """Deletes the trigger, and its rules first when asked to."""


class HttpWhisk:
    """OpenWhisk over its REST API, with connections kept."""

    def __init__(self, *, insecure: bool = False) -> None:
        self._session = requests.Session()
        self._session.verify = not insecure
        self._session.trust_env = False
        adapter = HTTPAdapter(pool_connections=16, pool_maxsize=16)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def fire(self, target: Target, payload: dict[str, Any]) -> Outcome:
        """POST of the trigger."""
        try:
            answer = self._session.post(
                target.url("triggers", target.trigger.split("/")[2]),
                data=json.dumps(payload, separators=(",", ":")),
                headers={"Content-Type": "application/json"},
                auth=target.auth,
                timeout=FIRE_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return Outcome("busy", 0, message=type(error).__name__)
        return outcome(answer)

    def started(self, target: Target, activation: str) -> Started:
        """GET of the trigger's activation record."""
        return rules_of(self._record(target, activation).get("logs"))

    def succeeded(self, target: Target, activation: str) -> bool | None:
        """GET of the action's activation record, which OpenWhisk writes at its end."""
        response = self._record(target, activation).get("response")
        return bool(response.get("success")) if isinstance(response, dict) else None

    def _record(self, target: Target, activation: str) -> dict[str, Any]:
        """An activation record, empty where it cannot be had."""
        url = target.url("activations", activation)
        try:
            answer = self._session.get(url, auth=target.auth, timeout=READ_TIMEOUT_S, allow_redirects=False)
        except requests.RequestException:
            return {}
        return _json(answer) if answer.status_code == 200 else {}

    def check(self, target: Target, *, may_be_gone: bool = False) -> None:
        """GET of the trigger with the caller's key."""
        name = target.trigger.split("/")[2]
        try:
            answer = self._session.get(
                target.url("triggers", name), auth=target.auth, timeout=READ_TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            text = f"the API host {target.api_host} does not answer the provider: {type(error).__name__}"
            raise FeedRefused(text) from error
        if answer.status_code == 200 or (answer.status_code == 404 and may_be_gone):
            return
        if answer.status_code == 404:
            raise FeedRefused(f"trigger {target.trigger} does not exist")
        if answer.status_code in (401, 403):
            raise FeedRefused(f"the key in 'authKey' may not use trigger {target.trigger}")
        raise FeedRefused(f"the API host {target.api_host} answered {answer.status_code} for trigger {target.trigger}")

    def trigger_status(self, target: Target) -> int:
        """GET of the trigger."""
        answer = self._call("GET", target.url("triggers", target.trigger.split("/")[2]), target)
        return 0 if answer is None else answer.status_code

    def fire_status(self, target: Target, payload: dict[str, Any]) -> int:
        """POST of the trigger."""
        return self.fire(target, payload).status

    def delete_trigger(self, target: Target, *, rules: bool) -> None:
        """DELETE of the rules that GET of the trigger names, then of the trigger; failures are only logged by their effect."""
        url = target.url("triggers", target.trigger.split("/")[2])
        answer = self._call("GET", url, target) if rules else None
        for rule in _json(answer).get("rules") or {} if answer is not None else ():
            self._call("DELETE", target.url("rules", str(rule).rpartition("/")[2]), target)
        self._call("DELETE", url, target)

    def _call(self, method: str, url: str, target: Target) -> requests.Response | None:
        try:
            return self._session.request(method, url, auth=target.auth, timeout=READ_TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            log("openwhisk-unanswered", error=type(error).__name__, trigger=target.trigger, method=method)
            return None


def outcome(answer: requests.Response) -> Outcome:
    """What an answer to a fire means."""
    status = answer.status_code
    if status in (200, 202):
        return Outcome("accepted", status, activation=str(_json(answer).get("activationId", "")))
    if status == 204:
        return Outcome("held", status, message="no active rule")
    message = str(_json(answer).get("error", ""))[:_MESSAGE_LIMIT]
    if 400 <= status < 500 and status not in _KEEP:
        return Outcome("refused", status, message=message)
    return Outcome("busy", status, message=message)


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
