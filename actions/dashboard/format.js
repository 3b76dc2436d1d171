"use strict";
// Texts and elements. Everything that comes from a device, a model or a user of them ends in a text node, never in markup.

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

function fill(target, ...children) {
  target.replaceChildren(...children.filter((child) => child));
}

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function number(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e12)) return value.toExponential(2);
  const digits = Number.isInteger(value) ? 0 : size >= 1000 ? 1 : size >= 10 ? 2 : 3;
  return value.toLocaleString("en", { minimumFractionDigits: Number.isInteger(value) ? 0 : Math.min(digits, 2), maximumFractionDigits: digits });
}

// A statistic: as many digits as its neighbours in the column.
function figure(value) {
  return typeof value === "number" && Math.abs(value) < 10000 && (value === 0 || Math.abs(value) >= 0.01) ? value.toFixed(2) : number(value);
}

function count(value) {
  if (typeof value !== "number") return NONE;
  return value >= 100000 ? compact.format(value) : whole.format(value);
}

function bytes(value) {
  if (typeof value !== "number") return NONE;
  const units = ["B", "kB", "MB", "GB"];
  let step = 0;
  while (value >= 1000 && step < units.length - 1) { value /= 1000; step += 1; }
  return `${value.toFixed(step && value < 100 ? 1 : 0)} ${units[step]}`;
}

function clock(seconds, withSeconds = true) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: withSeconds ? "2-digit" : undefined });
}

function time(iso) {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return NONE;
  return element("time", { datetime: new Date(at).toISOString(), title: new Date(at).toLocaleString() }, clock(at / 1000));
}

function duration(milliseconds) {
  if (!(milliseconds > 0)) return "0 s";
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function badge(text, kind) {
  return element("span", { class: `badge ${kind || ""}` }, text);
}

function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}
