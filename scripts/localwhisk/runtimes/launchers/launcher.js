// Runs inside a Node.js action's process, started ahead of time: node --expose-gc [FLAG...] launcher.js CODE [MODULES] DESCRIPTOR. The first line on
// stdin is {"dir", "main", "env"}, each further one a request; one JSON line of answer each goes to the descriptor. The answer to a request
// begins with "=" for what the action gave, or with "!" for the text of a run that the image's proxy would answer as failed.
"use strict";

const fs = require("fs");
const { Socket } = require("net");
const Module = require("module");
const path = require("path");
const { confineRequire, confineImport } = require("./modules.js");

const INTERNAL = "Internal error.";
const [code, ...others] = process.argv.slice(2);
const answers = own(Number(others.pop()), "w");
const image = others.pop();
const single = fs.readFileSync(path.join(__dirname, "single.js"), "utf8");
process.argv.splice(1, process.argv.length, "/nodejsAction/app.js");
process.execArgv.splice(1);
process.env.NODE_VERSION = process.versions.node;
confineRequire(code, image);
confineImport(code, image);

// Moves a descriptor to another one, which what the action starts does not inherit.
function own(descriptor, flags) {
  const moved = fs.openSync(`/dev/fd/${descriptor}`, flags);
  fs.closeSync(descriptor);
  return moved;
}

// An action that reads its stdin finds it empty.
function takeRequests() {
  const requests = own(0, "r");
  fs.openSync("/dev/null");
  return new Socket({ fd: requests, readable: true, writable: false });
}

class Failure {
  constructor(text) {
    this.text = text;
  }
}

function encode(result) {
  return result instanceof Failure ? "!" + JSON.stringify(result.text) : "=" + JSON.stringify(result);
}

function answer(text) {
  const bytes = Buffer.from(text + "\n");
  for (let sent = 0; sent < bytes.length;) {
    sent += fs.writeSync(answers, bytes, sent);
  }
}

function fromSource(file, main) {
  const dir = path.dirname(file);
  const runner = new Module(path.join(dir, "runner.js"));
  runner.filename = runner.id;
  runner.paths = Module._nodeModulePaths(dir);
  runner._compile(single, runner.id); // so that import() begins in the folder of the action
  const evaluate = runner.exports;
  runner.exports = {};
  const source = { code: fs.readFileSync(file, "utf8"), main };
  return evaluate(source, Module.createRequire(runner.id), runner, runner.exports, dir, runner.id);
}

function fromPackage(folder, main) {
  const parts = /^([^.]+)$|^([^.]+)\.(.+)$/.exec(main);
  if (!parts) {
    throw "Name of main function is not valid.";
  }
  const [, only, entry, name] = parts;
  if (entry === undefined && !fs.existsSync("package.json") && !fs.existsSync("index.js")) {
    throw "Zipped actions must contain either package.json or index.js at the root.";
  }
  const root = Module.createRequire(path.join(folder, "/"))(entry === undefined ? folder : path.join(folder, entry));
  return new Function("root", `return root.${only ?? name}`)(root);
}

function load(order) {
  Object.assign(process.env, order.env);
  process.chdir(order.dir);
  const handler = order.binary ? fromPackage(order.dir, order.main) : fromSource(path.join(order.dir, "exec"), order.main);
  if (typeof handler !== "function") {
    throw `Action entrypoint '${order.main}' is not a function.`;
  }
  return handler;
}

async function describe(error) {
  try {
    return image ? (await import(require.resolve("serialize-error"))).serializeError(error) : plain(error);
  } catch (problem) {
    return problem.message;
  }
}

function plain(error) {
  return error instanceof Error ? { ...error, name: error.name, message: error.message, stack: error.stack } : error;
}

async function run(handler, request) {
  for (const [key, value] of Object.entries(request)) {
    if (typeof value === "string" && key !== "value") {
      process.env["__OW_" + key.toUpperCase()] = value;
    }
  }
  let pending;
  try {
    pending = handler(request.value || {});
  } catch (error) {
    console.error(error);
    return new Failure(`An error has occurred: ${error}`);
  }
  let result;
  try {
    result = await pending;
  } catch (error) {
    return { error: error ? await describe(error) : {} };
  }
  if (result === undefined) {
    return {};
  }
  if (typeof result !== "object") {
    console.error(`Result must be of type object but has type "${typeof result}":`, result);
    return new Failure("The action did not return a dictionary.");
  }
  return result;
}

let handler;

function init(order) {
  try {
    handler = load(order);
    return { ok: true };
  } catch (error) {
    console.error("Error during initialization:", error);
    return { error: `Initialization has failed due to: ${error.stack ? String(error.stack) : error}` };
  }
}

// What cannot be told, as a result that is no JSON or an error that is no text, is the proxy's own failure, as in the image.
async function serve(line) {
  const message = JSON.parse(line);
  const loading = handler === undefined;
  try {
    answer(loading ? JSON.stringify(init(message)) : encode(await run(handler, message)));
  } catch (error) {
    console.error("[wrapEndpoint]", "invalid errored promise", JSON.stringify(error));
    answer(loading ? JSON.stringify({ error: INTERNAL }) : encode(new Failure(INTERNAL)));
  }
}

let parts = [];
const requests = takeRequests();
requests.on("data", (chunk) => {
  const lines = chunk.toString("latin1").split("\n");
  for (let i = 0; i < lines.length - 1; i++) {
    parts.push(Buffer.from(lines[i], "latin1"));
    const line = Buffer.concat(parts).toString("utf8");
    parts = [];
    serve(line);
  }
  if (lines[lines.length - 1] !== "") {
    parts.push(Buffer.from(lines[lines.length - 1], "latin1"));
  }
});
requests.on("end", () => process.exit(0));
