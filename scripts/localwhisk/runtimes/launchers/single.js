// Evaluates a single-file action as the image's proxy does: inside a function of a module in which `fs` and `path` are defined.
const fs = require("fs");
const path = require("path");

module.exports = function evaluate(__ow, require, module, exports, __dirname, __filename) {
  return eval(`(function(){
${__ow.code}
try {
  return ${__ow.main}
} catch (e) {
  if (e.name === 'ReferenceError') {
    return module.exports.${__ow.main} || exports.${__ow.main}
  } else throw e
}
})()`);
};
