// Node's resolve hook (module.register): a bare specifier leads into the action's folder or the image's modules, or nowhere.
import { fileURLToPath } from "node:url";

let roots = [];
let image = null;

export async function initialize(data) {
  ({ roots, image } = data);
}

function isBare(specifier) {
  return !/^(\.\.?\/|\/|#|[a-z]+:)/i.test(specifier);
}

async function attempt(specifier, context, next) {
  try {
    const found = await next(specifier, context);
    return !found.url.startsWith("file:") || roots.some((root) => found.url.startsWith(root)) ? found : null;
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") {
      return null;
    }
    throw error;
  }
}

export async function resolve(specifier, context, next) {
  if (!isBare(specifier)) {
    return next(specifier, context);
  }
  const found = (await attempt(specifier, context, next)) ?? (image && (await attempt(specifier, { ...context, parentURL: image + "index.js" }, next)));
  if (found) {
    return found;
  }
  const text = `Cannot find package '${specifier}' imported from ${fileURLToPath(context.parentURL)}`;
  throw Object.assign(new Error(text), { code: "ERR_MODULE_NOT_FOUND" });
}
