"""Replays one recording in order and judges each answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from localwhisk.conformance import budgets, patience
from localwhisk.conformance.client import Client
from localwhisk.conformance.compare import Answer, differences
from localwhisk.conformance.recording import Exchange, Sent, Unresolved

Verdict = Literal["match", "miss", "deviation", "unstable", "skipped"]
LOGS_COMPARED = "logstore"
_TOO_MANY = 429
_BROKEN = -1


@dataclass(frozen=True, slots=True)
class Judged:
    """How one exchange went; `reason` for what is neither match nor miss."""

    exchange: Exchange
    verdict: Verdict
    differences: list[str] = field(default_factory=list)
    reason: str = ""


@dataclass(slots=True)
class Replay:
    """State of one replay: the answers so far, by exchange."""

    name: str
    address: str
    deviations: Mapping[str, str]
    sleep: Callable[[float], None] = time.sleep
    answers: dict[str, Any] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    minute: budgets.Minute = field(default_factory=budgets.Minute)

    def run(self, exchanges: list[Exchange], report: Callable[[Judged], None]) -> list[Judged]:
        """Replay all; `report` is told of each as it is judged."""
        client = Client(self.address)
        judged = []
        recorded = {exchange.id for exchange in exchanges}
        for exchange in exchanges:
            one = self._one(client, exchange, recorded)
            report(one)
            judged.append(one)
        client.close()
        return judged

    def _one(self, client: Client, exchange: Exchange, recorded: set[str]) -> Judged:
        if exchange.wait_s:
            self.sleep(exchange.wait_s)
        try:
            sent = exchange.request(lambda name: self._answer_of(client, exchange, name, recorded))
        except (Unresolved, LookupError, TypeError, ValueError) as error:
            return Judged(exchange, "skipped", reason=f"its request cannot be made: {error}")
        answer = self._ask(client, exchange, sent)
        self.answers[exchange.id] = answer.parsed()
        if sent.method == "PUT" and "/actions/" in sent.target:
            self.actions.append(sent.target.split("?")[0].split("/actions/")[1])
        return self._judge(exchange, answer)

    def _ask(self, client: Client, exchange: Exchange, sent: Sent) -> Answer:
        wanted = exchange.response
        text = str(wanted["body"].get("error", "")) if isinstance(wanted.get("body"), dict) else ""
        budgets.use_up(text, sent, client, self.minute)

        def ask() -> Answer:
            answer = client.send(sent)
            self.minute.count(sent, answer.status)
            return answer

        with budgets.kept_busy(text, sent, self.address, self.minute):
            if exchange.unstable is None:
                answer = patience.patiently(ask, sent, wanted, sleep=self.sleep)
            else:
                answer = ask()
        if answer.status == _TOO_MANY != wanted["status"]:
            budgets.wait_for_budget(self.minute)
            answer = ask()
        return answer

    def _judge(self, exchange: Exchange, answer: Answer) -> Judged:
        deviation = self.deviations.get(exchange.id)
        if exchange.response["status"] == _BROKEN:
            return Judged(exchange, "deviation", reason=deviation or "the real server never answers this")
        found = differences(exchange.response, exchange.volatile, answer, logs=self.name == LOGS_COMPARED)
        if not found:
            return Judged(exchange, "match")
        if deviation is not None:
            return Judged(exchange, "deviation", found, deviation)
        if exchange.unstable is not None:
            return Judged(exchange, "unstable", found, exchange.unstable)
        return Judged(exchange, "miss", found)

    def _answer_of(self, client: Client, exchange: Exchange, name: str, recorded: set[str]) -> Any:
        """Answer of an earlier exchange; one that the recording leaves out is made up for."""
        if name not in self.answers and name not in recorded:
            self.answers[name] = self._made_up(client, exchange, name)
        if name not in self.answers:
            message = f"{name} has not been answered"
            raise Unresolved(message)
        return self.answers[name]

    def _made_up(self, client: Client, exchange: Exchange, name: str) -> Any:
        """Ask what the exchange left out must have asked: a record, or a run of the action it is named after."""
        headers = exchange.headers(None)
        of = self.answers.get(name.removesuffix("-act"))
        if isinstance(of, dict) and "activationId" in of:
            target = f"/api/v1/namespaces/_/activations/{of['activationId']}"
            return client.send(Sent("GET", target, headers, None)).parsed()
        action = self._action_of(exchange, name)
        target = f"/api/v1/namespaces/_/actions/{action}?blocking=true"
        return client.send(Sent("POST", target, exchange.headers(b"{}"), b"{}")).parsed()

    def _action_of(self, exchange: Exchange, name: str) -> str:
        body = exchange.response.get("body")
        if isinstance(body, dict) and isinstance(body.get("name"), str):
            return str(body["name"])
        word = name.rpartition("-")[2]
        found = [action for action in self.actions if word.startswith(action)]
        if not found:
            message = f"{name} is not in the recording"
            raise Unresolved(message)
        return found[-1]
