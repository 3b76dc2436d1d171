// Runs inside a Node.js action's process: the first line on stdin is {"dir", "main", "env"}, each further one a request;
// one JSON line of answer each goes to the descriptor named by the last argument. {"__ow_failure": text} marks what the
// image's proxy would answer as a failed run.
"use strict";

const fs = require("fs");
const Module = require("module");
const path = require("path");

const answers = Number(process.argv[2]);
process.argv.splice(1);

function answer(value) {
  const bytes = Buffer.from(JSON.stringify(value) + "\n");
  for (let sent = 0; sent < bytes.length;) {
    sent += fs.writeSync(answers, bytes, sent);
  }
}

function fromSource(file, main) {
  const loaded = new Module(file);
  loaded.filename = file;
  loaded.paths = Module._nodeModulePaths(path.dirname(file));
  const pick = `\n;try { module.__ow_main = ${main}; } catch (e) { if (e.name !== "ReferenceError") throw e; }`;
  loaded._compile(fs.readFileSync(file, "utf8") + pick, file);
  return loaded.__ow_main || pickFrom(loaded.exports, main);
}

function pickFrom(root, dotted) {
  return dotted.split(".").reduce((value, name) => (value === undefined ? value : value[name]), root);
}

function fromPackage(folder, main) {
  const dot = main.indexOf(".");
  const entry = dot > 0 ? main.slice(0, dot) : undefined;
  const name = dot > 0 ? main.slice(dot + 1) : main;
  if (entry === undefined && !fs.existsSync("package.json") && !fs.existsSync("index.js")) {
    throw "Zipped actions must contain either package.json or index.js at the root.";
  }
  return pickFrom(require(entry === undefined ? folder : path.join(folder, entry)), name);
}

function load(order) {
  Object.assign(process.env, order.env);
  process.chdir(order.dir);
  const single = path.join(order.dir, "exec");
  const handler = fs.existsSync(single) ? fromSource(single, order.main) : fromPackage(order.dir, order.main);
  if (typeof handler !== "function") {
    throw `Action entrypoint '${order.main}' is not a function.`;
  }
  return handler;
}

function describe(error) {
  if (error instanceof Error) {
    return { ...error, name: error.name, message: error.message, stack: error.stack };
  }
  return error || {};
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
    return { __ow_failure: `An error has occurred: ${error}` };
  }
  let result;
  try {
    result = await pending;
  } catch (error) {
    return { error: describe(error) };
  }
  if (result === undefined) {
    return {};
  }
  if (typeof result !== "object") {
    console.error(`Result must be of type object but has type "${typeof result}":`, result);
    return { __ow_failure: "The action did not return a dictionary." };
  }
  return result;
}

let handler;

async function serve(line) {
  const message = JSON.parse(line);
  if (handler !== undefined) {
    const result = await run(handler, message);
    try {
      answer(result);
    } catch (error) {
      console.error(error);
      answer({ __ow_failure: `An error has occurred: ${error}` });
    }
    return;
  }
  try {
    handler = load(message);
    answer({ ok: true });
  } catch (error) {
    console.error("Error during initialization:", error);
    answer({ error: `Initialization has failed due to: ${error && error.stack ? error.stack : error}` });
  }
}

let parts = [];
process.stdin.on("data", (chunk) => {
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
process.stdin.on("end", () => process.exit(0));
