"""Node.js actions: openwhisk-runtime-nodejs's contract."""

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localwhisk.runtimes import Pool, texts
from tests.support.actions_specs import invoke, spec, texts_of, zipped
from tests.support.paths import ROOT

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


RESULTS = ['{"__ow_failure": "x"}', '{"ok": true}', '["!", "="]', '{"!": "="}', "null"]


@pytest.mark.parametrize("text", RESULTS)
def test_no_result_is_taken_for_the_launchers_own_answer(with_pool: WithPool, text: str) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, node(f"const main = () => ({text})"))
        assert outcome.size == len(json.dumps(json.loads(text), separators=(",", ":")))
        assert outcome.result == (json.loads(text) if text != "null" else {"error": texts.invalid_run("null")})

    with_pool(scenario)


@pytest.mark.parametrize("thrown", ["Object.create(null)", "Symbol('x')", "{toString() { throw 1; }}"])
@pytest.mark.parametrize("code", ["const main = () => { throw %s; }", "throw %s"], ids=["run", "init"])
def test_an_error_that_is_no_text_is_told_as_by_the_images_proxy(with_pool: WithPool, code: str, thrown: str) -> None:
    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, node(code % thrown))
        assert (outcome.status, outcome.result) == ("action developer error", {"error": "Internal error."})
        assert any("[wrapEndpoint] invalid errored promise" in line for line in texts_of(outcome))

    with_pool(scenario)


def test_the_limit_of_a_result_counts_the_result_alone(with_pool: WithPool) -> None:
    async def scenario(pool: Pool) -> None:
        action = node("const main = (p) => ({x: 'y'.repeat(p.n)})")
        fits = await invoke(pool, action, json.dumps({"n": texts.RESULT_LIMIT - 8}).encode())
        assert (fits.status, fits.size) == ("success", texts.RESULT_LIMIT)
        long = await invoke(pool, action, json.dumps({"n": texts.RESULT_LIMIT - 7}).encode())
        whole = '{"x":"' + "y" * (texts.RESULT_LIMIT - 7) + '"}'
        assert long.result == {"error": texts.result_too_long(len(whole), whole[: texts.RESULT_LIMIT])}

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


def module(folder: Path, name: str, text: str) -> None:
    """Install a package beside others."""
    (folder / "node_modules" / name).mkdir(parents=True)
    (folder / "node_modules" / name / "index.js").write_text(text)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """What the image brings, without what surrounds it."""
    module(tmp_path / "cache/image", "shipped", "module.exports = 'image';")
    module(tmp_path / "cache/image", "both", "module.exports = 'image';")
    module(tmp_path / "cache", "leak", "module.exports = 'above the image';")
    return tmp_path / "cache/image"


TRY = """
async function attempt(load) {
  try { const got = await load(); return got.default ?? got; } catch (error) { return error.code ?? String(error); }
}
exports.main = async () => ({
  shipped: [await attempt(() => require('shipped')), await attempt(() => import('shipped'))],
  both: [await attempt(() => require('both')), await attempt(() => import('both'))],
  leak: [await attempt(() => require('leak')), await attempt(() => import('leak'))],
  home: [await attempt(() => require('home')), await attempt(() => require('here/index.js'))],
  path: await attempt(() => require('path').sep),
});
"""
MISSING = ["MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND"]


def test_a_single_file_imports_from_its_own_folder(with_pool: WithPool) -> None:
    code = (
        "const get = (name) => import(name).then(Object.keys, (error) => error.code);\n"
        "exports.main = async () => ({got: await Promise.all(['./modules.js', './single.js', '../launchers/modules.js'].map(get)), plain: Object.keys(exports)});"
    )

    async def scenario(pool: Pool) -> None:
        outcome = await invoke(pool, node(code))
        assert outcome.result == {"got": ["ERR_MODULE_NOT_FOUND"] * 3, "plain": ["main"]}, texts_of(outcome)

    with_pool(scenario)



@pytest.mark.parametrize("packed", [True, False], ids=["package", "single file"])
def test_an_action_finds_its_own_modules_and_the_images_and_no_others(
    with_pool: WithPool, tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    module(tmp_path, "leak", "module.exports = 'above the state';")
    module(tmp_path / "state", "leak", "module.exports = 'in the state';")
    (tmp_path / "state/package.json").write_text('{"type": "module", "name": "here", "exports": {"./index.js": "./x.js"}}')
    (tmp_path / "home/.node_modules/home").mkdir(parents=True)
    (tmp_path / "home/.node_modules/home/index.js").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NODE_PATH", str(tmp_path / "node_modules"))
    files = {"index.js": TRY, "node_modules/both/index.js": "module.exports = 'own';"}

    async def scenario(pool: Pool) -> None:
        outcome: Any = (await invoke(pool, node(zipped(**files), binary=True) if packed else node(TRY))).result
        assert outcome["shipped"] == ["image", "image"]
        assert outcome["both"] == (["own", "own"] if packed else ["image", "image"])
        assert outcome["leak"] == MISSING
        assert outcome["home"] == [MISSING[0], MISSING[0]]
        assert outcome["path"] == "/"

    with_pool(scenario, node_modules=image)


def test_without_the_images_modules_there_are_the_actions_own(with_pool: WithPool, tmp_path: Path) -> None:
    module(tmp_path, "shipped", "module.exports = 'above the state';")
    files = {"index.js": TRY, "node_modules/both/index.js": "module.exports = 'own';"}

    async def scenario(pool: Pool) -> None:
        outcome: Any = (await invoke(pool, node(zipped(**files), binary=True))).result
        assert (outcome["shipped"], outcome["both"]) == (MISSING, ["own", "own"])

    with_pool(scenario)


def test_a_module_of_ecmascript_finds_the_same(with_pool: WithPool, tmp_path: Path, image: Path) -> None:
    module(tmp_path, "leak", "module.exports = 'above the state';")
    files = {
        "index.js": "exports.main = async () => (await import('./lib.mjs')).answer();",
        "lib.mjs": "import s from 'shipped'; import o from './own.mjs'; import fs from 'node:fs';\n"
        "export const answer = async () => ({s, o, leak: await import('leak').catch((error) => error.message)});",
        "own.mjs": "export default 1;",
    }

    async def scenario(pool: Pool) -> None:
        outcome: Any = (await invoke(pool, node(zipped(**files), binary=True))).result
        assert (outcome["s"], outcome["o"]) == ("image", 1)
        assert outcome["leak"].startswith("Cannot find package 'leak' imported from ")

    with_pool(scenario, node_modules=image)


def test_the_process_looks_as_in_the_image(with_pool: WithPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_SECRET", "s3cret")
    code = """
const main = () => ({
  argv: process.argv, flags: process.execArgv, gc: typeof gc, env: process.env, input: require('fs').readFileSync(0, 'utf8'),
  open: require('child_process').execSync('ls /proc/self/fd', {encoding: 'utf8'}).split('\\n').filter(Boolean),
  cwd: process.cwd() === __dirname, seen: [typeof fs, typeof path, typeof handler, typeof answer],
});
"""

    async def scenario(pool: Pool) -> None:
        outcome: Any = (await invoke(pool, node(code, init_env={"ini": "v"}))).result
        assert outcome["argv"][1:] == ["/nodejsAction/app.js"]
        assert (outcome["flags"], outcome["gc"]) == (["--expose-gc"], "function")
        assert (outcome["input"], outcome["cwd"]) == ("", True)
        assert outcome["seen"] == ["object", "object", "undefined", "undefined"], "the image's proxy has fs and path in scope"
        assert len(outcome["open"]) == 4, "stdin, stdout, stderr, and the folder that is listed"
        assert set(outcome["env"]) == {
            *("PATH", "HOME", "NODE_VERSION", "LOCALWHISK_PROCESS", "ini", "__OW_ACTION_NAME", "__OW_ACTION_VERSION", "__OW_ACTIVATION_ID"),
            *("__OW_API_HOST", "__OW_DEADLINE", "__OW_NAMESPACE", "__OW_TRANSACTION_ID"),
        }
        assert outcome["env"]["HOME"] == str(tmp_path / "state/home")

    with_pool(scenario)


NO_ARCHIVE = base64.b64encode(b"neither zip nor tar").decode()
BROKEN_ZIP = base64.b64encode(b"PK\x03\x04 and no more").decode()
BROKEN_TAR = base64.b64encode(b"\x1f\x8b\x08\x00 and no more").decode()
EXPORTS = "exports.main = () => ({}); exports.deep = {main: () => ({d: 1})}; exports.text = 'x';"


@pytest.mark.parametrize(
    ("code", "main", "reason"),
    [
        (NO_ARCHIVE, "main", texts.NODE_UNPACKING[None]),
        (BROKEN_ZIP, "main", texts.NODE_UNPACKING["zip"]),
        (BROKEN_TAR, "main", texts.NODE_UNPACKING["tar.gz"]),
        (zipped(**{"a.js": ""}), "main", "Zipped actions must contain either package.json or index.js at the root."),
        (zipped(**{"index.js": EXPORTS}), "none", "Action entrypoint 'none' is not a function."),
        (zipped(**{"index.js": EXPORTS}), "index.text", "Action entrypoint 'index.text' is not a function."),
        (zipped(**{"index.js": EXPORTS}), "index.none.main", "TypeError: Cannot read properties of undefined"),
        (zipped(**{"index.js": EXPORTS}), ".main", "Name of main function is not valid."),
        (zipped(**{"index.js": EXPORTS}), "other.main", "Error: Cannot find module"),
        (zipped(**{"index.js": "10 PRINT"}), "main", "SyntaxError"),
        (zipped(**{"index.js": "require('none')"}), "main", "Error: Cannot find module 'none'"),
        (zipped(**{"index.js": "throw 'words'"}), "main", "words"),
        (zipped(**{"index.js": "export const main = () => ({});"}), "main", "SyntaxError: Unexpected token 'export'"),
        (zipped(**{"package.json": '{"main": "a.mjs"}', "a.mjs": "export const main = 1;"}), "main", "ERR_REQUIRE_ESM"),
    ],
)
def test_packages_that_cannot_be_loaded(with_pool: WithPool, code: str, main: str, reason: str) -> None:
    async def scenario(pool: Pool) -> None:
        outcome: Any = await invoke(pool, node(code, binary=True, main=main))
        assert outcome.status == "action developer error"
        assert reason in outcome.result["error"]
        assert outcome.result["error"].startswith("Initialization has failed due to: ")
        assert any(line.startswith("stderr: Error during initialization: ") for line in texts_of(outcome))

    with_pool(scenario)


@pytest.mark.parametrize(("main", "result"), [("index.main", {}), ("index.deep.main", {"d": 1}), ("lib/other.main", {"o": 1})])
def test_a_main_names_its_file_and_may_lie_deep(with_pool: WithPool, main: str, result: object) -> None:
    files = {"index.js": EXPORTS, "lib/other.js": "exports.main = () => ({o: 1})", "exec": "not a single file"}

    async def scenario(pool: Pool) -> None:
        assert (await invoke(pool, node(zipped(**files), binary=True, main=main))).result == result

    with_pool(scenario)


@pytest.mark.parametrize(
    ("code", "status", "result"),
    [
        ("const main = () => null;", "action developer error", texts.invalid_run("null")),
        ("const main = () => [1, {}];", "success", [1, {}]),
        ("const main = () => ({n: 1n});", "action developer error", "Internal error."),
        ("const main = () => { const o = {}; o.o = o; return o; };", "action developer error", "Internal error."),
        ("const main = () => 5;", "action developer error", texts.NODE_NOT_A_DICTIONARY),
        ("const main = () => (() => 1);", "action developer error", texts.NODE_NOT_A_DICTIONARY),
        ("const main = async () => 'text';", "action developer error", texts.NODE_NOT_A_DICTIONARY),
        ("const main = () => Promise.reject();", "application error", {}),
        ("const main = () => Promise.reject({code: 7});", "application error", {"code": 7}),
        ("const main = async () => { process.exit(0); };", "action developer error", texts.ABNORMAL_RUN),
        ("const main = () => new Promise(() => { Promise.reject(new Error('nobody catches it')); });", "action developer error", texts.ABNORMAL_RUN),
        ("const main = () => new Promise(() => setTimeout(() => { throw 5; }, 1));", "action developer error", texts.ABNORMAL_RUN),
        ("undeclared = 1; function main() { return {undeclared, module: typeof module, require: typeof require}; }", "success", {"undeclared": 1, "module": "object", "require": "function"}),
        ("'use strict'; function main() { undeclared = 1; }", "action developer error", "An error has occurred: ReferenceError: undeclared is not defined"),
        ("const fs = require('fs'), path = 1; function main() { return {path}; }", "success", {"path": 1}),
        ("import fs from 'fs'; function main() {}", "action developer error", "SyntaxError: Cannot use import statement outside a module"),
        ("export function main() {}", "action developer error", "SyntaxError: Unexpected token 'export'"),
    ],
)
def test_what_comes_of_a_single_file(with_pool: WithPool, code: str, status: str, result: Any) -> None:
    async def scenario(pool: Pool) -> None:
        outcome: Any = await invoke(pool, node(code))
        assert outcome.status == status
        if isinstance(result, str):
            assert result in outcome.result["error"]
        else:
            assert outcome.result == ({"error": result} if status == "application error" else result)

    with_pool(scenario)


def test_an_error_that_is_thrown_later_keeps_what_it_says(with_pool: WithPool) -> None:
    code = "async function main() { const error = new TypeError('boom'); error.code = 'E1'; error.more = {deep: [1]}; throw error; }"

    async def scenario(pool: Pool) -> None:
        error: Any = (await invoke(pool, node(code))).result
        assert {"name": "TypeError", "message": "boom", "code": "E1", "more": {"deep": [1]}}.items() <= error["error"].items()
        assert error["error"]["stack"].startswith("TypeError: boom\n")

    with_pool(scenario)


@pytest.mark.skipif(not (Path(os.environ.get("HORT_ACTIONS_NODE", "/none")) / ".complete").exists(), reason="the image's packages are not installed")
def test_the_packages_of_the_image_are_there_as_locked(with_pool: WithPool) -> None:
    folder = Path(os.environ["HORT_ACTIONS_NODE"])
    listed = json.loads((ROOT / "scripts/localwhisk/runtimes/nodejs20/package.json").read_text())["dependencies"]
    code = (
        f"const names = {json.dumps(list(listed))};\n"
        "const version = (name) => require(require('path').join(process.env.MODULES, 'node_modules', name, 'package.json')).version;\n"
        "async function main() { for (const name of names) await import(name); require('openwhisk')({api_key: 'x'});\n"
        "  return Object.fromEntries(names.map((name) => [name, version(name)])); }"
    )

    async def scenario(pool: Pool) -> None:
        assert (await invoke(pool, node(code, init_env={"MODULES": str(folder)}))).result == listed
        circular = "async function main() { const error = new Error('x'); error.self = error; error.data = Buffer.from('a'); throw error; }"
        error: Any = (await invoke(pool, node(circular, fqn="/guest/error"))).result
        assert (error["error"]["self"], error["error"]["data"]) == ("[Circular]", "[object Buffer]")

    with_pool(scenario, node_modules=folder)
