"""OpenWhisk's own API for an action that was given its namespace's key (annotation `provide-api-key: true`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson
import requests

from hort import config
from hort.errors import ConfigError, WhiskUnavailable

FIRE_TIMEOUT_S = READ_TIMEOUT_S = (3.0, 10.0)
INVOKE_TIMEOUT_S = (3.0, 65.0)
"""OpenWhisk itself answers after 60 s."""

Call = Callable[..., requests.Response]


@dataclass(frozen=True, slots=True)
class Invoked:
    """What an action answered: `ok` with its result, or why there is none."""

    ok: bool
    result: Mapping[str, Any]
    status: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and the key to it, which never shows.

    Args:
        api_host: base address; https where it names no scheme.
        action: fully qualified name of the action that runs.
        key: `uuid:key`.
        verify: whether the API host's certificate is checked.
        call: `requests.request`, or a twin in tests.
    """

    api_host: str
    action: str
    key: str = field(repr=False)
    verify: bool = True
    call: Call = field(default=requests.request, repr=False)

    @property
    def host(self) -> str:
        """The API host's address without a slash at its end."""
        host = self.api_host if "://" in self.api_host else f"https://{self.api_host}"
        return host.rstrip("/")

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self.action.split("/")[1]

    def sibling(self, action: str) -> str:
        """`package/action` beside the one that runs."""
        package = self.action.split("/")[2:-1]
        return "/".join([*package, action])

    def web_path(self) -> str:
        """Path of the running action as a web action."""
        parts = self.action.split("/")[1:]
        namespace, package, action = parts if len(parts) == 3 else [parts[0], "default", parts[-1]]
        return f"/api/v1/web/{quote(namespace)}/{quote(package)}/{quote(action)}"

    def fire(self, trigger: str, payload: Mapping[str, Any]) -> str:
        """Fires a trigger; the activation's id. WhiskUnavailable unless an active rule took it."""
        answer = self._post(f"triggers/{quote(trigger)}", payload, FIRE_TIMEOUT_S)
        if answer.status_code == 204:
            raise WhiskUnavailable(f"trigger '{trigger}' has no active rule: nothing would read it")
        if answer.status_code != 202:
            raise WhiskUnavailable(f"trigger '{trigger}' was not fired: {_told(answer)}")
        return str(_object(answer).get("activationId", ""))

    def invoke(self, action: str, params: Mapping[str, Any]) -> Invoked:
        """Invokes an action of this namespace and waits for its result."""
        answer = self._post(f"actions/{quote(action)}?blocking=true&result=true", params, INVOKE_TIMEOUT_S)
        return Invoked(answer.status_code == 200, _object(answer), answer.status_code)

    def activation(self, activation_id: str) -> dict[str, Any]:
        """An activation's record, which OpenWhisk writes at its end; empty where there is none (yet)."""
        answer = self._send("GET", f"activations/{quote(activation_id)}", READ_TIMEOUT_S)
        return _object(answer) if answer.status_code == 200 else {}

    def _post(self, path: str, body: Mapping[str, Any], timeout: tuple[float, float]) -> requests.Response:
        return self._send("POST", path, timeout, data=orjson.dumps(body), headers={"Content-Type": "application/json"})

    def _send(self, method: str, path: str, timeout: tuple[float, float], **options: Any) -> requests.Response:
        user, _, password = self.key.partition(":")
        try:
            return self.call(
                method,
                f"{self.host}/api/v1/namespaces/{quote(self.name)}/{path}",
                auth=(user, password),
                timeout=timeout,
                verify=self.verify,
                allow_redirects=False,
                **options,
            )
        except requests.RequestException as error:
            raise WhiskUnavailable(f"the API host does not answer: {type(error).__name__}") from error


def of_this_action(params: config.Params) -> Namespace:
    """The namespace of the action that runs; ConfigError where it was deployed without `provide-api-key`."""
    api_host, key, action = (os.environ.get(f"__OW_{name}", "") for name in ("API_HOST", "API_KEY", "ACTION_NAME"))
    if not api_host or ":" not in key or action.count("/") < 2:
        raise ConfigError("provide-api-key", None, "must be true among the annotations of this action")
    return Namespace(api_host, action, key, verify=not config.boolean(params, "api_insecure", default=False))


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _told(answer: requests.Response) -> str:
    text = _object(answer).get("error")
    return f"status {answer.status_code}" + (f", {str(text)[:200]}" if text else "")
