// Which modules an action finds: those in its own folder, which lies below `code`, and the image's. Node looks in all folders
// above, too, and in those of NODE_PATH, HOME and its own installation; in the image there is nothing.
"use strict";

const fs = require("fs");
const Module = require("module");
const path = require("path");
const { pathToFileURL } = require("url");

function real(folder) {
  try {
    return fs.realpathSync(folder);
  } catch {
    return path.resolve(folder);
  }
}

function isBare(request) {
  return !/^(\.\.?([/\\]|$)|\/|[a-z]+:)/i.test(request);
}

function confineRequire(code, image) {
  const roots = [real(code), ...(image ? [real(image)] : [])].map((root) => root + path.sep);
  const lookUp = Module._resolveLookupPaths;
  Module._resolveLookupPaths = (request, parent) => {
    const found = lookUp.call(Module, request, parent);
    if (!found || !isBare(request)) {
      return found;
    }
    const kept = found.filter((folder) => roots.some((root) => (folder + path.sep).startsWith(root)));
    return image ? [...new Set([...kept, path.join(real(image), "node_modules")])] : kept;
  };
}

// import and import() are resolved by node's own code, which only a hook can hold back.
function confineImport(code, image) {
  if (!Module.register) {
    return; // before Node.js 18.19
  }
  const roots = [code, ...(image ? [image] : [])].map((root) => pathToFileURL(real(root)).href + "/");
  Module.register(pathToFileURL(path.join(__dirname, "import_hook.mjs")), { data: { roots, image: image ? roots[1] : null } });
}

module.exports = { confineRequire, confineImport };
