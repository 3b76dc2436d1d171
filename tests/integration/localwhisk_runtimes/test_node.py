"""Node.js actions: openwhisk-runtime-nodejs's contract."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from localwhisk.runtimes import Pool, texts
from tests.support.actions_specs import invoke, spec, texts_of, zipped

WithPool = Callable[..., None]

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")


def node(code: str, **changed: Any) -> Any:
    return spec(code, kind="nodejs:20", **changed)


@pytest.mark.parametrize(
    "code",
    [
        "function main(p) { return {sum: p.a + 1}; }",
        "async function main(p) { return {sum: p.a + 1}; }",
        "const main = (p) => new Promise((ok) => setTimeout(() => ok({sum: p.a + 1}), 10));",
        "exports.main = (p) => ({sum: p.a + 1});",
        "module.exports = {main: (p) => ({sum: p.a + 1})};",
    ],
)
def test_forms_of_a_single_file(with_pool: WithPool, code: str) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, node(code), b'{"a":1}')
        assert outcome.result == {"sum": 2}
        assert outcome.size == len('{"sum":2}')

    with_pool(scenario)


def test_globals_logs_and_environment(with_pool: WithPool) -> None:
    code = """
let n = 0;
function main(p) {
  console.log('out ' + n); console.error('err');
  return {n: ++n, name: process.env.__OW_ACTION_NAME, id: process.env.__OW_ACTIVATION_ID, ini: process.env.ini};
}
"""

    async def scenario(pool: Pool) -> None:
        for n in range(2):
            outcome = await invoke(pool, node(code, init_env={"ini": "v"}), activation_id=str(n) * 32)
            assert outcome.result == {"n": n + 1, "name": "/guest/pkg/hello", "id": str(n) * 32, "ini": "v"}
            assert sorted(texts_of(outcome)) == ["stderr: err", f"stdout: out {n}"]
            assert (outcome.init_ms is None) is bool(n)

    with_pool(scenario)


def test_a_package_with_modules(with_pool: WithPool) -> None:
    files = {
        "package.json": '{"main": "app.js"}',
        "app.js": "const h = require('./lib/h'); exports.go = (p) => ({v: h.v, m: require('mod')});",
        "lib/h.js": "exports.v = 5;",
        "node_modules/mod/index.js": "module.exports = 'm';",
    }

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, node(zipped(**files), binary=True, main="go"))
        assert outcome.result == {"v": 5, "m": "m"}

    with_pool(scenario)


def test_a_rejection_is_an_application_error(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        rejected: Any = (
            await invoke(pool, node("const main = () => Promise.reject(new Error('boom'));"))
        ).result
        assert rejected["error"]["message"] == "boom"
        text = await invoke(pool, node("const main = () => Promise.reject('why');", fqn="/guest/b"))
        assert (text.status, text.result) == ("application error", {"error": "why"})

    with_pool(scenario)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("function main() { throw new Error('boom'); }", "An error has occurred: Error: boom"),
        ("function main() { return 'text'; }", texts.NODE_NOT_A_DICTIONARY),
        ("function main() { process.exit(1); }", texts.ABNORMAL_RUN),
        ("const main = 5;", "Initialization has failed due to: Action entrypoint 'main' is not a function."),
        ("process.exit(1)", texts.ABNORMAL_INIT),
        ("", texts.NO_CODE),
    ],
)
def test_developer_errors(with_pool: WithPool, code: str, message: str) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, node(code))
        assert (outcome.status, outcome.result) == ("action developer error", {"error": message})

    with_pool(scenario)


def test_undefined_is_an_empty_object_and_large_payloads_pass(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        assert (await invoke(pool, node("function main() {}"))).result == {}
        code = "function main(p) { return {n: p.x.length, back: p.x.slice(0, 400000)}; }"
        payload = ('{"x":"' + "é" * 1_000_000 + '"}').encode()
        outcome: Any = (await invoke(pool, node(code, fqn="/guest/big"), payload)).result
        assert outcome == {"n": 1_000_000, "back": "é" * 400_000}

    with_pool(scenario)


def test_the_time_limit(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        code = "function main(p) { while (p.endless); }"
        assert (await invoke(pool, node(code))).result == {}  # so that the limit is not used up by a start
        outcome = await invoke(pool, node(code, timeout_ms=5000), b'{"endless":true}')
        assert outcome.result == {"error": texts.time_limit(5000, init=False)}

    with_pool(scenario)
