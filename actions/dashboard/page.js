// The page's life: what is chosen, when data is asked for, and what the answer changes.

const CHOICES = ["type", "event", "field", "stat", "minutes"];
const GIVE_UP_MS = 20000;
const SLOWEST_MS = 60000;

const page = {
  chosen: { type: "", event: "", field: "", stat: "avg", minutes: "15", devices: [] },
  paused: false,
  calls: 0,
  failures: 0,
  timer: 0,
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

function later() {
  clearTimeout(page.timer);
  if (page.paused || document.hidden) return;
  page.timer = setTimeout(ask, page.failures ? Math.min(SLOWEST_MS, every() * 2 ** page.failures) : every());
}

async function ask() {
  clearTimeout(page.timer);
  if (page.asking) page.asking.abort();
  const asking = new AbortController();
  page.asking = asking;
  const limit = setTimeout(() => asking.abort(), GIVE_UP_MS);
  page.calls += 1;
  showCost();
  try {
    const response = await fetch(address(), { signal: asking.signal, headers: { accept: "application/json" }, cache: "no-store" });
    if (!response.ok) throw new Error(await refusal(response));
    const answer = await response.json();
    if (page.asking !== asking) return;
    page.failures = 0;
    show(answer);
  } catch (error) {
    if (page.asking !== asking) return;
    page.failures = Math.min(page.failures + 1, 4);
    setStatus("down", asking.signal.aborted ? `No answer within ${GIVE_UP_MS / 1000} s` : String(error.message || error));
  } finally {
    clearTimeout(limit);
    if (page.asking === asking) { page.asking = null; later(); }
  }
}

async function refusal(response) {
  if (response.status === 429) return "Too many invocations: OpenWhisk holds back; choose a longer refresh";
  const text = await response.text();
  try {
    return `Status ${response.status}: ${JSON.parse(text).error || text.slice(0, 200)}`;
  } catch {
    return `Status ${response.status}: ${text.slice(0, 200)}`;
  }
}

// ------------------------------------------------------------------------------------------------ showing

function show(answer) {
  const first = page.answer === null;
  showProblems(answer.errors);
  showTiles(answer, page.before);
  showChoices(answer);
  showLines(answer);
  showRate(answer);
  for (const part of [showWindows, showModels, showAnomalies, showAlarms, showDead, showFeeds, showCounters]) part(answer);
  showTrouble(answer, page.before);
  if (get("points-box").open) showPoints(answer);
  get("welcome").hidden = answer.windows.length > 0 || Boolean(answer.errors.elasticsearch);
  const broken = Object.keys(answer.errors).length;
  setStatus(broken ? "part" : "live", `${broken ? "Part of the data, " : "Live, "}${clock(answer.now / 1000)}`);
  page.answer = answer;
  if (first || answer.now - page.before.now > 1000) page.before = { now: answer.now, counters: answer.counters };
}

function setStatus(state, text) {
  const target = get("status");
  if (target.dataset.state === state && state === "live") { target.firstChild.textContent = text; return; }
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
  if (!before || answer.now <= before.now || typeof answer.counters[name] !== "number") return null;
  return Math.max(0, (answer.counters[name] - (before.counters[name] || 0)) / ((answer.now - before.now) / 1000));
}

function perSecond(value) {
  return value === null ? NONE : value >= 100 ? whole.format(value) : value.toFixed(1);
}

function total(rows, name) {
  const known = rows.filter((row) => typeof row[name] === "number");
  return known.length ? known.reduce((sum, row) => sum + row[name], 0) : null;
}

function feedTile({ feeds, errors }) {
  if (errors.feeds || !feeds.length) return { name: "Feed", big: errors.feeds ? NONE : "none", sub: errors.feeds ? "" : "no trigger has a feed", state: errors.feeds ? "" : "warn" };
  const off = feeds.find((feed) => !feed.active);
  if (off) return { name: "Feed", big: "off", sub: off.reason || off.trigger, state: "bad" };
  const away = feeds.find((feed) => !feed.connected);
  if (away) return { name: "Feed", big: "down", sub: away.problem || "no provider serves it", state: "bad" };
  const held = feeds.find((feed) => feed.hold);
  if (held) return { name: "Feed", big: "held", sub: held.hold, state: "warn" };
  const fires = total(feeds, "fires");
  return { name: "Feed", big: "on", sub: fires === null ? "connected" : `${plural(fires, "fire")}, ${count(total(feeds, "refires") ?? 0)} again` };
}

function tiles(answer, before) {
  const { counters, feeds, anomalies, alarms, dead_letters: dead, streams } = answer;
  const batches = total(feeds, "batches") || 0;
  const oldest = Math.min(...feeds.map((feed) => feed.oldest_ms || Infinity));
  const lag = Number.isFinite(oldest) ? Math.max(0, answer.now - oldest) : 0;
  const recent = answer.rate.values.slice(-2);
  const rate = recent.length ? recent.reduce((sum, value) => sum + value, 0) / recent.length : null;
  const now = speed(answer, before, "ingest.records");
  const devices = streams.reduce((sum, stream) => sum + stream.devices, 0);
  const silent = alarms.filter((row) => row.kind === "silent").length;
  return [
    { name: "Records a second", big: perSecond(rate), sub: now === null ? "" : `${perSecond(now)} since the last look` },
    { name: "Devices", big: count(devices), sub: plural(streams.length, "device type") },
    { name: "Stored", big: count(counters["sink.all-events"] ?? counters["ingest.records"]), sub: "records in all" },
    feedTile(answer),
    { name: "Waiting", big: plural(batches, "batch", "batches"), sub: batches ? `${bytes(total(feeds, "bytes"))}, oldest ${duration(lag)}` : "the journal is empty", state: lag > 60000 ? "bad" : lag > 20000 ? "warn" : "" },
    { name: "Anomalies", big: count(anomalies.total), sub: `in ${minutesText(answer.view.minutes)}`, state: anomalies.total ? "warn" : "" },
    { name: "Fell silent", big: count(silent), sub: "of the latest alarms", state: silent ? "warn" : "" },
    { name: "Dead letters", big: count(dead.total), sub: dead.reasons.length ? `mostly ${dead.reasons[0].reason}` : "in the last day", state: dead.total ? "bad" : "" },
  ];
}

function showTiles(answer, before) {
  fill(get("tiles"), ...tiles(answer, before).map((tile) => element("div", { class: "tile", "data-state": tile.state || null },
    element("dt", {}, tile.name), element("dd", { class: "big" }, tile.big), element("dd", { class: "sub" }, tile.sub))));
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
  const stream = streams.find((one) => one.type === view.type) || { events: [], fields: [] };
  select("type", streams.map((one) => one.type), view.type);
  select("event", stream.events, view.event);
  select("field", stream.fields, view.field);
  for (const id of ["stat", "minutes"]) if (document.activeElement !== get(id)) get(id).value = String(view[id]);
  const ids = JSON.stringify(lines.ids);
  if (get("ids").dataset.shown !== ids) {
    get("ids").dataset.shown = ids;
    fill(get("ids"), ...lines.ids.map((id) => element("option", { value: id })));
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
  history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify(page.chosen))}`);
  ask();
}

function remove(id) {
  const shown = page.chosen.devices.length ? page.chosen.devices : page.answer.lines.devices.map((device) => device.id);
  choose({ ...current(), devices: shown.filter((one) => one !== id) });
}

function current() {
  const { type, event, field } = page.answer.view;
  return { type, event, field };
}

function add(event) {
  event.preventDefault();
  const id = get("device").value.trim();
  if (!id || !page.answer) return;
  const shown = page.answer.lines.devices.map((device) => device.id).filter((one) => one !== id);
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
  get("points-box").addEventListener("toggle", () => { if (page.answer && get("points-box").open) showPoints(page.answer); });
  document.addEventListener("visibilitychange", () => {
    showCost();
    if (document.hidden) clearTimeout(page.timer);
    else if (!page.paused) ask();
  });
  ask();
}

start();
