"""A state machine draws calls and holds the engine against a model of OpenWhisk's rules, crashes included.

The model knows what the specification says of names, versions, parameters, merging, bindings, rules and records. It is
written without a look at the engine's code: plain dictionaries of what a client has been told.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.fuzz import examples
from tests.support.localwhisk_app import LocalWhisk, Reply

PACKAGES = st.sampled_from(["p", "p", "q"])
ACTIONS = st.sampled_from(["a", "b", "s", "p/a", "p/b", "q/a", "c"])
TRIGGERS = st.sampled_from(["t", "t", "c"])
OVERWRITE = st.sampled_from([True, True, False])
VALUES = st.one_of(st.integers(-5, 5), st.text("xyz\u00e9", max_size=3), st.none(), st.lists(st.booleans(), max_size=2))
PARAMETERS = st.dictionaries(st.sampled_from(["k", "l", "m"]), VALUES, max_size=3)
PAYLOADS = st.dictionaries(st.sampled_from(["k", "l", "n"]), VALUES, max_size=3)
ANNOTATIONS = st.dictionaries(st.sampled_from(["x", "y"]), st.one_of(st.integers(0, 3), st.text("st", max_size=2)), max_size=2)
BEHAVIOURS = st.sampled_from(["give-back", "fail", "none", "list"])


def pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def plain(listed: list[dict[str, Any]]) -> dict[str, Any]:
    found = {pair["key"]: pair["value"] for pair in listed}
    assert len(found) == len(listed), f"a key twice in {listed}"
    return found


@dataclass
class Thing:
    """What every entity has."""

    version: int = 1
    parameters: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)

    @property
    def shown_version(self) -> str:
        return f"0.0.{self.version}"


@dataclass
class ActionModel(Thing):
    code: str = "give-back"
    components: list[str] | None = None


@dataclass
class PackageModel(Thing):
    binding: str | None = None


@dataclass
class TriggerModel(Thing):
    pass


@dataclass
class RuleModel(Thing):
    trigger: str = ""
    action: str = ""
    active: bool = True
    known: bool = True
    """Whether the trigger knows the rule: one made anew under an old name does not, until the rule is switched on."""


class OpenWhisk(RuleBasedStateMachine):
    """The engine and the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.actions: dict[str, ActionModel] = {}
        self.packages: dict[str, PackageModel] = {}
        self.triggers: dict[str, TriggerModel] = {}
        self.ties: dict[str, RuleModel] = {}
        self.records: dict[str, dict[str, Any]] = {}

    @initialize(parameters=PARAMETERS, more=PARAMETERS, code=BEHAVIOURS)
    def start(self, parameters: dict[str, Any], more: dict[str, Any], code: str) -> None:
        """Begin with something of each kind, so that calls meet something."""
        self.local = LocalWhisk(self.folder)
        self.put_package("p", more, {}, overwrite=False)
        self.put_action("a", "give-back", parameters, {}, overwrite=False)
        self.put_action("p/a", "give-back", parameters, {}, overwrite=False)
        self.put_action("b", code, {}, {}, overwrite=False)
        self.put_sequence("s", ["a", "p/a", "b"])
        self.bind("bound", "p", parameters)
        self.put_trigger("t", more, overwrite=False)
        self.put_rule("r1", "t", "a")

    def teardown(self) -> None:
        if hasattr(self, "local"):
            self.local.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What the model says of names: all collections of a namespace share them.

    def others(self, name: str, own: dict[str, Any]) -> bool:
        """Whether the name is taken by an entity of another kind."""
        kinds = (self.actions, self.packages, self.triggers, self.ties)
        return any(name in kind for kind in kinds if kind is not own)

    def expect_put(self, reply: Reply, name: str, own: dict[str, Any], *, overwrite: bool) -> bool:
        """Check the status of a PUT; true when it is to have happened."""
        if self.others(name, own):
            assert (reply.status, reply.error) == (409, "Resource by this name exists but is not in this collection.")
            return False
        if name in own and not overwrite:
            assert (reply.status, reply.error) == (409, "resource already exists")
            return False
        assert reply.status == 200, reply.body
        return True

    def expect_missing(self, reply: Reply, name: str, own: dict[str, Any]) -> bool:
        """Check a call to an entity that may not be there; true when it is not."""
        if name in own:
            return False
        if self.others(name, own):
            assert (reply.status, reply.error) == (409, "Resource by this name exists but is not in this collection.")
        else:
            assert reply.status == 404
        return True

    # Packages

    @rule(name=PACKAGES, parameters=PARAMETERS, annotations=ANNOTATIONS, overwrite=OVERWRITE)
    def put_package(self, name: str, parameters: dict[str, Any], annotations: dict[str, Any], overwrite: bool) -> None:
        reply = self.local.call(
            "PUT",
            f"packages/{name}?overwrite={str(overwrite).lower()}",
            {"parameters": pairs(parameters), "annotations": pairs(annotations)},
        )
        if self.expect_put(reply, name, self.packages, overwrite=overwrite):
            old = self.packages.get(name)
            self.packages[name] = PackageModel(
                version=old.version + 1 if old else 1,
                parameters=parameters,
                annotations=annotations,
                binding=old.binding if old else None,
            )
            assert reply.json["version"] == self.packages[name].shown_version

    @rule(name=st.sampled_from(["bound", "c"]), provider=PACKAGES, parameters=PARAMETERS)
    def bind(self, name: str, provider: str, parameters: dict[str, Any]) -> None:
        body = {"binding": {"namespace": "_", "name": provider}, "parameters": pairs(parameters)}
        reply = self.local.call("PUT", f"packages/{name}?overwrite=true", body)
        if provider not in self.packages and not self.others(name, self.packages):
            assert reply.status in (400, 409)
            assert reply.status == 409 or reply.error == "Binding references a package that does not exist."
            return
        if self.others(name, self.packages) or provider not in self.packages:
            assert reply.status in (400, 409)
            return
        assert reply.status == 200, reply.body
        old = self.packages.get(name)
        self.packages[name] = PackageModel(
            version=old.version + 1 if old else 1,
            parameters=parameters,
            annotations=old.annotations if old else {},
            binding=provider,
        )

    @rule(name=st.sampled_from(["p", "q", "bound"]), force=st.booleans())
    def delete_package(self, name: str, force: bool) -> None:
        reply = self.local.call("DELETE", f"packages/{name}?force={str(force).lower()}")
        if self.expect_missing(reply, name, self.packages):
            return
        inside = [key for key in self.actions if key.startswith(f"{name}/")]
        if inside and not force:
            assert reply.status == 409
            assert f"contains {len(inside)} entit" in reply.error
            return
        assert reply.status == 200
        del self.packages[name]
        for key in inside:
            del self.actions[key]

    # Actions

    @rule(key=ACTIONS, code=BEHAVIOURS, parameters=PARAMETERS, annotations=ANNOTATIONS, overwrite=OVERWRITE)
    def put_action(
        self, key: str, code: str, parameters: dict[str, Any], annotations: dict[str, Any], overwrite: bool
    ) -> None:
        package = key.rpartition("/")[0]
        body = {"exec": {"kind": "python:3.11", "code": code}, "parameters": pairs(parameters), "annotations": pairs(annotations)}
        reply = self.local.call("PUT", f"actions/{key}?overwrite={str(overwrite).lower()}", body)
        if package and package not in self.packages:
            assert reply.status == (409 if self.others(package, self.packages) else 404)
            return
        if self.expect_put(reply, key, self.actions, overwrite=overwrite):
            old = self.actions.get(key)
            self.actions[key] = ActionModel(
                version=old.version + 1 if old else 1,
                parameters=parameters,
                annotations={**(old.annotations if old else {}), **annotations},
                code=code,
            )
            expected = {"provide-api-key": False, **self.actions[key].annotations, "exec": "python:3.11"}
            assert plain(reply.json["annotations"]) == expected

    @rule(name=st.sampled_from(["a", "b", "s", "c"]), parameters=PARAMETERS)
    def update_parameters_only(self, name: str, parameters: dict[str, Any]) -> None:
        reply = self.local.call("PUT", f"actions/{name}?overwrite=true", {"parameters": pairs(parameters)})
        action = self.actions.get(name)
        if action is None:
            assert reply.status == (409 if self.others(name, self.actions) else 400)
            return
        assert reply.status == 200
        action.version += 1
        if action.components is None:
            action.parameters = parameters

    @rule(name=st.sampled_from(["s", "c"]), components=st.lists(st.sampled_from(["a", "b", "p/a", "p/a", "q/b", "s"]), max_size=3))
    def put_sequence(self, name: str, components: list[str]) -> None:
        body = {"exec": {"kind": "sequence", "components": [f"/_/{one}" for one in components]}}
        reply = self.local.call("PUT", f"actions/{name}?overwrite=true", body)
        if self.others(name, self.actions):
            assert reply.status in (400, 404, 409)
            return
        if not components:
            assert (reply.status, reply.error) == (400, "No component specified for the sequence.")
            return
        if self.in_missing_packages(components):
            assert reply.status in (404, 409)
            return
        problem = self.sequence_problem(name, components)
        if problem is not None:
            assert reply.status in (400, 409)
            assert reply.error in problem
            return
        assert reply.status == 200, reply.body
        old = self.actions.get(name)
        self.actions[name] = ActionModel(
            version=old.version + 1 if old else 1,
            annotations=old.annotations if old else {},
            components=components,
        )

    def in_missing_packages(self, components: list[str]) -> bool:
        """Whether a component's package is not there, which is told before anything else."""
        return any("/" in one and one.split("/", maxsplit=1)[0] not in self.packages for one in components)

    def sequence_problem(self, name: str, components: list[str]) -> set[str] | None:
        """Errors a sequence may be refused with: both stand where components are missing and cyclic."""
        problems = set()
        if self.reaches(name, components, set()):
            problems.add("Sequence may not refer to itself.")
        if self.lacks(components, set()):
            problems.add("Sequence component does not exist.")
            problems |= {"Resource by this name exists but is not in this collection."}
        return problems or None

    def reaches(self, name: str, components: list[str], seen: set[str]) -> bool:
        for one in components:
            if one == name:
                return True
            nested = self.actions.get(one)
            if nested and nested.components and one not in seen and self.reaches(name, nested.components, seen | {one}):
                return True
        return False

    def lacks(self, components: list[str], seen: set[str]) -> bool:
        for one in components:
            nested = self.actions.get(one)
            if nested is None:
                return True
            if nested.components and one not in seen and self.lacks(nested.components, seen | {one}):
                return True
        return False

    @rule(key=ACTIONS)
    def delete_action(self, key: str) -> None:
        reply = self.local.call("DELETE", f"actions/{key}")
        if not self.expect_missing(reply, key, self.actions):
            assert reply.status == 200
            del self.actions[key]

    # Invocations

    def parameters_of(self, key: str) -> dict[str, Any]:
        package = self.packages[key.split("/", maxsplit=1)[0]].parameters if "/" in key else {}
        return {**package, **self.actions[key].parameters}

    def outcome(self, key: str, arguments: Any, depth: int = 0) -> tuple[str, Any]:
        """Status and result the specification gives; None for the result where a composition failed inside."""
        action = self.actions[key]
        if action.components is None:
            if isinstance(arguments, dict):
                arguments = {**self.parameters_of(key), **arguments}
            return self.primitive(action.code, arguments)
        for one in action.components:
            if one not in self.actions:
                return "application error", None
            status, arguments = self.outcome(one, arguments, depth + 1)
            if status != "success":
                return status, arguments
        return "success", arguments

    @staticmethod
    def primitive(code: str, arguments: Any) -> tuple[str, Any]:
        if code == "list":
            return "success", [1, 2, {"a": 1}]
        if code == "none":
            return "action developer error", {"error": "no result"}
        if code == "fail":
            return "application error", {"error": arguments.get("e", "it failed") if isinstance(arguments, dict) else None}
        return "success", arguments

    def fails_on_arrays(self, key: str) -> bool:
        """Whether an array may reach a behaviour that only takes objects; such cases are left out."""
        action = self.actions[key]
        codes = [self.actions[one] for one in action.components or () if one in self.actions]
        return any(one.components is not None or one.code == "list" for one in codes[:-1]) if codes else False

    @rule(key=ACTIONS, payload=PAYLOADS)
    def invoke(self, key: str, payload: dict[str, Any]) -> None:
        package = key.rpartition("/")[0]
        if key in self.actions and self.fails_on_arrays(key):
            return
        reply = self.local.call("POST", f"actions/{key}?blocking=true", payload)
        if package and package not in self.packages:
            assert reply.status in (404, 409)
            return
        if self.expect_missing(reply, key, self.actions):
            return
        if self.in_missing_packages(self.actions[key].components or []):
            assert reply.status in (404, 409)
            return
        status, result = self.outcome(key, payload)
        if status == "success" and isinstance(result, list):
            assert (reply.status, reply.json) == (200, result)
            return
        record = reply.json
        assert reply.status == (200 if status == "success" else 502), reply.body
        assert record["response"]["status"] == status
        if result is not None:
            assert record["response"]["result"] == result
        assert record["version"] == self.actions[key].shown_version
        self.remember(record["activationId"], key, status)

    @rule(name=st.sampled_from(["a", "b"]), payload=PAYLOADS)
    def invoke_through_the_binding(self, name: str, payload: dict[str, Any]) -> None:
        binding = self.packages.get("bound")
        reply = self.local.call("POST", f"actions/bound/{name}?blocking=true", payload)
        key = f"{binding.binding}/{name}" if binding else ""
        if binding is None or binding.binding not in self.packages or key not in self.actions:
            assert reply.status == 404
            return
        arguments = {**self.packages[key.split("/", maxsplit=1)[0]].parameters, **binding.parameters, **self.actions[key].parameters, **payload}
        status, result = self.primitive(self.actions[key].code, arguments)
        if isinstance(result, list):
            assert reply.json == result
            return
        assert (reply.json["response"]["status"], reply.json["response"]["result"]) == (status, result)
        assert plain(reply.json["annotations"])["binding"] == "guest/bound"
        self.remember(reply.json["activationId"], key, status)

    def remember(self, activation_id: str, key: str, status: str) -> None:
        self.records[activation_id] = {"name": key.rsplit("/", maxsplit=1)[-1], "path": f"guest/{key}", "status": status}

    # Triggers and rules

    @rule(name=TRIGGERS, parameters=PARAMETERS, overwrite=OVERWRITE)
    def put_trigger(self, name: str, parameters: dict[str, Any], overwrite: bool) -> None:
        reply = self.local.call("PUT", f"triggers/{name}?overwrite={str(overwrite).lower()}", {"parameters": pairs(parameters)})
        if self.expect_put(reply, name, self.triggers, overwrite=overwrite):
            old = self.triggers.get(name)
            self.triggers[name] = TriggerModel(version=old.version + 1 if old else 1, parameters=parameters)

    @rule(name=TRIGGERS)
    def delete_trigger(self, name: str) -> None:
        reply = self.local.call("DELETE", f"triggers/{name}")
        if self.expect_missing(reply, name, self.triggers):
            return
        assert reply.status == 200
        del self.triggers[name]
        for one in self.ties.values():
            if one.trigger == name:
                one.active = one.known = False

    @rule(name=st.sampled_from(["r1", "r2"]), trigger=TRIGGERS, action=st.sampled_from(["a", "b", "p/a", "s", "c"]))
    def put_rule(self, name: str, trigger: str, action: str) -> None:
        reply = self.local.call("PUT", f"rules/{name}", {"trigger": f"/_/{trigger}", "action": f"/_/{action}"})
        if self.in_missing_packages([action]):
            assert reply.status == 404
            return
        if name in self.ties:
            assert reply.status in (400, 409)
            return
        if trigger not in self.triggers or action not in self.actions:
            assert reply.status in (400, 404, 409), reply.body
            return
        assert (reply.status, reply.json["status"]) == (200, "active")
        self.ties[name] = RuleModel(trigger=trigger, action=action)

    @rule(name=st.sampled_from(["r1", "r2"]), active=st.booleans())
    def switch_rule(self, name: str, active: bool) -> None:
        reply = self.local.call("POST", f"rules/{name}", {"status": "active" if active else "inactive"})
        if name not in self.ties:
            assert reply.status == 404
            return
        one = self.ties[name]
        if one.trigger not in self.triggers:
            assert reply.status == (404 if active else 200), reply.body
            return
        assert (reply.status, reply.body) == (200, b"OK")
        one.active, one.known = active, one.known or active

    @rule(name=st.sampled_from(["r1", "r2"]))
    def delete_rule(self, name: str) -> None:
        reply = self.local.call("DELETE", f"rules/{name}")
        assert reply.status == (200 if name in self.ties else 404)
        self.ties.pop(name, None)

    @rule(name=TRIGGERS, payload=PAYLOADS)
    def fire(self, name: str, payload: dict[str, Any]) -> None:
        runs = len(self.local.runtimes.runs)
        reply = self.local.call("POST", f"triggers/{name}", payload)
        if self.expect_missing(reply, name, self.triggers):
            return
        tied = {key: one for key, one in self.ties.items() if one.trigger == name and one.known}
        if not any(one.active for one in tied.values()):
            assert (reply.status, reply.body) == (204, b"")
            return
        assert reply.status == 202
        record = self.local.record(reply.json["activationId"])
        assert record["response"]["result"] == payload
        lines = {line["rule"]: line for line in map(_parsed, record["logs"])}
        assert set(lines) == {f"guest/{key}" for key in tied}
        started = 0
        for key, one in tied.items():
            runs_now = one.active and self.runnable(one.action)
            assert lines[f"guest/{key}"]["success"] is runs_now
            started += runs_now and self.actions[one.action].components is None
        self.local.run(self.local.engine.invoker.drain(60))
        assert len(self.local.runtimes.runs) - runs >= started

    def runnable(self, key: str) -> bool:
        return key in self.actions and ("/" not in key or key.split("/", maxsplit=1)[0] in self.packages)

    # The engine dies, or is stopped

    @rule()
    def restart(self) -> None:
        self.local.close()
        self.local = LocalWhisk(self.folder)

    # What must hold after every call

    @invariant()
    def lists_are_as_the_model_says(self) -> None:
        if not hasattr(self, "local"):
            return
        for collection, known in (("packages", self.packages), ("actions", self.actions), ("triggers", self.triggers), ("rules", self.ties)):
            listed = self.local.call("GET", f"{collection}?limit=0").json
            found = {_key(one): one["version"] for one in listed}
            assert found == {key: thing.shown_version for key, thing in known.items()}
            assert self.local.call("GET", f"{collection}?count=true").json == {collection: len(known)}
            times = [one["updated"] for one in listed]
            assert times == sorted(times, reverse=True)

    @precondition(lambda self: self.actions)
    @rule(data=st.data())
    def read_an_action(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.actions)))
        found = self.local.call("GET", f"actions/{key}").json
        action = self.actions[key]
        kind = "python:3.11" if action.components is None else "sequence"
        assert plain(found["annotations"]) == {"provide-api-key": False, **action.annotations, "exec": kind}
        if action.components is None:
            assert plain(found["parameters"]) == self.parameters_of(key)
            assert found["exec"]["code"] == action.code
        else:
            assert found["exec"]["components"] == [f"/guest/{one}" for one in action.components]

    @precondition(lambda self: self.triggers)
    @rule(data=st.data())
    def read_a_trigger(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.triggers)))
        found = self.local.call("GET", f"triggers/{name}").json
        assert plain(found["parameters"]) == self.triggers[name].parameters
        tied = {f"guest/{key}": "active" if one.active else "inactive" for key, one in self.ties.items() if one.trigger == name and one.known}
        assert {key: one["status"] for key, one in found.get("rules", {}).items()} == tied

    @precondition(lambda self: self.ties)
    @rule(data=st.data())
    def read_a_rule(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.ties)))
        found = self.local.call("GET", f"rules/{name}").json
        assert found["status"] == ("active" if self.ties[name].active else "inactive")
        assert found["trigger"]["name"] == self.ties[name].trigger

    @precondition(lambda self: self.records)
    @rule(data=st.data())
    def read_a_record(self, data: st.DataObject) -> None:
        activation_id = data.draw(st.sampled_from(sorted(self.records)))
        expected = self.records[activation_id]
        record = self.local.record(activation_id)
        assert (record["name"], record["response"]["status"]) == (expected["name"], expected["status"])
        assert plain(record["annotations"])["path"] == expected["path"]
        listed = self.local.call("GET", f"activations?name={expected['path'].partition('/')[2]}&limit=0").json
        assert activation_id in {one["activationId"] for one in listed}


def _key(entity: dict[str, Any]) -> str:
    package = entity["namespace"].partition("/")[2]
    return f"{package}/{entity['name']}" if package else str(entity["name"])


def _parsed(line: str) -> dict[str, Any]:
    import json

    parsed: dict[str, Any] = json.loads(line)
    return parsed


OpenWhisk.TestCase.settings = settings(
    max_examples=examples(30),
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
TestOpenWhisk = pytest.mark.slow(40)(OpenWhisk.TestCase)
