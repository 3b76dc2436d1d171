// What is known, and since when. Unknown is never 0: a part that cannot be read keeps what was last known of it, dimmed and with its age.

const PARTS = ["counters", "trouble", "feeds", "registry", "streams", "windows", "lines", "rate", "models", "anomalies", "alarms", "dead_letters"];
const CHOSEN_PARTS = ["lines", "rate", "anomalies"]; // what they show depends on what is chosen

const known = {}; // part -> {value, at}, by this browser's clock
let heardAt = 0; // when the last answer came

// The answer with what was last known in each place where it says nothing.
function remembered(answer) {
  heardAt = Date.now();
  const whole = { ...answer };
  for (const part of PARTS) {
    if (answer[part] !== null) known[part] = { value: answer[part], at: heardAt };
    else whole[part] = known[part] ? known[part].value : null;
  }
  whole.view = viewed(answer);
  return whole;
}

// Where the streams are not known nothing could be chosen for the reader: what was last shown stays so.
function viewed(answer) {
  const last = page.answer && page.answer.view;
  return answer.streams === null && last && known.lines ? { ...last, stat: answer.view.stat, minutes: answer.view.minutes } : answer.view;
}

function stale(parts) {
  return parts.filter((part) => known[part] && (page.trouble || known[part].at < heardAt));
}

// Dims each tile and card whose data is not the newest, and says how old it is.
function showAges() {
  for (const target of document.querySelectorAll("[data-part]")) {
    const old = stale(target.dataset.part.split(" "));
    target.classList.toggle("stale", old.length > 0);
    const oldest = Math.min(...old.map((part) => known[part].at));
    const text = old.length ? `${duration(Date.now() - oldest)} old` : "";
    const age = target.querySelector(".age");
    if (age.textContent !== text) age.textContent = text;
  }
}

// One card: its parts, the tables it fills, and who shows it.
const CARDS = [
  { card: "values", parts: ["lines"], show: showLines, tables: ["legend", "points"], empty: () => page.lines.empty(UNKNOWN) },
  { card: "rate", parts: ["rate"], show: showRate, tables: [], empty: () => page.rate.empty(UNKNOWN) },
  { card: "windows", parts: ["windows"], show: showWindows },
  { card: "feeds", parts: ["feeds"], show: showFeeds },
  { card: "trouble", parts: ["trouble"], show: showTrouble },
  { card: "anomalies", parts: ["anomalies"], show: showAnomalies, chips: "worst" },
  { card: "dead", parts: ["dead_letters"], show: showDead, chips: "reasons" },
  { card: "models", parts: ["models", "registry"], show: showModels },
  { card: "alarms", parts: ["alarms"], show: showAlarms },
  { card: "counters", parts: ["counters"], show: showCounters },
];
const UNKNOWN = "Not known yet: what holds it does not answer.";

function showCard({ card, parts, show, tables = [card], empty, chips }, answer, before) {
  if (parts.some((part) => answer[part] !== null)) { show(answer, before); return; }
  for (const name of tables) table(name, [{ value: () => "" }], [], { empty: UNKNOWN });
  if (chips) fill(document.getElementById(chips));
  if (empty) empty();
}
