// The page's life: what is chosen, when data is asked for, and what the answer changes.

const CHOICES = ["type", "event", "field", "stat", "minutes"];
const GIVE_UP_MS = 20000;
const SLOWEST_MS = 60000;
const SPREAD_MS = 2000; // pages that were all refused do not all come in the same instant
const TOO_MANY = 429;

const page = {
  chosen: { type: "", event: "", field: "", stat: "avg", minutes: "15", devices: [] },
  paused: false,
  calls: 0,
  failures: 0,
  timer: 0,
  ticker: 0,
  trouble: null, // {text, until}: why there is no answer, and when the page asks again
  asking: null,
  before: null,
  answer: null,
  lines: null,
  rate: null,
};

function get(id) {
  return document.getElementById(id);
}

// ------------------------------------------------------------------------------------------------ asking

function address() {
  const query = new URLSearchParams();
  for (const name of CHOICES) if (page.chosen[name]) query.set(name, page.chosen[name]);
  if (page.chosen.devices.length) query.set("devices", JSON.stringify(page.chosen.devices));
  const base = location.pathname.replace(/\/+$/, "").replace(/\.html$/, "");
  return `${base}/data?${query}`;
}

function every() {
  return Number(get("every").value) * 1000;
}

function later(wait = every()) {
  clearTimeout(page.timer);
  if (page.paused || document.hidden) return;
  if (page.trouble) page.trouble.until = Date.now() + wait;
  page.timer = setTimeout(ask, wait);
}

async function ask() {
  clearTimeout(page.timer);
  if (page.asking) page.asking.abort();
  const asking = new AbortController();
  page.asking = asking;
  const limit = setTimeout(() => asking.abort(), GIVE_UP_MS);
  page.calls += 1;
  showCost();
  let wait = every();
  try {
    const response = await fetch(address(), { signal: asking.signal, headers: { accept: "application/json" } });
    if (!response.ok) throw await refusal(response);
    const answer = await response.json();
    if (page.asking !== asking) return;
    page.failures = 0;
    page.trouble = null;
    show(answer);
  } catch (error) {
    if (page.asking !== asking) return;
    page.failures = Math.min(page.failures + 1, 4);
    page.trouble = { text: asking.signal.aborted ? `No answer within ${GIVE_UP_MS / 1000} s` : error.text || "The server cannot be reached, or refuses pages", until: 0 };
    wait = error.wait || Math.min(SLOWEST_MS, every() * 2 ** page.failures);
  } finally {
    clearTimeout(limit);
    if (page.asking === asking) { page.asking = null; later(wait); tick(); }
  }
}

// What a refusal says, and how long to wait: what the answer asks for, or the next minute where OpenWhisk's own is used up.
async function refusal(response) {
  const text = await response.text();
  let said = {};
  try { said = JSON.parse(text) || {}; } catch { /* no JSON: the text itself is told */ }
  const spread = Math.random() * SPREAD_MS;
  if (said.retry_after_s > 0) return { text: response.status === TOO_MANY ? "Too many readers in this minute" : String(said.error), wait: said.retry_after_s * 1000 + spread };
  if (response.status === TOO_MANY) return { text: "Too many invocations: OpenWhisk holds back until the next minute", wait: 60000 - (Date.now() % 60000) + spread };
  return { text: `Status ${response.status}: ${said.error || text.slice(0, 200)}` };
}

// Once a second where something is not as it should be: how old the data is, and when the page asks again.
function tick() {
  clearTimeout(page.ticker);
  showAges();
  const { trouble } = page;
  let again = "";
  if (trouble && !page.paused) {
    const left = Math.ceil((trouble.until - Date.now()) / 1000);
    setStatus("down", trouble.text);
    again = left > 0 ? `asking again in ${left} s` : "asking again …";
  }
  get("again").textContent = again;
  if ((trouble || stale(Object.keys(known)).length) && !document.hidden) page.ticker = setTimeout(tick, 1000);
}

// ------------------------------------------------------------------------------------------------ showing

function show(fresh) {
  const first = page.answer === null;
  const answer = remembered(fresh);
  showProblems(answer.errors);
  showTiles(answer, page.before);
  showChoices(answer);
  for (const card of CARDS) showCard(card, answer, page.before);
  get("welcome").hidden = !answer.windows || answer.windows.length > 0 || !fresh.windows;
  const broken = Object.keys(answer.errors).length;
  setStatus(broken ? "part" : "live", `${broken ? "Part of the data, " : "Live, "}${clock(answer.now / 1000)}`);
  page.answer = answer;
  if (fresh.counters && (first || !page.before || answer.now - page.before.now > 1000)) page.before = { now: answer.now, counters: answer.counters };
}

function setStatus(state, text) {
  const target = get("status");
  if (target.dataset.state === state && state === "live") { target.firstChild.textContent = text; return; }
  if (target.dataset.state === state && target.textContent === text) return;
  target.dataset.state = state;
  target.textContent = text;
}

function showCost() {
  const rate = page.paused || document.hidden ? 0 : Math.round(60000 / every());
  get("cost").textContent = `${plural(page.calls, "invocation")} so far, ${rate} a minute`;
}

function showProblems(errors) {
  const box = get("problems");
  const names = Object.keys(errors);
  box.hidden = names.length === 0;
  fill(box, element("ul", {}, ...names.map((name) => element("li", {}, `${name}: ${errors[name]}`))));
}

function speed(answer, before, name) {
  if (!before || !answer.counters || answer.now <= before.now || typeof answer.counters[name] !== "number") return null;
  return Math.max(0, (answer.counters[name] - (before.counters[name] || 0)) / ((answer.now - before.now) / 1000));
}

function perSecond(value) {
  return value === null ? NONE : value >= 100 ? whole.format(value) : value.toFixed(1);
}

function total(rows, name) {
  const known = rows.filter((row) => typeof row[name] === "number");
  return known.length ? known.reduce((sum, row) => sum + row[name], 0) : null;
}

function feedTile({ feeds }) {
  if (!feeds.length) return { big: "none", sub: "no trigger has a feed", state: "warn" };
  const off = feeds.find((feed) => !feed.active);
  if (off) return { big: "off", sub: off.reason || off.trigger, state: "bad" };
  const away = feeds.find((feed) => !feed.connected);
  if (away) return { big: "down", sub: away.problem || "no provider serves it", state: "bad" };
  const held = feeds.find((feed) => feed.hold);
  if (held) return { big: "held", sub: held.hold, state: "warn" };
  const fires = total(feeds, "fires");
  return { big: "on", sub: fires === null ? "connected" : `${plural(fires, "fire")}, ${count(total(feeds, "refires"))} again` };
}

function rateTile(answer, before) {
  const recent = answer.rate.values.slice(-2);
  const now = speed(answer, before, "ingest.records");
  return { big: perSecond(recent.length ? recent.reduce((sum, value) => sum + value, 0) / recent.length : null), sub: now === null ? "" : `${perSecond(now)} since the last look` };
}

function waitingTile({ feeds, now }) {
  const batches = total(feeds, "batches") || 0;
  const oldest = Math.min(...feeds.map((feed) => feed.oldest_ms || Infinity));
  const lag = Number.isFinite(oldest) ? Math.max(0, now - oldest) : 0;
  return { big: plural(batches, "batch", "batches"), sub: batches ? `${bytes(total(feeds, "bytes"))}, oldest ${duration(lag)}` : "the journal is empty", state: lag > 60000 ? "bad" : lag > 20000 ? "warn" : "" };
}

function silentTile({ alarms }) {
  const silent = alarms.filter((row) => row.kind === "silent").length;
  return { big: count(silent), sub: "of the latest alarms", state: silent ? "warn" : "" };
}

// What each tile is called, which part of the data it shows, and how.
const TILES = [
  ["Records a second", "rate", rateTile],
  ["Devices", "streams", ({ streams }) => ({ big: count(streams.reduce((sum, stream) => sum + stream.devices, 0)), sub: plural(streams.length, "device type") })],
  ["Stored", "counters", ({ counters }) => ({ big: count(counters["sink.all-events"] ?? counters["ingest.records"] ?? 0), sub: "records in all" })],
  ["Feed", "feeds", feedTile],
  ["Waiting", "feeds", waitingTile],
  ["Anomalies", "anomalies", ({ anomalies, view }) => ({ big: count(anomalies.total), sub: `in ${minutesText(view.minutes)}`, state: anomalies.total ? "warn" : "" })],
  ["Fell silent", "alarms", silentTile],
  ["Dead letters", "dead_letters", ({ dead_letters: dead }) => ({ big: count(dead.total), sub: dead.reasons.length ? `mostly ${dead.reasons[0].reason}` : "in the last day", state: dead.total ? "bad" : "" })],
];

function showTiles(answer, before) {
  fill(get("tiles"), ...TILES.map(([name, part, read]) => {
    const tile = answer[part] === null ? { big: NONE, sub: "not known" } : read(answer, before);
    return element("div", { class: "tile", "data-state": tile.state || null, "data-part": part },
      element("dt", {}, name), element("dd", { class: "big" }, tile.big), element("dd", { class: "sub" }, tile.sub), element("dd", { class: "age" }));
  }));
}

function select(id, values, chosen) {
  const target = get(id);
  const wanted = values.includes(chosen) || !chosen ? values : [...values, chosen];
  const shown = [...target.options].map((option) => option.value);
  if (JSON.stringify(shown) !== JSON.stringify(wanted)) fill(target, ...wanted.map((value) => element("option", { value }, value)));
  target.disabled = wanted.length === 0;
  if (document.activeElement !== target) target.value = chosen;
}

function showChoices({ streams, view, lines }) {
  const stream = (streams || []).find((one) => one.type === view.type) || { events: [], fields: [] };
  select("type", (streams || []).map((one) => one.type), view.type);
  select("event", stream.events, view.event);
  select("field", stream.fields, view.field);
  for (const id of ["stat", "minutes"]) if (document.activeElement !== get(id)) get(id).value = String(view[id]);
  const found = lines ? lines.ids : [];
  const ids = JSON.stringify(found);
  if (get("ids").dataset.shown !== ids) {
    get("ids").dataset.shown = ids;
    fill(get("ids"), ...found.map((id) => element("option", { value: id })));
  }
  get("auto").hidden = page.chosen.devices.length === 0;
}

function label(device) {
  const name = device.record && device.record.name;
  return name ? `${name} (${device.id})` : device.id;
}

function showLines(answer) {
  const { lines, view } = answer;
  showLegend(answer, null);
  if (get("points-box").open) showPoints(answer);
  note("values-note", lines.devices.length ? `${page.chosen.devices.length ? "" : "the most changing, "}${lines.devices.length} of ${plural(lines.known, "device")}` : "");
  if (!lines.times.length) { page.lines.empty(view.field ? "No closed window of these devices in this time." : "Lines appear here when the first window has closed."); return; }
  const span = lines.times[lines.times.length - 1] - lines.times[0];
  const series = () => lines.devices.map((device, position) => ({
    label: device.id, span, stroke: lineColour(position), width: 2, dash: DASHES[Math.floor(position / COLOURS)], spanGaps: false, points: { show: lines.times.length < 3 },
  }));
  const text = `${view.field}, ${view.stat} a window over ${minutesText(view.minutes)}, ${plural(lines.devices.length, "device")}: ${lines.devices.map(label).join(", ").slice(0, 300)}`;
  page.lines.draw([lines.times, ...lines.devices.map((device) => device.values)], series, text, (position) => showLegend(page.answer || answer, position));
}

function showLegend({ lines, view }, position) {
  const at = typeof position === "number" && position < lines.times.length ? position : null;
  const rows = lines.devices.map((device, place) => ({ device, place, stats: device.last.fields[view.field] || {}, count: device.last.count }));
  const value = ({ device }) => figure(at === null ? [...device.values].reverse().find((one) => one !== null) : device.values[at]);
  table("legend", [
    { head: "Device", id: true, value: ({ device, place }) => [swatch(place), ...deviceName(device)] },
    { head: at === null ? "Latest" : `At ${clock(lines.times[at])}`, num: true, value },
    { head: "Last record", time: true, value: ({ device }) => (device.record ? time(device.record.at) : NONE) },
    { head: "", num: true, value: ({ device }) => element("button", { type: "button", class: "plain", "aria-label": `Remove ${device.id}`, onclick: () => remove(device.id) }, "✕") },
  ], rows, { empty: "No device in this time." });
}

function swatch(place) {
  const made = element("span", { class: "swatch", "aria-hidden": "true" });
  made.style.background = DASHES[Math.floor(place / COLOURS)].length
    ? `repeating-linear-gradient(90deg, ${lineColour(place)} 0 4px, transparent 4px 6px)` : lineColour(place);
  return made;
}

function showRate({ rate }) {
  const most = Math.max(0, ...rate.values);
  note("rate-note", most ? `at most ${perSecond(most)}` : "");
  if (!most) { page.rate.empty("No record was stored in this time."); return; }
  const span = rate.times[rate.times.length - 1] - rate.times[0];
  const series = () => [{ label: "records a second", span, stroke: colour("accent"), width: 2, fill: `color-mix(in srgb, ${colour("accent")} 16%, transparent)`, points: { show: false } }];
  page.rate.draw([rate.times, rate.values], series, `Records stored a second, at most ${perSecond(most)}, last ${perSecond(rate.values[rate.values.length - 1])}`,
    (position) => note("rate-note", typeof position === "number" && position < rate.times.length ? `${perSecond(rate.values[position])} at ${clock(rate.times[position])}` : `at most ${perSecond(most)}`));
}

// ------------------------------------------------------------------------------------------------ choosing

function choose(changes) {
  Object.assign(page.chosen, changes);
  for (const part of CHOSEN_PARTS) delete known[part];
  history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify(page.chosen))}`);
  ask();
}

function remove(id) {
  const shown = page.chosen.devices.length ? page.chosen.devices : drawn();
  choose({ ...current(), devices: shown.filter((one) => one !== id) });
}

function drawn() {
  return page.answer.lines ? page.answer.lines.devices.map((device) => device.id) : [];
}

function current() {
  const { type, event, field } = page.answer.view;
  return { type, event, field };
}

function add(event) {
  event.preventDefault();
  const id = get("device").value.trim();
  if (!id || !page.answer) return;
  const shown = drawn().filter((one) => one !== id);
  get("device").value = "";
  choose({ ...current(), devices: [...shown.slice(0, 11), id] });
}

function restore() {
  try {
    const kept = JSON.parse(decodeURIComponent(location.hash.slice(1)));
    for (const name of CHOICES) if (typeof kept[name] === "string") page.chosen[name] = kept[name];
    if (Array.isArray(kept.devices)) page.chosen.devices = kept.devices.filter((id) => typeof id === "string").slice(0, 12);
  } catch {
    // no choice in the address: the defaults stand
  }
}

function pause() {
  page.paused = !page.paused;
  get("pause").setAttribute("aria-pressed", String(page.paused));
  get("pause").textContent = page.paused ? "Go on" : "Pause";
  showCost();
  if (page.paused) { clearTimeout(page.timer); setStatus("paused", "Paused"); } else ask();
}

function start() {
  restore();
  page.lines = new Chart("lines");
  page.rate = new Chart("rate", { fromZero: true });
  get("type").addEventListener("change", (event) => choose({ type: event.target.value, event: "", field: "", devices: [] }));
  get("event").addEventListener("change", (event) => choose({ ...current(), event: event.target.value, devices: [] }));
  get("field").addEventListener("change", (event) => choose({ ...current(), field: event.target.value }));
  get("stat").addEventListener("change", (event) => choose({ stat: event.target.value }));
  get("minutes").addEventListener("change", (event) => choose({ minutes: event.target.value }));
  get("pick").addEventListener("submit", add);
  get("auto").addEventListener("click", () => choose({ devices: [] }));
  get("pause").addEventListener("click", pause);
  get("every").addEventListener("change", () => { showCost(); later(); });
  get("points-box").addEventListener("toggle", () => { if (page.answer && page.answer.lines && get("points-box").open) showPoints(page.answer); });
  document.addEventListener("visibilitychange", () => {
    showCost();
    if (document.hidden) { clearTimeout(page.timer); clearTimeout(page.ticker); } else if (!page.paused) ask();
  });
  ask();
}

start();
