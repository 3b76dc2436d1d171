// The tables: each takes its part of the answer and fills one element.

function table(id, columns, rows, { empty, caption }) {
  const heads = columns.map((column) => element("th", { scope: "col", class: column.num ? "num" : null }, column.head));
  const body = rows.map((row) => element("tr", {}, ...columns.map((column, position) => cell(column, row, position))));
  if (!body.length) body.push(element("tr", { class: "empty-row" }, element("td", { colspan: columns.length }, empty)));
  fill(document.getElementById(id),
    caption ? element("caption", {}, caption) : null,
    rows.length ? element("thead", {}, element("tr", {}, ...heads)) : null,
    element("tbody", {}, ...body));
}

function cell(column, row, position) {
  const value = column.value(row);
  const kind = [column.num ? "num" : "", column.time ? "time" : "", column.id ? "id" : ""].join(" ").trim();
  return element(position ? "td" : "th", { class: kind || null, scope: position ? null : "row" }, ...(Array.isArray(value) ? value : [value]));
}

function note(id, text) {
  document.getElementById(id).textContent = text;
}

function deviceName(device) {
  const name = device.record && device.record.name;
  return name ? [name, element("span", { class: "faint" }, device.id)] : [device.id];
}

function showWindows(answer) {
  const { view, windows, lines } = answer;
  const rows = [];
  for (const row of windows) {
    const own = row.device_type === view.type;
    const names = own ? Object.keys(row.fields).slice(0, 12) : Object.keys(row.fields).slice(0, 3);
    for (const name of names) rows.push({ ...row, field: name, stats: row.fields[name] });
  }
  for (const device of lines ? lines.devices : []) {
    const stats = device.last.fields[view.field];
    if (stats) rows.push({ ...device.last, device, field: view.field, stats });
  }
  table("windows", [
    { head: "Of", id: true, value: (row) => (row.device ? deviceName(row.device) : [`all ${row.device_type}`]) },
    { head: "Field", id: true, value: (row) => row.field },
    { head: "Average", num: true, value: (row) => figure(row.stats.avg) },
    { head: "Std. dev.", num: true, value: (row) => figure(row.stats.std) },
    { head: "Min", num: true, value: (row) => figure(row.stats.min) },
    { head: "Max", num: true, value: (row) => figure(row.stats.max) },
    { head: "Values", num: true, value: (row) => count(row.stats.n ?? row.count) },
    { head: "Level", value: (row) => (row.device ? "device" : "device type") },
    { head: "Window end", time: true, value: (row) => time(row.end) },
  ], rows, { empty: "No window has closed in this time." });
  note("windows-note", rows.length ? "newest of each; a window covers its last seconds up to its end" : "");
}

function showModels(answer) {
  const registry = answer.registry || { rows: [] };
  const asked = answer.models || {};
  const rows = registry.rows.map((row) => ({ ...row, ...(Object.hasOwn(asked, row.name) ? asked[row.name] : { statuses: answer.models ? {} : null }) }));
  for (const [name, numbers] of Object.entries(asked)) {
    if (!registry.rows.some((row) => row.name === name)) rows.push({ name, gone: true, unknown: !answer.registry, ...numbers });
  }
  const status = (row, name) => (row.statuses ? row.statuses[name] || 0 : null);
  table("models", [
    { head: "Model", id: true, value: (row) => [element("span", { title: row.url }, row.name), element("span", { class: "faint" }, row.version ? `v${row.version}` : "")] },
    { head: "State", value: modelState },
    { head: "OK", num: true, value: (row) => count(status(row, "ok")) },
    { head: "Errors", num: true, value: (row) => count(status(row, "error")) },
    { head: "Timeouts", num: true, value: (row) => count(status(row, "timeout")) },
    { head: "Not asked", num: true, value: (row) => count(status(row, "open")) },
    { head: "p50 / p95", num: true, value: (row) => `${milliseconds(row.p50_ms)} / ${milliseconds(row.p95_ms)}` },
  ], rows, { empty: "No model yet: PUT /models/<name> with its url registers one, results follow within 30 s." });
  const polled = registry.polled_at;
  const parts = rows.length ? ["last 5 minutes"] : [];
  if (polled) parts.push(`registry read ${duration(answer.now - polled)} ago`);
  if (registry.last_error) parts.push(`last poll: ${registry.last_error}`);
  note("models-note", parts.join(", "));
}

function milliseconds(value) {
  return typeof value === "number" ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : NONE;
}

function modelState(row) {
  if (row.gone) return [badge(row.unknown ? "not known" : "removed")];
  const state = !row.enabled ? badge("off") : row.in_use ? badge("active", "ok") : badge("waits for the next poll");
  const breaker = row.breaker === "closed" ? null : badge(`breaker ${row.breaker}`, row.breaker === "open" ? "bad" : "warn");
  return [state, row.mode === "shadow" ? badge("shadow") : null, breaker];
}

function showAnomalies({ anomalies, view }) {
  const finding = (one) => element("span", { class: `badge ${one.state === "danger-high" ? "bad" : "warn"}`, title: `average ${number(one.avg)}, standard deviation ${number(one.std)}` },
    `${one.field} ${one.state === "danger-high" ? "↑ high" : "↓ low"}${typeof one.value === "number" ? ` ${number(one.value)}` : ""}`);
  fill(document.getElementById("worst"), ...anomalies.devices.map((row) => element("li", {}, element("b", {}, count(row.count)), ` ${row.device_type} ${row.id}`)));
  table("anomalies", [
    { head: "Time", time: true, value: (row) => time(row.at) },
    { head: "Device", id: true, value: (row) => [row.id, element("span", { class: "faint" }, row.device_type)] },
    { head: "Finding", value: (row) => row.findings.slice(0, 6).map(finding) },
    { head: "Model", id: true, value: (row) => row.model },
  ], anomalies.rows, { empty: "None: no model called a record danger-high or danger-low in this time." });
  note("anomalies-note", anomalies.total ? `${count(anomalies.total)} in ${minutesText(view.minutes)}` : "");
}

function showAlarms({ alarms }) {
  table("alarms", [
    { head: "Time", time: true, value: (row) => time(row.at) },
    { head: "What", value: (row) => badge(row.kind || "alarm", row.kind === "resumed" ? "ok" : "warn") },
    { head: "Device", id: true, value: (row) => [row.id, element("span", { class: "faint" }, [row.device_type, row.event].filter(Boolean).join(" · "))] },
  ], alarms, { empty: "None in the last day: no device that was sending has stopped." });
  note("alarms-note", alarms.length ? "latest of the last day" : "");
}

function showDead({ dead_letters: dead }) {
  fill(document.getElementById("reasons"), ...dead.reasons.map((row) => element("li", {}, element("b", {}, count(row.count)), ` ${row.reason}`, element("span", { class: "faint" }, ` ${row.stages.join(", ")}`))));
  table("dead", [
    { head: "Time", time: true, value: (row) => time(row.at) },
    { head: "Reason", value: (row) => badge(row.reason, "warn") },
    { head: "Topic", id: true, value: (row) => row.topic || NONE },
    { head: "Detail", id: true, value: (row) => row.detail },
    { head: "Size", num: true, value: (row) => bytes(row.bytes) },
  ], dead.rows.slice(0, 6), { empty: "None in the last day: every message could be read and stored." });
  note("dead-note", dead.total ? `${count(dead.total)} in the last day` : "");
}

function feedState(feed, now) {
  if (!feed.active) return [badge(feed.status_code ? `off, ${feed.status_code}` : "off", feed.status_code ? "bad" : "warn")];
  const state = feed.connected ? badge("on", "ok") : badge(feed.connected === null ? "nobody serves it" : "down", "bad");
  const more = [feed.hold ? badge("held", "warn") : null, feed.full ? badge("journal full", "bad") : null];
  if (feed.held_back_since) more.push(badge(`broker has waited for ${duration(now - feed.held_back_since)}`, "bad"));
  return [state, ...more, feed.stuck ? badge(`${plural(feed.stuck, "batch", "batches")} stuck`, "warn") : null];
}

function showFeeds({ feeds, now }) {
  const since = (feed) => (!feed.active && feed.changed ? ` for ${duration(now - feed.changed)}` : "");
  table("feeds", [
    { head: "Trigger", id: true, value: (row) => row.trigger },
    { head: "State", value: (row) => feedState(row, now) },
    { head: "Why", id: true, value: (row) => (row.active ? row.problem || row.hold || NONE : `${row.reason || "switched off"}${since(row)}`) },
    { head: "Lag", num: true, value: (row) => (row.oldest_ms ? duration(now - row.oldest_ms) : "0 s") },
    { head: "Batches", num: true, value: (row) => count(row.batches) },
    { head: "Bytes", num: true, value: (row) => bytes(row.bytes) },
    { head: "Fired, not stored", num: true, value: (row) => count(row.in_flight) },
    { head: "Fires", num: true, value: (row) => count(row.fires) },
    { head: "Again", num: true, value: (row) => count(row.refires) },
  ], feeds, { empty: "No trigger has a feed." });
}

function showTrouble({ trouble, counters, now }, before) {
  const recent = (row) => {
    if (!before || !counters || now <= before.now) return NONE;
    const more = row.count - (before.counters[row.name] || 0);
    return more > 0 ? `${number(Math.round((more * 600000) / (now - before.now)) / 10)}` : "0";
  };
  table("trouble", [
    { head: "What", value: (row) => row.text },
    { head: "Reason", id: true, value: (row) => row.reason || NONE },
    { head: "In all", num: true, value: (row) => count(row.count) },
    { head: "A minute", num: true, value: recent },
    { head: "Last", num: true, value: (row) => (row.last ? `${duration(now - row.last)} ago` : NONE) },
    { head: "Counter", id: true, value: (row) => element("span", { class: "faint" }, row.name) },
  ], trouble, { empty: counters && Object.keys(counters).length ? "None: nothing was dropped, late, retried, held, refused or switched off." : "Nothing has been counted yet." });
  note("trouble-note", trouble.length ? "since the beginning, what happened last first; the rate is since the last look" : "");
}

function showCounters({ counters }) {
  table("counters", [
    { head: "Counter", id: true, value: ([name]) => name },
    { head: "Count", num: true, value: ([, value]) => whole.format(value) },
  ], Object.entries(counters), { empty: "Nothing has been counted yet." });
}

function showPoints({ lines, view }) {
  const last = lines.times.map((at, position) => ({ at, position })).slice(-40).reverse();
  table("points", [
    { head: "Window end", time: true, value: (row) => clock(row.at) },
    ...lines.devices.map((device) => ({ head: device.id, num: true, value: (row) => figure(device.values[row.position]) })),
  ], last, { empty: "No window has closed in this time.", caption: `${view.field}, newest first` });
}

function minutesText(minutes) {
  return minutes < 60 ? `${minutes} minutes` : minutes === 60 ? "1 hour" : minutes === 1440 ? "1 day" : `${minutes / 60} hours`;
}
